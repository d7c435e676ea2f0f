# SPDX-License-Identifier: Apache-2.0
"""Activation maps of a layer: find the layer, weight its channels, upsample the combined map to the input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.cost import CostFunction, Given
from assay.model.layer_trace import LayerCall, last_hidden_layer, last_spatial_layer, trace_layers
from assay.model.model import Meter
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.features import units
from assay.nouns.inputs.frames import list_first
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Note


@dataclass(frozen=True, eq=False)
class ActivationMaps:
    """Activations (row, channel, height, width) of ``layer``, the target's gradient with respect to them, and notes."""

    layer: str
    activation: Floats
    gradient: Floats
    notes: tuple[Note, ...] = ()

    def with_notes(self, *notes: Note) -> ActivationMaps:
        """A copy with further notes."""
        return replace(self, notes=(*self.notes, *notes))


def compute_maps_and_gradient(case: Case, layer: str | None) -> ActivationMaps:
    """A layer's maps and the target's gradient there, one forward and one backward pass; ``None`` finds the layer."""
    name, notes = find_maps_layer(case, layer)
    slope = case.layer_gradient(case.rows.x, name)
    return ActivationMaps(name, _as_maps(slope.activation, name), _as_maps(slope.gradient, name), notes)


def compute_maps(case: Case, layer: str | None) -> ActivationMaps:
    """A layer's maps without the gradient (left at 0), from one forward pass."""
    name, notes = find_maps_layer(case, layer)
    activation = _as_maps(case.from_layer(name).rows.x, name)
    return ActivationMaps(name, activation, np.zeros((1, 1, 1, 1)), notes)


def grad_cam_map(maps: ActivationMaps) -> Floats:
    """Σ_k w_k A_k (row, height, width), w_k the mean over positions of the gradient: Grad-CAM before its ReLU."""
    return np.asarray(np.einsum("rk,rkhw->rhw", maps.gradient.mean(axis=(2, 3)), maps.activation))


def upsample_to_input(case: Case, maps: ActivationMaps, combined: Floats, signed: bool) -> Estimate:
    """A combined map (row, height, width) at the input's size; its negative part is 0 unless ``signed``.

    Upsampling is bilinear (``align_corners=False``). The value is split evenly over the input's channels, so that the
    channels of a position add up to the map. Nothing is normalised. ``extra["map"]`` is the map at the layer's size.
    A note names the rows whose map is nowhere above 0, since the ReLU sets them to 0 everywhere.
    """
    notes = maps.notes
    rectified = combined if signed else np.maximum(combined, 0.0)
    empty = np.flatnonzero((combined <= 0).reshape(len(combined), -1).all(axis=1))
    if len(empty) and not signed:
        ids = tuple(case.rows.ids[i] for i in empty)
        text = f"the map is nowhere above 0 for row(s) {list_first(empty)}; signed=True keeps negative values"
        notes = (*notes, Note("empty", text, ids))
    channels, height, width = case.rows.shape
    large = upsample(rectified, height, width)[:, None] / channels
    spread = np.ascontiguousarray(np.broadcast_to(large, (len(case), channels, height, width)))
    return Estimate(spread, notes=notes, extra={"map": rectified})


def cam_weights(case: Case, maps: ActivationMaps) -> Floats:
    """Weights (row, channel) of the target on each channel's mean: those of the net's last linear layer.

    The target is evaluated at unit scores, so any target that is linear in the scores works. ``CapabilityError``
    unless target = w · mean(A) + b holds on every row to 10⁻⁴ of its size.
    """
    linear = [module for module in case.model.net.modules() if hasattr(module, "in_features")][-1]
    weight = to_floats(linear.weight)
    bias = np.zeros(len(weight)) if linear.bias is None else to_floats(linear.bias)
    if maps.activation.shape[1] != weight.shape[1]:
        raise CapabilityError(
            f"explain.cam needs the layer right before the pooling; {maps.layer!r} has {maps.activation.shape[1]} "
            f"channels, the last linear layer of {case.model.name} {weight.shape[1]} inputs. Use grad_cam."
        )
    corners = np.concatenate([np.zeros((1, len(weight))), np.eye(len(weight))])
    read = {int(label): _read_target(case, corners, int(label)) for label in np.unique(case.label)}
    origin = np.array([read[int(label)][0] for label in case.label])
    share = np.stack([read[int(label)][1:] - read[int(label)][0] for label in case.label])
    weights = share @ weight
    terms = weights * maps.activation.mean(axis=(2, 3))
    size = np.abs(terms).sum(axis=1) + np.abs(share * bias).sum(axis=1) + np.abs(origin) + np.abs(case.output)
    wrong = np.flatnonzero(~(np.abs(terms.sum(axis=1) + share @ bias + origin - case.output) <= 1e-4 * size))
    if len(wrong):
        raise CapabilityError(
            f"explain.cam needs global average pooling and one linear layer after layer {maps.layer!r}, and a target "
            f"linear in the scores (logit); {case.target.name} of {case.model.name} is not linear in the means of its "
            f"channels at row {list_first(wrong)}. Use grad_cam."
        )
    return np.asarray(weights)


