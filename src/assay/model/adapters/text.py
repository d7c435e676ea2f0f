# SPDX-License-Identifier: Apache-2.0
"""Adapter for nets that read text: the rows are the embeddings of the tokens, the features are words or tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from assay.basics.errors import AssayError, CapabilityError, InputError
from assay.basics.types import Array, Floats, Ints, Masks
from assay.model.adapters.torch import torch as wrapped
from assay.model.layer_slices import ROWS, carried_name, find_layer_call
from assay.model.model import Model
from assay.model.texts.text_nets import without_padding
from assay.model.texts.words import TextRow
from assay.nouns.inputs.frames import list_first
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.rows import Rows, Text, to_floats
from assay.nouns.results.result import Note

if TYPE_CHECKING:
    import torch as pt

ReadPosition = Literal["first", "last", "mean"]
"""The position whose state the output is computed from: the first token, the last one, or the mean over tokens."""

Parts = Literal["words", "tokens"]

PADDING_TOLERANCE = {"float64": 1e-6, "float32": 1e-5, "float16": 0.02, "bfloat16": 0.1}
"""Change of outputs, relative to the largest or to 1, that batches of other shapes may cause, by number type."""


PASS_FAILURES = (RuntimeError, ValueError, IndexError, AssertionError)
"""What a net raises that cannot evaluate tokens of some length."""


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


Tokenize = Callable[[Any], Tokens]
"""A function from a list of texts, or of pairs of texts, to their tokens."""


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
    """A function from texts to rows: tokenizes them, and embeds the tokens with the layer ``embedding`` of ``base``.

    With ``masked`` the outputs must not depend on the padding, which the first texts of different length check.
    """

    tokenize: Tokenize
    base: Model
    embedding: str
    parts: Parts
    token_id: Callable[[str], int] | None = None
    masked: bool = True
    checked: list[bool] = field(default_factory=list)
    ordered: list[bool] = field(default_factory=list)

    def __call__(self, texts: Sequence[TextRow]) -> Encoded:
        """The texts as embeddings; raises ``InputError`` for a text without a word or token."""
        tokens = check_tokens(self.tokenize(texts), len(texts))
        index = _number_parts(tokens.word, self.parts)
        empty = np.flatnonzero((index < 0).all(axis=1))
        if len(empty):
            raise InputError(f"row {list_first(empty)}: the text is empty (no token of a word). Leave such rows out.")
        carried = {name: self._to_tensor(value) for name, value in tokens.carried.items()}
        ids = self._to_tensor(tokens.ids)
        text = Text(_words(tokens, index, self.parts), _real_tokens(tokens), tuple(texts))
        self._check_padding(texts, tokens, text.real)
        part = "word" if self.parts == "words" else "token"
        x = self.embed(ids, carried)
        self._check_order(ids, carried, x)
        return Encoded(x, {**carried, carried_name(ROWS): ids}, index, text, part, tokens.notes)

    def embed(self, ids: Array, carried: Mapping[str, Array]) -> Array:
        """Activations (row, token, dimension) of the embedding layer for token ids."""
        import torch as pt

        layer = find_layer_call(self.base.net, self.embedding)[0]
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

    def _check_order(self, ids: Array, carried: Mapping[str, Array], x: Array) -> None:
        """Raise ``CapabilityError`` where the net embeds other ids, or in another order, than it is given."""
        import torch as pt

        if self.ordered:
            return
        few = np.arange(min(2, len(ids)))
        rows = Rows(ids[few], tuple(map(str, few)), {name: value[few] for name, value in carried.items()})
        own = self.base.up_to_layer(self.embedding).values(rows)
        if own.shape != x[few].shape or not pt.allclose(own.double(), x[few].double(), rtol=1e-2, atol=1e-6):
            raise CapabilityError(
                f"{self.base.name} embeds {tuple(own.shape)} tokens at layer {self.embedding!r} in another order, or "
                f"other ones, than the {tuple(ids[few].shape)} ids given, so the words of embeddings are unknown. "
                f"Give the ids as the net embeds them (reversed, padded), or name another layer: embedding=…"
            )
        self.ordered.append(True)

    def _check_padding(self, texts: Sequence[TextRow], tokens: Tokens, real: Masks) -> None:
        """Raise ``CapabilityError`` where the shortest text has another output alone than among longer ones."""
        lengths = real.sum(axis=1)
        if not self.masked or self.checked or len(set(lengths.tolist())) < 2:
            return
        self.checked.append(True)
        row = int(lengths.argmin())
        alone = check_tokens(self.tokenize([texts[row]]), 1)
        if alone.ids.shape[1] == tokens.ids.shape[1]:  # texts are always padded to one length
            return
        change = padding_effect(self.base, alone, tokens, row)
        if change > 0:
            raise CapabilityError(
                f"row {row}: the output of {self.base.name} changes by {change:.2g} when the text is padded among "
                f"longer ones. Mask the padding in the net, pad all texts to one length, or evaluate texts of one "
                f"length at a time: assay.model.text(…, masked=False)."
            )
        if change == 0 and (tokens.real is not None or "attention_mask" in tokens.carried):
            layout = getattr(self.base.forward, "layout", None)
            if layout is not None and self._evaluates_unpadded(alone):
                layout.per_token = _inputs_per_token(alone, tokens)

    def _evaluates_unpadded(self, alone: Tokens) -> bool:
        """Whether the net can start from embeddings without padding; some nets pad the ids themselves."""
        ids = self._to_tensor(alone.ids)
        carried = {name: self._to_tensor(value) for name, value in alone.carried.items()}
        try:
            rows = Rows(self.embed(ids, carried), ("0",), {**carried, carried_name(ROWS): ids})
            own, known = self.base.from_layer(self.embedding).values(rows), self.base.values(Rows(ids, ("0",), carried))
        except (AssayError, *PASS_FAILURES):
            return False
        tolerance = PADDING_TOLERANCE.get(self.base.dtype, 1e-5)
        return bool(np.allclose(to_floats(own), to_floats(known), rtol=tolerance, atol=tolerance))

    @property
    def mask_token(self) -> str | None:
        """The token that stands for a removed word: the vocabulary's mask, else its padding; ``None`` if unknown."""
        return getattr(self.tokenize, "mask_token", None)

    def _single(self, token: str) -> int:
        tokens = check_tokens(self.tokenize([token]), 1)
        found = tokens.ids[tokens.word >= 0]
        if len(found) != 1:
            raise InputError(f"{token!r} is {len(found)} tokens of this vocabulary; one is needed.")
        return int(found[0])

    def _to_tensor(self, values: Any) -> Array:
        return _tensor(values, self.base.device)


