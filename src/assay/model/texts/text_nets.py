# SPDX-License-Identifier: Apache-2.0
"""Forward passes of nets that read text: without padding, and with the embeddings of a decoder that reads the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.fingerprint import digest
from assay.basics.types import Array, Ints
from assay.model.adapters.torch import _Net
from assay.model.layer_slices import LayerHook, carried_name
from assay.model.model import BackwardResult, BackwardRules, LayerGradient, Model
from assay.model.nets.net_passes import chain_hooks
from assay.model.texts.padding import real_tokens, trim, trim_values
from assay.nouns.inputs.rows import Rows

if TYPE_CHECKING:
    import torch as pt


@dataclass(frozen=True, eq=False)
class SharedEmbeddingNet(_Net):
    """An encoder-decoder whose decoder reads the same tokens one position later, through an equal embedding.

    Where the embeddings of ``token_layer`` are given, those that ``decoder_layer`` computes from the ids are replaced
    by them, so that a word that is removed or changed is so in the whole net.
    """

    token_layer: str = ""
    decoder_layer: str = ""

    def run(self, rows: Rows, hooks: Mapping[str, LayerHook] | None = None) -> Any:
        """The module's return value; the outputs of layers go through ``hooks``."""
        if self.token_layer not in self.since:
            return super().run(rows, hooks)
        x = rows.x if self.since[-1] == self.token_layer else rows.carried[carried_name(self.token_layer)]

        def shift(out: pt.Tensor) -> pt.Tensor:
            import torch as pt

            return pt.cat([out[:, :1], x[:, :-1].to(out.dtype)], dim=1)

        given = dict(hooks or {})
        known = given.get(self.decoder_layer)
        given[self.decoder_layer] = shift if known is None else chain_hooks(shift, known)
        return super().run(rows, given)


def with_shared_embedding(model: Model, token_layer: str, decoder_layer: str) -> Model:
    """The model of a net that was not cut yet, whose decoder gets the same embeddings."""
    net: Any = model.forward
    own = {item.name: getattr(net, item.name) for item in fields(net)}
    return replace(model, forward=SharedEmbeddingNet(**own, token_layer=token_layer, decoder_layer=decoder_layer))


@dataclass(frozen=True, eq=False)
class UnpaddedNet:
    """A net that reads text, evaluated on rows of one length at a time, without their padding.

    Outputs and gradients come in the order of the rows; values of tokens are 0 at padding.
    """

    net: Any

    def __call__(self, rows: Rows) -> pt.Tensor:
        """The outputs (row, out)."""
        groups = _groups(rows)
        return _join([(group, _spread(self.net(trim(rows, group, places)), rows, places)) for group, places in groups])

    def layer_gradient(
        self, read: Callable[[Array], Array], rows: Rows, layer: str, along: Array | None
    ) -> LayerGradient:
        """The gradient of ``read(outputs)`` at a layer, and the layer's derivative along ``along``."""
        found = []
        for group, places in _groups(rows):
            own = trim(rows, group, places)
            direction = None if along is None else trim_values(along, rows, group, places)
            one = self.net.layer_gradient(_reader(read, group, len(rows)), own, layer, direction)
            parts = (one.gradient, one.activation, one.directional_derivative)
            found.append((group, [None if part is None else _spread(part, rows, places) for part in parts]))
        gradient, activation, derivative = (
            None if found[0][1][i] is None else _join([(group, parts[i]) for group, parts in found]) for i in range(3)
        )
        return LayerGradient(gradient, activation, derivative)

    def backward(
        self,
        read_rows: Callable[[Ints], Callable[[Array], Array]],
        rows: Rows,
        make_rules: Callable[[int], BackwardRules],
        start: Array | None,
    ) -> BackwardResult:
        """A forward pass and a backward pass by rules for each length."""
        values, absorbed, begun, repeated = [], [], [], 0
        for group, places in _groups(rows):
            own = trim(rows, group, places)
            origin = None if start is None else trim_values(start, rows, group, places)
            one = self.net.backward(lambda which, group=group: read_rows(group[which]), own, make_rules, origin)
            values.append((group, _spread(one.values, rows, places)))
            absorbed.append((group, one.absorbed_relevance))
            begun.append((group, one.start))
            repeated += one.repeated_passes
        return BackwardResult(
            _join(values),
            None if any(part is None for _, part in absorbed) else _join(absorbed),
            None if any(part is None for _, part in begun) else _join(begun),
            repeated,
        )

    def row_bytes(self, row: Rows) -> tuple[int, int]:
        """Bytes of one row during a pass, and bytes that the autograd graph stores of it."""
        measured: tuple[int, int] = self.net.row_bytes(row)
        return measured


def without_padding(model: Model) -> Model:
    """The same model, evaluated on texts of one length at a time."""

    def cut(layer: str) -> tuple[Model, Model]:
        assert model.cut is not None
        until, since = model.cut(layer)
        return without_padding(until), without_padding(since)

    def rebuild(net: Any, fingerprint: str, name: str) -> Model:
        assert model.rebuild is not None
        return without_padding(model.rebuild(net, fingerprint, name))

    net = UnpaddedNet(model.forward)
    return replace(
        model,
        forward=net,
        layer_access=net,
        cut=cut,
        rebuild=rebuild,
        fingerprint=digest(model.fingerprint, "without padding"),
    )


def _groups(rows: Rows) -> list[tuple[Ints, Ints]]:
    """The rows that have padding at the same positions (row,), and the positions without padding (token,)."""
    real = real_tokens(rows)
    if real is None:
        return [(np.arange(len(rows)), np.arange(0))]
    patterns, numbers = np.unique(real, axis=0, return_inverse=True)
    numbers = numbers.ravel()
    return [(np.flatnonzero(numbers == i), np.flatnonzero(pattern)) for i, pattern in enumerate(patterns)]


def _spread(values: Array, rows: Rows, places: Ints) -> Array:
    """Values of tokens (row, token, …) with zeros at padding; other values unchanged."""
    real = real_tokens(rows)
    if real is None or values.ndim < 3 or values.shape[1] != len(places) or len(places) == real.shape[1]:
        return values
    spread = values.new_zeros((len(values), real.shape[1], *values.shape[2:]))
    spread[:, places] = values
    return spread


def _join(parts: list[tuple[Ints, Any]]) -> Any:
    """The values of all groups in the order of the rows."""
    import torch as pt

    if len(parts) == 1:
        return parts[0][1]
    shapes = {tuple(values.shape[1:]) for _, values in parts}
    if len(shapes) > 1:
        raise CapabilityError(
            f"texts of different length give shapes {sorted(shapes)} here, and the net does not mask padding. Take "
            f"texts of one length."
        )
    order = np.argsort(np.concatenate([group for group, _ in parts]))
    return pt.cat([pt.as_tensor(values) for _, values in parts])[order]


def _reader(read: Callable[[Array], Array], group: Ints, count: int) -> Callable[[Array], Array]:
    """The target of a group's rows from their outputs: ``read`` expects the outputs of all rows of the batch."""
    places = np.zeros(count, dtype=np.int64)
    places[group] = np.arange(len(group))
    whole = len(group) == count
    return read if whole else lambda out: read(out[places])[group]
