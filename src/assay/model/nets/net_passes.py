# SPDX-License-Identifier: Apache-2.0
"""Passes of a torch net that read a layer, replace its output, or propagate the target back by rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Array, Ints
from assay.model.layer_slices import LayerHook
from assay.model.model import BackwardResult, BackwardRules, LayerGradient
from assay.model.pass_locks import forward_mode, kernel_settings
from assay.nouns.inputs.rows import Rows

if TYPE_CHECKING:
    import torch as pt

Read = Callable[[Array], Array]
"""The target (row,) as a function of a net's outputs."""


class OpenNet(Protocol):
    """A torch net whose layers can be read; ``row_axes`` remembers the axis of a layer's output that is the row."""

    @property
    def module(self) -> Any:
        """The torch module."""

    @property
    def row_axes(self) -> dict[str, int]:
        """The axis of the row, for layers where a pass has found it."""

    def run(self, rows: Rows, hooks: Mapping[str, LayerHook] | None = None) -> Any:
        """The module's return value; the outputs of layers go through ``hooks``."""

    def scores(self, out: Any, rows: Rows) -> pt.Tensor:
        """The scores (row, class) in the module's return value."""

    def for_gradients(self, rows: Rows, *layers: str) -> OpenNet:
        """The same function, arranged for gradients."""


def differentiable_recurrence(module: pt.nn.Module, x: pt.Tensor) -> AbstractContextManager[Any]:
    """Context in which recurrent layers on a GPU can be differentiated: cuDNN's have no gradient in evaluation mode."""
    import torch as pt

    recurrent = x.device.type != "cpu" and any(isinstance(one, pt.nn.RNNBase) for one in module.modules())
    if not recurrent or not pt.is_grad_enabled():
        return nullcontext()
    now = pt.backends.cudnn
    off = now.flags(enabled=False, benchmark=now.benchmark, deterministic=now.deterministic)
    return kernel_settings(off)


def read_layer(net: OpenNet, rows: Rows, layer: str) -> tuple[pt.Tensor, Any]:
    """A layer's activations, row first, and the module's return value."""
    recorded: list[pt.Tensor] = []
    out = net.run(rows, {layer: lambda one: recorded.append(one.clone())})  # the next layer may work in place
    activation = recorded[-1]
    return activation.movedim(row_axis(net, rows, layer, tuple(activation.shape)), 0), out


def layer_gradient(net: OpenNet, read: Read, rows: Rows, layer: str, along: Array | None) -> LayerGradient:
    """The gradient of ``read(outputs)`` at a layer, and the layer's derivative along ``along``, in one pass."""
    import torch as pt
    from torch.autograd import forward_ad

    given, net = rows, net.for_gradients(rows, layer)
    leaf: list[pt.Tensor] = []
    tangents: list[pt.Tensor] = []

    def start_graph(out: pt.Tensor) -> pt.Tensor:
        dual = forward_ad.unpack_dual(out) if along is not None else None  # type: ignore[no-untyped-call]  # torch gives it no types
        if dual is not None:
            tangents.append(pt.zeros_like(out) if dual.tangent is None else dual.tangent.detach().clone())
        primal = out if dual is None else dual.primal
        leaf.append(primal.detach().clone().requires_grad_(True))
        return leaf[-1].clone()  # the next layer may work in place

    with pt.enable_grad(), ExitStack() as stack:
        if along is not None:
            stack.enter_context(forward_mode())
            dual = forward_ad.make_dual(rows.x.detach(), along)  # type: ignore[no-untyped-call]  # torch gives it no types
            rows = replace(rows, x=dual)
        total = read(net.scores(net.run(rows, {layer: start_graph}), rows)).sum()
        gradient = pt.autograd.grad(total, leaf[-1], materialize_grads=True)[0]
    axis = row_axis(net, given, layer, tuple(gradient.shape))
    found = [one.movedim(axis, 0) for one in (gradient, leaf[-1].detach(), *tangents[-1:])]
    return LayerGradient(found[0], found[1], found[2] if tangents else None)


