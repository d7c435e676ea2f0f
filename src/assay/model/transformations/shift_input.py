# SPDX-License-Identifier: Apache-2.0
"""A net that takes shifted inputs: f'(x + m) = f(x), where the first layers subtract what m adds to them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.fingerprint import digest
from assay.basics.types import Floats
from assay.model.model import Model
from assay.nouns.inputs.rows import Rows
from assay.nouns.results.result import Note

if TYPE_CHECKING:
    import torch as pt

AFFINE = ("Linear", "Conv1d", "Conv2d", "Conv3d", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d")
"""Kinds of layers that add W m where their input is shifted by m."""

MOST_LAYERS = 64
"""The most layers that may read the input itself."""

ROUNDING = 1e4
"""Differences up to so many units of the number type's precision, relative to the values, are rounding errors."""


def has_affine_layer(net: Any) -> bool:
    """Whether a module has a layer whose bias can subtract a shift of its input."""
    return net is not None and any(type(module).__name__ in AFFINE for module in net.modules())


def shift_input(model: Model, rows: Rows, move: Floats) -> Model:
    """The net f' with f'(x + m) = f(x) for all x; ``move`` is m (*shape), in the units of the rows.

    Every linear, convolutional or batch-norm layer that reads the input (reshaped, permuted, or after an affine
    ``preprocess``) gets its bias b − W m, and a zero padding becomes a padding with m. Where m differs between the
    positions of a convolution, a forward hook subtracts W m. The layers are found by passes over three fixed inputs of
    the shape of ``rows``, which are not counted. ``CapabilityError`` where another kind of layer reads the input, so
    that f' does not exist in this form.
    """
    if model.net is None:
        raise CapabilityError(f"{model.name} is no torch net, so no layer can subtract a shift of the input.")
    net = copy.deepcopy(model.net)
    fingerprint = digest(model.fingerprint, "input shift", move)
    other = model.with_net(net, fingerprint, f"{model.name}, input shifted")
    note = Note("shifted-input", "the first layers subtract a constant that is added to the input")
    other = replace(
        other, notes=(*other.notes, note), fingerprint=fingerprint, meter=model.meter, batch=model.batch, fast=False
    )
    plain, shifted = _probes(rows, np.zeros_like(move)), _probes(rows, move)
    original = _calls(model, model.net, plain)
    for _ in range(MOST_LAYERS):
        found = _calls(other, net, shifted)
        if [call.name for call in found.layers] != [call.name for call in original.layers]:
            raise CapabilityError(_refusal(model, "its layers are called in another order on shifted inputs"))
        changed = next(((a, b) for a, b in zip(original.layers, found.layers) if _differ(a.output, b.output)), None)
        if changed is None:
            break
        if not _correct(net.get_submodule(changed[0].name), *changed):
            raise CapabilityError(_refusal(model, f"layer {changed[0].name!r} gets more than a constant"))
    if _differ(original.output, _calls(other, net, shifted).output):
        raise CapabilityError(_refusal(model, "the input reaches the output by another way too"))
    return other


def _refusal(model: Model, why: str) -> str:
    return (
        f"the input of {model.name} cannot be shifted exactly: {why}. Needed is a net whose input is first read by "
        f"linear, convolutional or batch-norm layers (torch modules), reshaped at most."
    )


@dataclass(frozen=True)
class _Call:
    """One call of an affine layer: its name, what it reads, and what it gives."""

    name: str
    input: pt.Tensor
    output: pt.Tensor


@dataclass(frozen=True)
class _Pass:
    layers: list[_Call]
    output: pt.Tensor


def _probes(rows: Rows, move: Floats) -> Rows:
    """Three fixed rows plus ``move``: zeros, and two waves."""
    import torch as pt

    place = np.arange(move.size).reshape(move.shape)
    points = np.stack([np.zeros(move.shape), np.sin(1.7 * place + 0.3), np.cos(2.3 * place + 1.1)]) + move
    x = pt.as_tensor(points, dtype=rows.x.dtype, device=rows.x.device)
    return rows.with_inputs(x, np.zeros(3, dtype=np.int64))


