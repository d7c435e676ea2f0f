# SPDX-License-Identifier: Apache-2.0
"""A Hugging Face tokenizer as a function from texts to padded tokens, with the word that each token belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Ints
from assay.model.adapters.text import Parts, Tokens
from assay.model.texts.words import Span, TextRow, is_unspaced
from assay.nouns.inputs.frames import list_first
from assay.nouns.results.result import Note

PROBE, PROBED = "a b c", 7
"""A text whose special tokens are those of every text, and the number of ordinary tokens of probes."""


@dataclass(frozen=True, eq=False)
class HubTokenizer:
    """A private copy of a tokenizer, as a function from texts, or pairs of texts, to ``Tokens`` padded on the right.

    ``inputs`` are the names of the net's arguments, ``pad`` is the id of padding, ``longest`` the largest number of
    tokens. ``decoder_start`` is the one id that the decoder of an encoder-decoder gets, ``None`` for other nets. The
    number of tokens with padding is a multiple of ``window``, for nets that would pad their input to it.
    """

    tokenizer: Any
    inputs: tuple[str, ...]
    pad: int
    longest: int | None
    truncate: bool
    parts: Parts
    decoder_start: int | None = None
    window: int = 1

    def __post_init__(self) -> None:
        if self.parts == "words" and not self.fast:
            raise CapabilityError(
                f"{type(self.tokenizer).__name__} is a slow tokenizer, which does not give the words of tokens; use "
                f'its fast version, or parts="tokens".'
            )

    @property
    def fast(self) -> bool:
        """Whether the tokenizer gives the positions of tokens in the text."""
        return bool(getattr(self.tokenizer, "is_fast", False))

    @property
    def carried_names(self) -> tuple[str, ...]:
        """The names of further inputs that the net takes."""
        takes_any = any(name.startswith("**") for name in self.inputs)
        return tuple(n for n in ("attention_mask", "token_type_ids") if n in self.inputs or (takes_any and n[0] == "a"))

    @property
    def mask_token(self) -> str | None:
        """The token of a removed word: the mask, else the padding; ``None`` where the vocabulary has neither."""
        known = (getattr(self.tokenizer, name, None) for name in ("mask_token", "pad_token"))
        return next((str(token) for token in known if token is not None), None)

    def __call__(self, texts: Sequence[TextRow]) -> Tokens:
        """The tokens of texts, or of pairs of texts, padded on the right."""
        rows = [self._tokenize(text) for text in texts]
        notes: list[Note] = []
        long = [i for i, row in enumerate(rows) if self.longest is not None and len(row.ids) > self.longest]
        if long:
            lengths = [len(rows[i].ids) for i in long]
            if not self.truncate:
                raise InputError(
                    f"row {list_first(np.array(long))}: {list_first(np.array(lengths))} tokens; at most "
                    f"{self.longest} fit. Shorten the texts, or give the model truncate=True."
                )
            notes.append(_truncation_note(long, self.longest))
            for i in long:
                rows[i] = self._tokenize(texts[i], truncation=True, max_length=self.longest)
        cut = [i for i, row in enumerate(rows) if row.is_cut]
        if cut and self.parts == "words":
            notes.append(_pieces_note(cut))
        return self._pad(rows, tuple(notes))

    def probe(self, counts: Sequence[int]) -> Tokens:
        """Texts of so many ordinary tokens, with the special tokens around them, whatever words the vocabulary has."""
        bare = self._tokenize(PROBE)
        inside = [i for i, number in enumerate(bare.word) if number >= 0]
        before, after = (bare.ids[: inside[0]], bare.ids[inside[-1] + 1 :]) if inside else (bare.ids, [])
        special = set(getattr(self.tokenizer, "all_special_ids", ())) | {self.pad}
        ordinary = sorted(set(self.tokenizer.get_vocab().values()) - special, reverse=True)[:PROBED] or [self.pad]
        rows = []
        for count in counts:
            ids = [*before, *(ordinary[i % len(ordinary)] for i in range(count)), *after]
            rows.append(_TokenizedText(ids, [0] * len(ids), [""] * len(ids), None, None))
        return self._pad(rows, (), has_kinds="token_type_ids" in getattr(self.tokenizer, "model_input_names", ()))

    def token_id(self, token: str) -> int:
        """The id of one token, written as in the vocabulary or as text."""
        known = self.tokenizer.get_vocab()
        if token in known:
            return int(known[token])
        found = self.tokenizer(token, add_special_tokens=False)["input_ids"]
        if len(found) != 1:
            raise InputError(
                f"{token!r} is {len(found)} tokens of this vocabulary ({self.tokenizer.convert_ids_to_tokens(found)}); "
                f"one is needed. A word inside a sentence often starts with a space."
            )
        return int(found[0])

    def _tokenize(self, row: TextRow, **options: Any) -> _TokenizedText:
        texts = (row,) if isinstance(row, str) else tuple(row)
        given = self.tokenizer(
            *texts,
            padding=False,
            return_special_tokens_mask=True,
            return_offsets_mapping=self.fast,
            verbose=False,
            **options,
        )
        ids, special = list(given["input_ids"]), [bool(flag) for flag in given["special_tokens_mask"]]
        kinds = given.get("token_type_ids")
        if not self.fast:
            word = [-1 if flag else i for i, flag in enumerate(special)]
            return _TokenizedText(ids, word, list(map(str, self.tokenizer.convert_ids_to_tokens(ids))), kinds, None)
        word, words, pieces, is_cut = [-1] * len(ids), list[str](), [""] * len(ids), False
        named = zip(given.word_ids(), given.sequence_ids(), special)
        own = [(number, 0 if sentence is None else sentence, flag) for number, sentence, flag in named]
        for sentence, text in enumerate(texts):
            places = [
                i for i, (number, of, flag) in enumerate(own) if of == sentence and number is not None and not flag
            ]
            offsets = [given["offset_mapping"][i] for i in places]
            numbers, cut = number_words(text, offsets, [int(own[i][0] or 0) for i in places])
            prefix = f"{sentence + 1}: " if len(texts) > 1 else ""
            for i, number, (start, stop) in zip(places, numbers, offsets):
                word[i] = len(words) + number
                pieces[i] = (prefix if self.parts == "tokens" else "") + text[start:stop]
            words += [f"{prefix}{one}" for one in join_pieces(text, numbers, offsets)]
            is_cut = is_cut or cut
        return _TokenizedText(ids, word, pieces, kinds, words, is_cut)

    def _pad(self, rows: Sequence[_TokenizedText], notes: tuple[Note, ...], *, has_kinds: bool = False) -> Tokens:
        """The rows in one array; token types are carried where some are not 0, their default, or with ``has_kinds``."""
        width = self.window * -(-max(len(row.ids) for row in rows) // self.window)

        def padded(values: Sequence[Sequence[int]], value: int) -> Ints:
            out = np.full((len(rows), width), value, dtype=np.int64)
            for line, own in zip(out, values):
                line[: len(own)] = own
            return out

        mask = padded([[1] * len(row.ids) for row in rows], 0)
        carried = {"attention_mask": mask} if "attention_mask" in self.carried_names else {}
        has_kinds = has_kinds or any(any(row.kinds or []) for row in rows)
        if "token_type_ids" in self.inputs and has_kinds:
            carried["token_type_ids"] = padded([row.kinds or [] for row in rows], 0)
        if self.decoder_start is not None:
            carried["decoder_input_ids"] = np.full((len(rows), 1), self.decoder_start, dtype=np.int64)
        words = [row.words for row in rows if row.words is not None]
        return Tokens(
            padded([row.ids for row in rows], self.pad),
            padded([row.word for row in rows], -1),
            carried,
            [row.pieces + [""] * (width - len(row.ids)) for row in rows],
            mask.astype(bool),
            words if len(words) == len(rows) else None,
            notes,
        )


@dataclass(frozen=True, eq=False)
class _TokenizedText:
    """The tokens of one text; ``is_cut`` where words of the tokenizer were cut into their tokens."""

    ids: list[int]
    word: list[int]
    pieces: list[str]
    kinds: list[int] | None
    words: list[str] | None
    is_cut: bool = False


def _truncation_note(rows: Sequence[int], longest: int | None) -> Note:
    return Note("truncated", f"{len(rows)} texts cut to {longest} tokens: row {list_first(np.array(rows))}")


def _pieces_note(rows: Sequence[int]) -> Note:
    return Note(
        "pieces",
        f"{len(rows)} texts are not cut into words but into the tokenizer's pieces, where they have one word only or "
        f"no spaces between words: row {list_first(np.array(rows))}",
    )


def number_words(text: str, offsets: Sequence[Span], given: Sequence[int]) -> tuple[list[int], bool]:
    """The number 0, 1, … of each token's word, and whether words were cut into tokens.

    The tokenizer's words ``given`` (token,) are kept, unless it makes one word of a text with spaces: then a new word
    begins after white space. A word in a script without spaces, and the one word of a text, is cut into its tokens;
    tokens that share a character stay together.
    """
    numbers = list(given)
    if len(set(numbers)) < 2 and len(text.split()) > 1:
        numbers = words_by_spaces(text, offsets)
    only = len(set(numbers)) == 1
    found: list[int] = []
    end, has_text, is_cut = 0, False, False
    for place, ((start, stop), number) in enumerate(zip(offsets, numbers)):
        blank = not text[start:stop].strip()
        if place == 0 or number != numbers[place - 1]:
            cut = only or is_unspaced(_word_text(text, number, numbers, offsets))
            found.append(found[-1] + 1 if found else 0)
            has_text, end = not blank, stop
        elif cut and has_text and not blank and start >= end:
            found.append(found[-1] + 1)
            is_cut, end = True, stop
        else:
            found.append(found[-1])
            has_text, end = has_text or not blank, max(end, stop)
    return found, is_cut


def _word_text(text: str, number: int, numbers: Sequence[int], offsets: Sequence[Span]) -> str:
    own = [span for span, other in zip(offsets, numbers) if other == number]
    return text[min(start for start, _ in own) : max(stop for _, stop in own)]


def words_by_spaces(text: str, offsets: Sequence[Span]) -> list[int]:
    """The word of each token where the tokenizer does not give it: a new word begins after white space."""
    word, number, end = [], -1, 0
    for start, stop in offsets:
        if number < 0 or text[end:start].strip() != text[end:start] or text[start : start + 1].isspace():
            number += 1
        word.append(number)
        end = max(end, stop)
    return word


def join_pieces(text: str, word: Sequence[int], offsets: Sequence[Span]) -> list[str]:
    """Each word as it is written in the text."""
    spans: dict[int, Span] = {}
    for number, (start, stop) in zip(word, offsets):
        first, last = spans.get(number, (start, stop))
        spans[number] = min(first, start), max(last, stop)
    return [text[start:stop].strip() for _, (start, stop) in sorted(spans.items())]
