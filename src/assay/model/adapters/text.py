# SPDX-License-Identifier: Apache-2.0
"""Nets that read text: the rows are the embeddings of the tokens, the parts are words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Array, Ints, Masks
from assay.model.adapters.torch import torch as wrapped
from assay.model.layer_slices import ROWS, held, submodule
from assay.model.model import Model
from assay.nouns.inputs.frames import some
from assay.nouns.inputs.rows import Rows, Text
from assay.nouns.inputs.target import Gives
from assay.nouns.results.result import Note

if TYPE_CHECKING:
    import torch as pt

Reads = Literal["first", "last", "mean"]
"""Which position's state the output is computed from: the first token's, the last's, or the mean over tokens."""

Parts = Literal["words", "tokens"]


@dataclass(frozen=True, eq=False)
class Tokens:
    """What a tokenizer made of texts, padded to one length.

    ``ids`` (row, token) are whole numbers. ``word`` (row, token) says to which word of its text a token belongs, −1
    for special tokens and padding, which are no players. ``carried`` are further inputs of the net by name, one line a
    row (an attention mask). ``pieces`` (row, token) are the tokens as text. ``real`` (row, token) says where there is
    no padding; by default the attention mask, else every token of a word. ``words`` are the words as text, by default
    their pieces joined.
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
    """Texts as a model takes them: embeddings (row, token, dimension), and the part of each token, −1 for none."""

    x: Array
    carried: Mapping[str, Array]
    index: Ints
    text: Text
    part: str
    notes: tuple[Note, ...]


@dataclass(frozen=True, eq=False)
class Encoder:
    """Turns texts into rows: tokens, embedded by the net ``base`` up to its layer ``embedding``."""

    tokenize: Tokenize
    base: Model
    embedding: str
    parts: Parts
    id_of: Callable[[str], int] | None = None

    def __call__(self, texts: list[str]) -> Encoded:
        """The texts as embeddings; raises ``InputError`` where a text has no part."""
        tokens = checked(self.tokenize(texts), len(texts))
        index = _numbered(tokens.word, self.parts)
        empty = np.flatnonzero((index < 0).all(axis=1))
        if len(empty):
            raise InputError(f"row {some(empty)}: the text is empty (no token of a word). Leave such rows out.")
        carried = {name: self._placed(value) for name, value in tokens.carried.items()}
        ids = self._placed(tokens.ids)
        text = Text(_words(tokens, index, self.parts), _real(tokens))
        part = "word" if self.parts == "words" else "token"
        return Encoded(self.embedded(ids, carried), {**carried, held(ROWS): ids}, index, text, part, tokens.notes)

    def embedded(self, ids: Array, carried: Mapping[str, Array]) -> Array:
        """Activations (row, token, dimension) of the embedding layer."""
        import torch as pt

        layer = submodule(self.base.net, self.embedding)
        if isinstance(layer, pt.nn.Embedding):  # its own call is all there is to it
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

    def embedding_of(self, token: str) -> Array:
        """The embedding (dimension,) of one token, written as in the vocabulary or as text."""
        number = self.id_of(token) if self.id_of is not None else self._single(token)
        ids = self._placed(np.array([[number]]))
        return self.embedded(ids, {"attention_mask": self._placed(np.ones((1, 1), dtype=np.int64))})[0, 0]

    def _single(self, token: str) -> int:
        tokens = checked(self.tokenize([token]), 1)
        found = tokens.ids[tokens.word >= 0]
        if len(found) != 1:
            raise InputError(f"{token!r} is {len(found)} tokens of this vocabulary; one is needed.")
        return int(found[0])

    def _placed(self, values: Any) -> Array:
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
    read: Reads | None = None,
    device: str | None = None,
    batch: int = 16,
    memory: int | None = None,
    name: str | None = None,
) -> Model:
    """A torch net that takes token ids, as a model of texts.

    The net is called with ids (row, token) and with what ``tokenize(texts)`` carries, by name. ``embedding`` is the
    dotted name of the layer that embeds tokens: its activations (row, token, dimension) are the rows that methods
    move, since a token's number has no derivative. ``parts`` are whole words or single tokens; special tokens and
    padding are no parts, so they are never taken away and keep their value on a path. ``read`` says which position the
    output is computed from, which attention views need. The rest is as for ``assay.model.torch``.

    The net must give a text the same output however far it is padded: mask the padding, or pad to one length.
    """
    options: dict[str, Any] = {"device": device, "gives": gives, "batch": batch, "memory": memory, "name": name}
    base = wrapped(net, classes=classes, output=output, **options)
    return of_text(base, tokenize, embedding, parts, read)


def of_text(
    base: Model,
    tokenize: Tokenize,
    embedding: str,
    parts: Parts,
    read: Reads | None,
    id_of: Callable[[str], int] | None = None,
) -> Model:
    """A model over token ids as a model over their embeddings, which knows how to read texts."""
    if parts not in ("words", "tokens"):
        raise InputError(f'parts={parts!r}; there are "words" and "tokens".')
    if read not in ("first", "last", "mean", None):
        raise InputError(f'read={read!r}; there are "first", "last", "mean" and None.')

    def recomputed(net: Any, fingerprint: str, name: str) -> Model:
        return of_text(base.with_net(net, fingerprint, name), tokenize, embedding, parts, read, id_of)

    since = base.from_layer(embedding)
    return replace(
        since,
        name=base.name,
        recomputed=recomputed,
        encode=Encoder(tokenize, base, embedding, parts, id_of),
        about={**since.about, "reads": "text", **({"read": read} if read is not None else {})},
    )


def token_embedding(model: Model, token: str) -> Array:
    """The embedding (dimension,) of one token, as a start or a stand-in: ``token_embedding(model, "[MASK]")``."""
    if model.encode is None:
        raise CapabilityError(f"{model.name} reads no text; make it with assay.model.text or assay.model.transformers.")
    return model.encode.embedding_of(token)


def checked(tokens: Tokens, rows: int) -> Tokens:
    """Tokens that fit together, or ``InputError``."""
    ids, word = np.asarray(tokens.ids), np.asarray(tokens.word)
    if ids.ndim != 2 or len(ids) != rows or ids.dtype.kind not in "iu":
        raise InputError(
            f"tokenize gave ids of {ids.dtype} {ids.shape} for {rows} texts; needed are whole (row, token)."
        )
    if word.shape != ids.shape or word.dtype.kind not in "iu":
        raise InputError(f"tokenize gave word of {word.dtype} {word.shape} for ids {ids.shape}; one number a token.")
    odd = [name for name, value in tokens.carried.items() if len(value) != rows]
    if odd:
        raise InputError(f"tokenize carries {odd[:5]} of another length than {rows} texts.")
    return replace(tokens, ids=ids.astype(np.int64), word=word.astype(np.int64))


def _numbered(word: Ints, parts: Parts) -> Ints:
    """Parts 0, 1, … of each row in the order of the text, −1 for none."""
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


def _real(tokens: Tokens) -> Masks:
    if tokens.real is not None:
        return np.asarray(tokens.real, dtype=bool)
    mask = tokens.carried.get("attention_mask")
    return np.asarray(mask if mask is not None else tokens.word >= 0).astype(bool)
