# SPDX-License-Identifier: Apache-2.0
"""Adapter for nets that read text: the rows are the embeddings of the tokens, the features are words or tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Array, Ints, Masks
from assay.model.adapters.torch import torch as wrapped
from assay.model.layer_slices import ROWS, carried_name, submodule
from assay.model.model import Model
from assay.nouns.inputs.frames import list_first
from assay.nouns.inputs.rows import Rows, Text
from assay.nouns.inputs.target import Gives
from assay.nouns.results.result import Note

if TYPE_CHECKING:
    import torch as pt

ReadPosition = Literal["first", "last", "mean"]
"""The position whose state the output is computed from: the first token, the last one, or the mean over tokens."""

Parts = Literal["words", "tokens"]


@dataclass(frozen=True, eq=False)
class Tokens:
    """The output of a tokenizer for several texts, padded to one length.

    ``ids`` (row, token) are whole numbers. ``word`` (row, token) is the number of the word that a token belongs to, −1
    for special tokens and padding, which are no features. ``carried`` are further inputs of the net by name, one entry
    a row (an attention mask). ``pieces`` (row, token) are the tokens as text. ``real`` (row, token) is true where there
    is no padding; by default the attention mask, else every token of a word. ``words`` are the words as text, by
    default their joined pieces.
    """

    ids: Ints
    word: Ints
    carried: Mapping[str, Any] = field(default_factory=dict)
    pieces: Sequence[Sequence[str]] = ()
    real: Masks | None = None
    words: Sequence[Sequence[str]] | None = None
    notes: tuple[Note, ...] = ()


Tokenize = Callable[[list[str]], Tokens]


@dataclass(frozen=True, eq=False)
class Encoded:
    """Texts as a model's input: embeddings (row, token, dimension), and the feature of each token, −1 for none."""

    x: Array
    carried: Mapping[str, Array]
    index: Ints
    text: Text
    part: str
    notes: tuple[Note, ...]


@dataclass(frozen=True, eq=False)
class Encoder:
    """A function from texts to rows: tokenizes them, and embeds the tokens with the layer ``embedding`` of ``base``."""

    tokenize: Tokenize
    base: Model
    embedding: str
    parts: Parts
    token_id: Callable[[str], int] | None = None

    def __call__(self, texts: list[str]) -> Encoded:
        """The texts as embeddings; raises ``InputError`` for a text without a word or token."""
        tokens = check_tokens(self.tokenize(texts), len(texts))
        index = _number_parts(tokens.word, self.parts)
        empty = np.flatnonzero((index < 0).all(axis=1))
        if len(empty):
            raise InputError(f"row {list_first(empty)}: the text is empty (no token of a word). Leave such rows out.")
        carried = {name: self._to_tensor(value) for name, value in tokens.carried.items()}
        ids = self._to_tensor(tokens.ids)
        text = Text(_words(tokens, index, self.parts), _real_tokens(tokens))
        part = "word" if self.parts == "words" else "token"
        return Encoded(self.embed(ids, carried), {**carried, carried_name(ROWS): ids}, index, text, part, tokens.notes)

    def embed(self, ids: Array, carried: Mapping[str, Array]) -> Array:
        """Activations (row, token, dimension) of the embedding layer for token ids."""
        import torch as pt

        layer = submodule(self.base.net, self.embedding)
        if isinstance(layer, pt.nn.Embedding):  # no other layer comes before it
            with pt.no_grad():
                found = layer(ids)
        else:
            names = tuple(map(str, range(len(ids))))
            found = self.base.up_to_layer(self.embedding).values(Rows(ids, names, carried))
        if found.ndim != 3 or found.shape[:2] != ids.shape:
            raise CapabilityError(
                f"layer {self.embedding!r} gives shape {tuple(found.shape)} for tokens {tuple(ids.shape)}; an "
                f"embedding gives (row, token, dimension). Name the layer that embeds tokens: embedding=…"
            )
        return found

    def embed_token(self, token: str) -> Array:
        """The embedding (dimension,) of one token, written as in the vocabulary or as text."""
        number = self.token_id(token) if self.token_id is not None else self._single(token)
        ids = self._to_tensor(np.array([[number]]))
        return self.embed(ids, {"attention_mask": self._to_tensor(np.ones((1, 1), dtype=np.int64))})[0, 0]

    def _single(self, token: str) -> int:
        tokens = check_tokens(self.tokenize([token]), 1)
        found = tokens.ids[tokens.word >= 0]
        if len(found) != 1:
            raise InputError(f"{token!r} is {len(found)} tokens of this vocabulary; one is needed.")
        return int(found[0])

    def _to_tensor(self, values: Any) -> Array:
        import torch as pt

        return pt.as_tensor(np.array(values) if not isinstance(values, pt.Tensor) else values.detach().clone()).to(
            self.base.device
        )


