# SPDX-License-Identifier: Apache-2.0
"""Directions of an artefact at a layer, and nets from which one is projected out."""

from __future__ import annotations

import copy
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.optional import need
from assay.basics.types import Array, Floats
from assay.cases.case import Case
from assay.model.layer_slices import submodule
from assay.nouns.inputs.rows import to_floats

if TYPE_CHECKING:
    import torch as pt

BLOCK = 64
"""Rows whose activations are read at a time."""


def last_linear(case: Case) -> str:
    """The name of the linear layer that is called last in a pass of the net; ``CapabilityError`` without one."""
    pt = need("torch", extra="torch")
    called: list[str] = []
    linear = [(name, one) for name, one in case.model.net.named_modules() if isinstance(one, pt.nn.Linear)]
    with ExitStack() as stack:
        for name, one in linear:
            stack.callback(one.register_forward_hook(lambda *_, name=name: called.append(name)).remove)
        case.outputs(case.rows.x[:1], np.zeros(1, dtype=np.int64))
    if not called:
        raise CapabilityError(f"{case.model.name} calls no linear layer; name the layer (layer=…).")
    return called[-1]


def input_activations(case: Case, x: Array, layer: str) -> Floats:
    """What the layer of this name receives (row, …) at the rows ``x``; it must be called once in a pass."""
    module = submodule(case.model.net, layer)
    return _recorded(case, x, layer, module, takes=True)


def output_activations(case: Case, x: Array, layer: str) -> Floats:
    """What the layer of this name gives (row, …) at the rows ``x``; it must be called once in a pass."""
    module = submodule(case.model.net, layer)
    return _recorded(case, x, layer, module, takes=False)


def _recorded(case: Case, x: Array, layer: str, module: pt.nn.Module, *, takes: bool) -> Floats:
    found: list[Floats] = []

    def record(_: Any, given: tuple[Any, ...], out: Any) -> None:
        value = given[0] if takes and given else out
        if not hasattr(value, "detach"):
            raise CapabilityError(f"layer {layer!r} does not take and give one tensor.")
        found.append(to_floats(value.detach()))

    handle = module.register_forward_hook(record)
    try:
        for start in range(0, len(x), BLOCK):
            block, known = x[start : start + BLOCK], len(found)
            outputs = case.outputs(block, np.zeros(len(block), dtype=np.int64))
            if sum(len(one) for one in found[known:]) != len(outputs):
                raise CapabilityError(f"layer {layer!r} is not called exactly once a pass with one line for each row.")
    finally:
        handle.remove()
    return np.concatenate(found)


def as_vectors(activations: Floats, axis: int) -> Floats:
    """Activations (row, channel), averaged over positions; ``axis`` holds the channels."""
    moved = np.moveaxis(activations, axis, -1)
    return np.asarray(moved.reshape(len(moved), -1, moved.shape[-1]).mean(axis=1))


def mean_difference(clean: Floats, pasted: Floats) -> Floats:
    """The unit vector (channel,) from the mean of clean rows to that of rows with the artefact.

    ``InputError`` where both means are equal: the artefact does not reach the layer.
    """
    direction = pasted.mean(axis=0) - clean.mean(axis=0)
    length = float(np.linalg.norm(direction))
    if not length > 1e-12 * max(1.0, float(np.abs(clean).max(initial=0.0))):
        raise InputError("the artefact does not change the mean activation of the layer; choose another layer.")
    return np.asarray(direction / length)


def project(activations: Floats, direction: Floats, centre: Floats) -> Floats:
    """h − v vᵀ (h − z̄) of activations (row, channel): the direction v gets its value at the centre z̄."""
    return np.asarray(activations - ((activations - centre) @ direction)[:, None] * direction)


def project_input(net: pt.nn.Module, layer: str, direction: Floats, centre: Floats) -> pt.nn.Module:
    """A copy of the net whose linear layer receives h − v vᵀ (h − z̄): W becomes W − (W v) vᵀ, b grows by W v · vᵀ z̄.

    Only these two change, so that the copy has the layers of the net.
    """
    pt = need("torch", extra="torch")
    other = copy.deepcopy(net)
    linear: Any = submodule(other, layer)
    with pt.no_grad():
        weight = linear.weight.double()
        v = pt.as_tensor(direction, dtype=weight.dtype, device=weight.device)
        along = weight @ v
        bias = 0.0 if linear.bias is None else linear.bias.double()
        moved = bias + along * float(direction @ centre)
        linear.weight.copy_(weight - pt.outer(along, v))
        if linear.bias is None:
            linear.bias = pt.nn.Parameter(moved.to(linear.weight.dtype))
        else:
            linear.bias.copy_(moved)
    return other


def project_output(net: pt.nn.Module, layer: str, direction: Floats, centre: Floats, dimensions: int) -> pt.nn.Module:
    """A copy of the net with a linear map, or a 1 × 1 convolution, after the layer: h − v vᵀ (h − z̄) of its channels.

    ``dimensions`` are those of the layer's output, the rows among them: two for vectors, three to five for maps, whose
    channels are the second.
    """
    pt = need("torch", extra="torch")
    other = copy.deepcopy(net)
    module = submodule(other, layer)
    reference = next(other.parameters())
    size = len(direction)
    kinds = {2: pt.nn.Linear, 3: pt.nn.Conv1d, 4: pt.nn.Conv2d, 5: pt.nn.Conv3d}
    made = kinds[dimensions](size, size, *(() if dimensions == 2 else (1,)), device="meta")
    made = made.to_empty(device=reference.device).to(reference.dtype)
    matrix = np.eye(size) - np.outer(direction, direction)
    with pt.no_grad():
        made.weight.copy_(pt.as_tensor(matrix).reshape(made.weight.shape))
        made.bias.copy_(pt.as_tensor(direction * float(direction @ centre)))
    parent, _, name = layer.rpartition(".")
    setattr(other.get_submodule(parent), name, pt.nn.Sequential(module, made).train(module.training))
    for weight in made.parameters():
        weight.requires_grad_(reference.requires_grad)
    return other
