# SPDX-License-Identifier: Apache-2.0
"""Words that may replace a word of a text: those of a table, or the nearest ones of a net's own embedding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Array, Floats
from assay.model.texts.words import WORD, is_unspaced
from assay.nouns.inputs.rows import to_floats

BLOCK = 64
"""Words that are compared with the vocabulary at a time."""

EMBEDDED = 4096
"""Tokens that are embedded at a time."""

WORD_STARTS = ("Ġ", "▁")
"""What a token begins with that follows a space, in vocabularies that mark this."""


def checked_table(table: Mapping[str, Sequence[Any]]) -> dict[str, tuple[str, ...]]:
    """The candidates of each word, by word; ``InputError`` for entries that are no lists of words."""
    found = {}
    for word, candidates in table.items():
        if isinstance(candidates, str) or not all(isinstance(one, str) and one.strip() for one in candidates):
            raise InputError(
                f"candidates of {word!r}: {str(candidates)[:60]!r} is no list of words. Give a mapping from a word to "
                f"the words that may replace it; delete=True allows words to be deleted."
            )
        found[word] = tuple(dict.fromkeys(one for one in candidates if one != word))
    return found


def from_table(table: Mapping[str, tuple[str, ...]], word: str) -> tuple[str, ...]:
    """The candidates of a word as written, else of the word in lower case."""
    return table.get(word, table.get(word.lower(), ()))


def has_embedding(encode: Any) -> bool:
    """Whether the model's encoder embeds tokens, so that words have neighbours."""
    return hasattr(encode, "embed_token")


def nearest_words(encode: Any, words: Iterable[str], count: int) -> tuple[dict[str, tuple[str, ...]], bool]:
    """The ``count`` nearest other words of each word by the cosine of their embeddings; and whether of a vocabulary.

    A word of several tokens has the mean of their embeddings. Candidates are the whole words of the tokenizer's
    vocabulary; where the tokenizer has none to show, the words given. Words that differ in capitals only are the same.
    """
    different = sorted(set(words))
    own = _unit(np.stack([_mean_embedding(encode, word) for word in different]))
    vocabulary = _vocabulary(encode)
    names = different if vocabulary is None else [name for name, _ in vocabulary]
    vectors = own if vocabulary is None else _unit(_embeddings(encode, [number for _, number in vocabulary]))
    folded = [name.casefold() for name in names]
    found: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(different), BLOCK):
        part = different[start : start + BLOCK]
        likeness = own[start : start + BLOCK] @ vectors.T
        order = np.argsort(-likeness, axis=1, kind="stable")[:, : 4 * count + 4]
        for word, line in zip(part, order.tolist()):
            seen = {word.casefold()}
            chosen: list[str] = []
            for place in line:
                if folded[place] not in seen and len(chosen) < count:
                    seen.add(folded[place])
                    chosen.append(names[place])
            found[word] = tuple(chosen)
    return found, vocabulary is not None


def _unit(vectors: Floats) -> Floats:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0))


def _mean_embedding(encode: Any, word: str) -> Floats:
    tokens = encode.tokenize([word])
    inside = np.flatnonzero(np.asarray(tokens.word)[0] >= 0)
    ids = np.asarray(tokens.ids)[0, inside]
    if vocabulary_of(encode) is not None:  # a word inside a text often starts with a space
        inner = encode.tokenize.tokenizer(f"a {word}", add_special_tokens=False)["input_ids"]
        ids = np.asarray(inner[1:]) if len(inner) > 1 else ids
    return np.asarray(_embeddings(encode, ids.tolist()).mean(axis=0))


def vocabulary_of(encode: Any) -> Any:
    """The vocabulary of the tokenizer by token; ``None`` where it shows none."""
    tokenizer = getattr(encode.tokenize, "tokenizer", None)
    known = getattr(tokenizer, "get_vocab", None)
    return None if known is None else known()


def _vocabulary(encode: Any) -> list[tuple[str, int]] | None:
    """The tokens that are whole words, as text, with their ids, in the order of the ids."""
    known = vocabulary_of(encode)
    if known is None:
        return None
    special = set(getattr(encode.tokenize.tokenizer, "all_special_tokens", ()))
    marked = any(token.startswith(WORD_STARTS) for token in known)
    found: dict[str, int] = {}
    for token, number in sorted(known.items(), key=lambda item: item[1]):
        text = token.lstrip("".join(WORD_STARTS)) if marked else token
        is_start = token.startswith(WORD_STARTS) if marked else not token.startswith("##")
        if is_start and token not in special and WORD.fullmatch(text) and not is_unspaced(text):
            found.setdefault(text, int(number))
    return list(found.items())


def _embeddings(encode: Any, ids: Sequence[int]) -> Floats:
    """The embeddings (token, dimension) of single tokens."""
    import torch as pt

    found: list[Array] = []
    for start in range(0, len(ids), EMBEDDED):
        part = pt.as_tensor(np.asarray(ids[start : start + EMBEDDED], dtype=np.int64)[:, None])
        part = part.to(encode.base.device)
        found.append(encode.embed(part, {"attention_mask": pt.ones_like(part)})[:, 0])
    return to_floats(pt.cat(found))