def backward(
    net: OpenNet,
    read_rows: Callable[[Ints], Read],
    rows: Rows,
    make_rules: Callable[[int], BackwardRules],
    start: Array | None,
) -> BackwardResult:
    """One forward pass in the rules' context, and one backward pass; repeated row by row where rules need it.

    ``read_rows(which)`` is the target of those rows, since each has its own label.
    """
    import torch as pt

    rules = make_rules(len(rows))
    own = net.for_gradients(rows) if rules.allows_folding else net
    with pt.enable_grad():
        leaf, x = rules.begin(rows.x.detach(), start)
        rules.mode.watch(x, _least_precise(net.module, x))
        with rules.mode:
            given = replace(rows, x=x)
            total = read_rows(np.arange(len(rows)))(own.scores(own.run(given), given))
        rules.mode.refuse_unseen(total)
        if not total.requires_grad:
            raise CapabilityError("nothing reaches the input: every path from it ends in a constant.")
        values = pt.autograd.grad(total.sum(), leaf, materialize_grads=True)[0]
    result = rules.end(values, total)
    if result is not None:
        return result
    each = []
    for row in range(len(rows)):
        read_row = read_rows(np.array([row]))
        row_start = None if start is None else start[row : row + 1]
        each.append(backward(net, partial(_always, read_row), rows.take(np.array([row])), make_rules, row_start))
    absorbed = pt.cat([pt.as_tensor(one.absorbed_relevance) for one in each])
    return BackwardResult(pt.cat([one.values for one in each]), absorbed, repeated_passes=len(rows))


def _always(read: Read, which: Ints) -> Read:
    """The target of a batch of one row."""
    return read


def _least_precise(module: pt.nn.Module, x: pt.Tensor) -> pt.dtype:
    """The least precise floating-point type of the weights and the input."""
    import torch as pt

    kinds = {x.dtype, *(one.dtype for one in module.parameters() if one.is_floating_point())}
    return max(kinds, key=lambda kind: pt.finfo(kind).eps)


def row_axis(net: OpenNet, rows: Rows, layer: str, shape: tuple[int, ...]) -> int:
    """The axis of a layer's output ``shape`` that runs over the rows: the first, unless its length tells otherwise."""
    axes = [axis for axis, length in enumerate(shape) if length == len(rows)]
    if axes == [0] and layer not in net.row_axes:
        return 0
    axis = find_row_axis(net, rows, layer)
    if axis not in axes:
        raise CapabilityError(_no_row(layer, shape, len(rows)))
    return axis


def find_row_axis(net: OpenNet, rows: Rows, layer: str) -> int:
    """The axis of a layer's output that grows with the number of rows, found by passes of two rows and of three."""
    import torch as pt

    if layer not in net.row_axes:
        shapes: list[tuple[int, ...]] = []
        for count in (2, 3):
            few = rows.take(np.zeros(count, dtype=np.int64))
            with pt.no_grad():
                net.run(replace(few, x=few.x.detach()), {layer: lambda out: shapes.append(tuple(out.shape))})
        grown = [axis for axis, lengths in enumerate(zip(*shapes)) if lengths != (lengths[0],) * 2]
        if len(shapes[0]) != len(shapes[1]) or [shapes[0][axis] for axis in grown] != [2] or shapes[1][grown[0]] != 3:
            raise CapabilityError(_no_row(layer, shapes[0], 2))
        net.row_axes[layer] = grown[0]
    return net.row_axes[layer]


def _no_row(layer: str, shape: tuple[int, ...], rows: int) -> str:
    return (
        f"layer {layer!r} gives shape {shape} for {rows} row{'s' if rows > 1 else ''}; one of its axes must be the "
        f"row. Choose a layer with one output for each row."
    )


def replacements(net: OpenNet, rows: Rows, given: Mapping[str, pt.Tensor]) -> dict[str, LayerHook]:
    """Hooks that replace the outputs of layers by activations, row first; ``net`` and ``rows`` are those before a cut.

    Where the shape leaves open which axis of the output is the row, passes of a few rows find it.
    """
    hooks = {}
    for layer, activation in given.items():
        is_open = layer in net.row_axes or activation.shape[0] in activation.shape[1:]  # no len: an export traces it
        hooks[layer] = replace_output(layer, activation, find_row_axis(net, rows, layer) if is_open else None)
    return hooks


def replace_output(layer: str, activation: pt.Tensor, axis: int | None) -> LayerHook:
    """A hook that replaces a layer's output by ``activation``, whose first axis is the output's axis ``axis``."""
    import torch as pt

    def hook(out: pt.Tensor) -> pt.Tensor:
        axes = range(activation.ndim) if axis is None else (axis,)
        fitting = [one for one in axes if activation.movedim(0, one).shape == out.shape]
        if not fitting:
            raise CapabilityError(_no_row(layer, tuple(out.shape), len(activation)))
        if fitting[0] == 0:
            return activation.to(out.dtype).clone()  # keeps the memory format of images
        return activation.movedim(0, fitting[0]).to(out.dtype).clone(memory_format=pt.contiguous_format)

    return hook


def chain_hooks(first: LayerHook, second: LayerHook) -> LayerHook:
    """Two hooks of one layer, one after the other."""

    def both(out: pt.Tensor) -> pt.Tensor | None:
        new = first(out)
        out = out if new is None else new
        after = second(out)
        return new if after is None else after

    return both