def upsample(maps: Floats, height: int, width: int) -> Floats:
    """Maps (row, h, w) resized to (row, height, width), bilinear between cell centres."""
    import torch

    small = torch.as_tensor(np.ascontiguousarray(maps))[:, None]
    large = torch.nn.functional.interpolate(small, size=(height, width), mode="bilinear", align_corners=False)
    return to_floats(large[:, 0])


def find_maps_layer(case: Case, layer: str | None) -> tuple[str, tuple[Note, ...]]:
    """``layer``, or the last layer that gives maps, found with one pass of one row and named in a note."""
    return _named_or_default(
        case, layer, last_spatial_layer(_trace_one_row(case), case.model.name) if layer is None else ""
    )


def find_units_layer(case: Case, layer: str | None) -> tuple[str, tuple[Note, ...]]:
    """``layer``, or the last layer that gives maps, or without maps the last hidden layer."""
    return _named_or_default(
        case, layer, _default_units_layer(_trace_one_row(case), case.model.name) if layer is None else ""
    )


def find_hidden_layer(case: Case, layer: str | None) -> tuple[str, tuple[Note, ...]]:
    """``layer``, or the last hidden layer, whatever its shape."""
    return _named_or_default(
        case, layer, last_hidden_layer(_trace_one_row(case), case.model.name) if layer is None else ""
    )


def layer_maps_cost(
    forwards: Callable[[Case, Given], int] = lambda case, o: 1,
    backwards: Callable[[Case, Given], int] = lambda case, o: 1,
) -> CostFunction:
    """Cost of the given passes per row, plus one pass of one row where the layer must be found."""

    def cost(case: Case, o: Given, again: Cost) -> Cost:
        each = Cost(forwards(case, o), backwards(case, o)) * (len(case) * case.model.passes_per_row)
        return each + Cost(case.model.passes_per_row if o.layer is None else 0)

    return cost


def count_units(case: Case, layer: str | None, *, maps: bool) -> int:
    """Number of units of a layer, from one pass of one row that the meter does not count: cost functions need it."""
    unmetered = replace(case, model=replace(case.model, meter=Meter()))
    calls = _trace_one_row(unmetered)
    name = case.model.name
    if layer is None:
        layer = last_spatial_layer(calls, name) if maps else _default_units_layer(calls, name)
    shapes = [call.shape for call in calls if layer in (call.layer, call.layer.partition("#")[0])]
    if not shapes:
        raise CapabilityError(f"layer {layer!r} of {name} was not reached by the forward pass, or gives no tensor.")
    return len(units(shapes[-1]))


def _default_units_layer(calls: list[LayerCall], name: str) -> str:
    has_maps = any(call.is_spatial and not call.passes_through for call in calls)
    return last_spatial_layer(calls, name) if has_maps else last_hidden_layer(calls, name)


def _trace_one_row(case: Case) -> list[LayerCall]:
    if case.model.layer_access is None:
        raise CapabilityError(f"{case.model.name} gives no access to its layers; only torch nets do.")
    plain = getattr(case.model.forward, "plain", case.model.forward)  # a converted net has no layers
    one = replace(case.take([0]), model=replace(case.model, forward=plain))
    return trace_layers(case.model.net, lambda: one.outputs(one.rows.x))


def _named_or_default(case: Case, layer: str | None, default: str) -> tuple[str, tuple[Note, ...]]:
    if layer is not None:
        return layer, ()
    return default, (Note("layer", f"layer {default!r} is used; layer=… selects another"),)


def _read_target(case: Case, outputs: Floats, label: int) -> Floats:
    """The target of made-up scores (row, out) for one class."""
    with np.errstate(invalid="ignore"):  # a target that is NaN there is not linear and fails the check above
        return to_floats(case.target.read(outputs, np.full(len(outputs), label), case.model.gives))


def _as_maps(array: object, layer: str) -> Floats:
    maps = to_floats(array)
    if maps.ndim != 4:
        raise CapabilityError(
            f"layer {layer!r} gives shape {maps.shape}; maps (row, channel, height, width) are needed. layer=None "
            f"takes the last layer that gives them."
        )
    return maps
