# SPDX-License-Identifier: Apache-2.0
"""Pairs of words that differ in a sensitive attribute, and texts in which they are exchanged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.basics.errors import InputError
from assay.model.texts.words import TextRow, replace_words, word_spans

GENDER = (
    "he/she", "him/her", "his/her", "his/hers", "himself/herself", "man/woman", "men/women", "boy/girl", "boys/girls",
    "father/mother", "fathers/mothers", "dad/mom", "son/daughter", "sons/daughters", "brother/sister",
    "brothers/sisters", "husband/wife", "husbands/wives", "uncle/aunt", "nephew/niece", "grandfather/grandmother",
    "grandson/granddaughter", "king/queen", "prince/princess", "actor/actress", "waiter/waitress", "sir/madam",
    "gentleman/lady", "gentlemen/ladies", "mr/mrs", "male/female", "males/females", "boyfriend/girlfriend", "guy/gal",
    "guys/gals", "businessman/businesswoman", "policeman/policewoman", "salesman/saleswoman", "widower/widow",
    "james/mary", "john/patricia", "robert/jennifer", "michael/linda", "david/elizabeth", "william/barbara",
    "richard/susan", "joseph/jessica", "thomas/sarah", "charles/karen", "daniel/nancy", "matthew/lisa", "paul/emily",
    "mark/anna", "george/laura", "steven/emma", "peter/julia", "jack/alice", "martin/helen",
)  # fmt: skip
"""English words and first names of men and women, the men's first; a list of this package."""

AFTER_OBJECT = {
    "a", "about", "after", "again", "all", "also", "an", "and", "any", "are", "as", "at", "away", "back", "because",
    "before", "but", "by", "down", "for", "from", "had", "has", "have", "he", "i", "if", "in", "into", "is", "it",
    "never", "not", "now", "of", "off", "on", "or", "out", "over", "she", "so", "some", "than", "that", "the",
    "then", "there", "they", "this", "to", "today", "tomorrow", "too", "up", "very", "was", "we", "were", "what",
    "when", "where", "which", "while", "who", "why", "will", "with", "without", "yesterday", "you",
}  # fmt: skip
"""Words before which "her" is an object ("saw her today") and becomes "him"; before others it becomes "his"."""


@dataclass(frozen=True, eq=False)
class SwapTable:
    """Which word stands for which, both ways: ``forward`` from the first words to the second, ``back`` from these."""

    forward: Mapping[str, str]
    back: Mapping[str, str]

    @staticmethod
    def of(pairs: Sequence[Any]) -> SwapTable:
        """A table of pairs written "first/second"; of a word with several partners the first pair counts."""
        forward: dict[str, str] = {}
        back: dict[str, str] = {}
        for pair in pairs:
            both = [word.strip().lower() for word in pair.split("/")] if isinstance(pair, str) else []
            if len(both) != 2 or not all(both) or both[0] == both[1] or any(len(word.split()) > 1 for word in both):
                raise InputError(f"pair {pair!r}; a pair is two different words, 'he/she'.")
            forward.setdefault(both[0], both[1])
            back.setdefault(both[1], both[0])
        confused = sorted(set(forward) & set(back))
        if confused:
            raise InputError(f"{confused[:5]} stand on both sides of the pairs; a word belongs to one side.")
        return SwapTable(forward, back)

    @property
    def words(self) -> frozenset[str]:
        """All words of the table."""
        return frozenset(self.forward) | frozenset(self.back)


@dataclass(frozen=True, eq=False)
class SwappedText:
    """A text with its words exchanged: ``firsts`` and ``seconds`` count the words of each side that it had.

    ``partners`` are the words exchanged and what they became, in lower case.
    """

    text: TextRow
    firsts: int
    seconds: int
    partners: tuple[tuple[str, str], ...]


def swap_words(text: TextRow, table: SwapTable) -> SwappedText:
    """The text with every word of the table exchanged for its partner, with its capitals; of a pair, both texts."""
    if not isinstance(text, str):
        one, other = (swap_words(each, table) for each in text)
        assert isinstance(one.text, str)
        assert isinstance(other.text, str)
        return SwappedText(
            (one.text, other.text),
            one.firsts + other.firsts,
            one.seconds + other.seconds,
            (*one.partners, *other.partners),
        )
    spans, _ = word_spans(text)
    words = [text[start:stop].lower() for start, stop in spans]
    found: dict[int, str] = {}
    partners, firsts = [], 0
    for place, word in enumerate(words):
        ending = "'s" if word.endswith(("'s", "’s")) else ""
        stem = word[: len(word) - len(ending)]
        partner = table.forward.get(stem) or table.back.get(stem)
        if partner is None:
            continue
        if not ending:
            partner = _by_position(stem, partner, text[spans[place][1] :], words[place + 1 : place + 2], table)
        firsts += stem in table.forward
        partners.append((stem, partner))
        start, stop = spans[place]
        original = text[start : stop - len(ending)]
        found[place] = like(original, partner) + text[stop - len(ending) : stop]
    return SwappedText(replace_words(text, spans, found), firsts, len(partners) - firsts, tuple(partners))


def _by_position(word: str, partner: str, rest: str, following: Sequence[str], table: SwapTable) -> str:
    """The partner of "his" and "her", which depends on what follows; of other words the partner itself."""
    is_before_noun = bool(following) and rest[:1].isspace() and following[0] not in AFTER_OBJECT
    if word == "her" and {"him", "his"} <= set(table.forward):
        return "his" if is_before_noun else "him"
    if word == "his" and "hers" in table.back:
        return "her" if is_before_noun else "hers"
    return partner


def like(original: str, word: str) -> str:
    """The word with the capitals of the original."""
    if original.isupper() and len(original) > 1:
        return word.upper()
    return word[:1].upper() + word[1:] if original[:1].isupper() else word