def text(
    net: pt.nn.Module,
    tokenize: Tokenize,
    *,
    embedding: str,
    parts: Parts = "words",
    classes: Sequence[str] | None = None,
    output: Callable[[Any], pt.Tensor] | None = None,
    gives: Gives = "logits",
    read: ReadPosition | None = None,
    device: str | None = None,
    batch: int = 16,
    memory: int | None = None,
    name: str | None = None,
) -> Model:
    """A torch net that takes token ids, as a model of texts.

    The net is called with ids (row, token) and, by name, with the further inputs that ``tokenize(texts)`` carries.
    ``embedding`` is the dotted name of the layer that embeds tokens: its activations (row, token, dimension) are the
    rows that methods perturb, since there is no derivative by a token's id. ``parts`` chooses words or tokens as the
    features; special tokens and padding are no features, so they are never removed and stay constant on a path.
    ``read`` is the position that the output is computed from; attention methods need it. The other arguments are those
    of ``assay.model.torch``.

    The net's output for a text must not depend on the padding: mask the padding, or pad to one length.
    """
    options: dict[str, Any] = {"device": device, "gives": gives, "batch": batch, "memory": memory, "name": name}
    base = wrapped(net, classes=classes, output=output, **options)
    return text_model(base, tokenize, embedding, parts, read)


def text_model(
    base: Model,
    tokenize: Tokenize,
    embedding: str,
    parts: Parts,
    read: ReadPosition | None,
    token_id: Callable[[str], int] | None = None,
) -> Model:
    """A model of token ids as a model of their embeddings, with the encoder of texts."""
    if parts not in ("words", "tokens"):
        raise InputError(f'parts={parts!r}; there are "words" and "tokens".')
    if read not in ("first", "last", "mean", None):
        raise InputError(f'read={read!r}; there are "first", "last", "mean" and None.')

    def rebuild(net: Any, fingerprint: str, name: str) -> Model:
        return text_model(base.with_net(net, fingerprint, name), tokenize, embedding, parts, read, token_id)

    since = base.from_layer(embedding)
    return replace(
        since,
        name=base.name,
        rebuild=rebuild,
        encode=Encoder(tokenize, base, embedding, parts, token_id),
        about={**since.about, "reads": "text", **({"read": read} if read is not None else {})},
    )


def token_embedding(model: Model, token: str) -> Array:
    """The embedding (dimension,) of one token, as a baseline or replacement: ``token_embedding(model, "[MASK]")``."""
    if model.encode is None:
        raise CapabilityError(f"{model.name} reads no text; make it with assay.model.text or assay.model.transformers.")
    return model.encode.embed_token(token)


def check_tokens(tokens: Tokens, rows: int) -> Tokens:
    """The tokens with ids and words as int64; raises ``InputError`` where shapes or types do not match."""
    ids, word = np.asarray(tokens.ids), np.asarray(tokens.word)
    if ids.ndim != 2 or len(ids) != rows or ids.dtype.kind not in "iu":
        raise InputError(
            f"tokenize gave ids of {ids.dtype} {ids.shape} for {rows} texts; whole numbers (row, token) are needed."
        )
    if word.shape != ids.shape or word.dtype.kind not in "iu":
        raise InputError(
            f"tokenize gave word of {word.dtype} {word.shape} for ids {ids.shape}; each token needs a whole number."
        )
    odd = [name for name, value in tokens.carried.items() if len(value) != rows]
    if odd:
        raise InputError(f"tokenize carries {odd[:5]} of another length than {rows} texts.")
    return replace(tokens, ids=ids.astype(np.int64), word=word.astype(np.int64))


def _number_parts(word: Ints, parts: Parts) -> Ints:
    """Number 0, 1, … of each token's feature in the order of the text, −1 for none (row, token)."""
    index = np.full(word.shape, -1, dtype=np.int64)
    for row, own in zip(index, word):
        kept = own >= 0
        row[kept] = np.arange(kept.sum()) if parts == "tokens" else np.unique(own[kept], return_inverse=True)[1]
    return index


def _words(tokens: Tokens, index: Ints, parts: Parts) -> tuple[tuple[str, ...], ...]:
    if tokens.words is not None and parts == "words":
        return tuple(tuple(row) for row in tokens.words)
    if not len(tokens.pieces):
        return tuple(tuple(str(i + 1) for i in range(row.max() + 1)) for row in index)
    return tuple(
        tuple("".join(pieces[i] for i in np.flatnonzero(row == part).tolist()).strip() for part in range(row.max() + 1))
        for row, pieces in zip(index, tokens.pieces)
    )


def _real_tokens(tokens: Tokens) -> Masks:
    if tokens.real is not None:
        return np.asarray(tokens.real, dtype=bool)
    mask = tokens.carried.get("attention_mask")
    return np.asarray(mask if mask is not None else tokens.word >= 0).astype(bool)