def _calls(model: Model, net: pt.nn.Module, rows: Rows) -> _Pass:
    """The calls of affine layers during one pass, in order, and the outputs."""
    import torch as pt

    found: list[_Call] = []

    def make_hook(name: str) -> Callable[..., None]:
        def hook(module: pt.nn.Module, args: tuple[Any, ...], out: Any) -> None:
            if args and isinstance(args[0], pt.Tensor) and isinstance(out, pt.Tensor):
                found.append(_Call(name, args[0].detach().clone(), out.detach().clone()))

        return hook

    with ExitStack() as stack, pt.no_grad():
        for name, module in _affine_layers(net):
            stack.callback(module.register_forward_hook(make_hook(name)).remove)
        output = model.forward(rows)
    return _Pass(found, output.detach().clone())


def _affine_layers(net: pt.nn.Module) -> Iterator[tuple[str, pt.nn.Module]]:
    for name, module in net.named_modules():
        if type(module).__name__ in AFFINE:
            yield name, module


def _differ(one: pt.Tensor, two: pt.Tensor) -> bool:
    """Whether two tensors differ by more than rounding."""
    import torch as pt

    if one.shape != two.shape or not bool(pt.isfinite(two).all()):
        return True
    largest = max(float(one.abs().max()), float(two.abs().max())) if one.numel() else 0.0
    return bool(one.numel()) and float((one - two).abs().max()) > ROUNDING * pt.finfo(one.dtype).eps * largest


def _correct(layer: pt.nn.Module, plain: _Call, shifted: _Call) -> bool:
    """Subtract what the shift adds to a layer; false where its input is not shifted by the same for every row."""
    import torch as pt

    if plain.input.shape != shifted.input.shape or len(plain.input) % 3:
        return False
    moves = shifted.input.double() - plain.input.double()
    moves = moves.reshape(3, -1, *moves.shape[1:])
    largest = max(float(plain.input.abs().max()), float(shifted.input.abs().max()))
    slack = ROUNDING * pt.finfo(plain.input.dtype).eps * largest
    if not bool(pt.isfinite(moves).all()) or float((moves - moves[:1]).abs().max()) > slack:
        return False
    _pad_with(layer, moves[0], slack)
    exact, move = copy.deepcopy(layer).double(), moves[0]  # the first row is zero, so its move has no rounding error
    exact._forward_hooks.clear()
    exact._forward_pre_hooks.clear()
    with pt.no_grad():
        added = exact(move) - exact(pt.zeros_like(move))
    if not _fold(layer, added):
        if len(added) != 1:
            return False
        offset = added.to(shifted.output.dtype)
        layer.register_forward_hook(lambda module, args, out: out - offset)
    return True


def _pad_with(layer: pt.nn.Module, move: pt.Tensor, slack: float) -> None:
    """Let a zero-padded convolution pad with the shift of each channel, where all positions have the same shift.

    Windows over a flat background then hold the same numbers at the border as inside, as they do in the net itself.
    """
    import torch as pt

    by_channel = move.flatten(2) if move.ndim > 2 else move[..., None]
    sides = [int(one) for one in getattr(layer, "_reversed_padding_repeated_twice", None) or ()]
    is_padded = getattr(layer, "padding_mode", "") == "zeros" and any(sides)
    if not is_padded or float((by_channel - by_channel[..., :1]).abs().max()) > slack:
        return
    values = by_channel[0, :, 0].tolist()
    setattr(layer, "padding", (0,) * (len(sides) // 2))  # noqa: B010  # typed as a module or tensor

    def pad(module: pt.nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        x = args[0]
        channels = x.split(1, dim=1) if len(set(values)) > 1 else [x]
        padded = [pt.nn.functional.pad(one, sides, value=value) for one, value in zip(channels, values)]
        return (padded[0] if len(padded) == 1 else pt.cat(padded, dim=1), *args[1:])

    layer.register_forward_pre_hook(pad)


def _fold(layer: pt.nn.Module, added: pt.Tensor) -> bool:
    """Subtract what is added from the bias, where it is the same for every position; false where it is not."""
    import torch as pt

    kind = type(layer).__name__
    by_channel = added.flatten(0, -2) if kind == "Linear" else added.movedim(1, -1).flatten(0, -2)
    size = float(by_channel.abs().max())
    weight, own = getattr(layer, "weight", None), getattr(layer, "bias", None)
    if weight is None or float((by_channel - by_channel[:1]).abs().max()) > 1e-12 * size:
        return False
    bias = pt.zeros_like(by_channel[0]) if own is None else own.detach().double()
    layer.bias = pt.nn.Parameter((bias - by_channel[0]).to(weight.dtype), requires_grad=False)
    return True