def text(
    net: pt.nn.Module,
    tokenize: Tokenize,
    *,
    embedding: str,
    parts: Parts = "words",
    classes: Sequence[str] | None = None,
    output: Callable[[Any], pt.Tensor] | None = None,
    gives: str | None = None,
    read: ReadPosition | None = None,
    masked: bool = True,
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

    The net's output for a text must not depend on the padding, which is checked: mask the padding, or pad to one
    length. With ``masked=False`` texts of one length are evaluated at a time, without padding; the tokens that
    ``tokenize`` calls real, by default those of the attention mask, are passed.
    """
    known = gives if gives is not None or masked else "logits"  # batches by length hide the last operation
    options: dict[str, Any] = {"device": device, "gives": known, "batch": batch, "memory": memory, "name": name}
    base = wrapped(net, classes=classes, output=output, **options)
    return text_model(base, tokenize, embedding, parts, read, masked=masked)


def text_model(
    base: Model,
    tokenize: Tokenize,
    embedding: str,
    parts: Parts,
    read: ReadPosition | None,
    token_id: Callable[[str], int] | None = None,
    *,
    masked: bool = True,
) -> Model:
    """A model of token ids as a model of their embeddings, with the encoder of texts."""
    if parts not in ("words", "tokens"):
        raise InputError(f'parts={parts!r}; there are "words" and "tokens".')
    if read not in ("first", "last", "mean", None):
        raise InputError(f'read={read!r}; there are "first", "last", "mean" and None.')

    def rebuild(net: Any, fingerprint: str, name: str) -> Model:
        other = base.with_net(net, fingerprint, name)
        return text_model(other, tokenize, embedding, parts, read, token_id, masked=masked)

    since = base.from_layer(embedding)

    def with_kind(kind: OutputKind) -> Model:
        assert base.with_kind is not None
        return text_model(base.with_kind(kind), tokenize, embedding, parts, read, token_id, masked=masked)

    found = replace(
        since,
        name=base.name,
        rebuild=rebuild,
        with_kind=None if base.with_kind is None else with_kind,
        encode=Encoder(tokenize, base, embedding, parts, token_id, masked),
        about={**since.about, "reads": "text", **({"read": read} if read is not None else {})},
    )
    return found if masked else without_padding(found)


def padding_effect(base: Model, alone: Tokens, together: Tokens, row: int) -> float:
    """How far the output of a text alone differs from that of the same text padded among others, as row ``row``.

    0 within float tolerance, infinite where the net cannot evaluate padded texts, and NaN where it cannot evaluate the
    text alone.
    """

    def outputs(tokens: Tokens, which: Ints) -> Floats:
        rows = Rows(
            _tensor(tokens.ids[which], base.device),
            tuple(map(str, which)),
            {name: _tensor(np.asarray(value)[which], base.device) for name, value in tokens.carried.items()},
        )
        return to_floats(base.values(rows))

    try:
        own = outputs(alone, np.array([0]))
    except PASS_FAILURES:
        return float("nan")
    try:
        padded = outputs(together, np.array([row]))
    except PASS_FAILURES:
        return float("inf")
    change = float(np.abs(own - padded).max())
    tolerance = PADDING_TOLERANCE.get(base.dtype, 1e-5) * max(1.0, float(np.abs(own).max()))
    return change if change > tolerance else 0.0


def _inputs_per_token(alone: Tokens, together: Tokens) -> frozenset[str] | None:
    """The inputs of one value a token, by what differs between two lengths; ``None`` where others differ, too."""
    names = set()
    for name, value in together.carried.items():
        own, other = np.shape(alone.carried[name])[1:], np.shape(value)[1:]
        if own == other:
            continue
        if (own, other) != (alone.ids.shape[1:], together.ids.shape[1:]):
            return None
        names.add(name)
    return frozenset(names)


def _tensor(values: Any, device: str) -> Array:
    import torch as pt

    return pt.as_tensor(np.array(values) if not isinstance(values, pt.Tensor) else values.detach().clone()).to(device)


def token_embedding(model: Model, token: str) -> Array:
    """The embedding (dimension,) of one token, as a baseline or replacement: ``token_embedding(model, "[MASK]")``."""
    if not hasattr(model.encode, "embed_token"):
        raise CapabilityError(
            f"{model.name} embeds no tokens; make it with assay.model.text or assay.model.transformers. A model of raw "
            f"texts has replacement=… instead."
        )
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
