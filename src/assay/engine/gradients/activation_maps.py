# SPDX-License-Identifier: Apache-2.0
"""Activation maps of a layer: find the layer, weight its channels, upsample the combined map to the input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.cases.model_checks import check_function
from assay.engine.cost import CostFunction, Given
from assay.model.layer_trace import (
    WITHOUT_CHANNELS,
    LayerCall,
    LayerTrace,
    last_hidden_layer,
    last_maps_layer,
    trace_layers,
)
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.features import default_unit_axis
from assay.nouns.inputs.frames import list_first
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Note

ChannelAxis = Literal["first", "last"]
"""Where a layer's output has its channels: right after the row, or on the last axis."""

MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}
"""torch's interpolation, by the number of axes of positions."""


@dataclass(frozen=True, eq=False)
class ActivationMaps:
    """Activations (row, channel, *positions) of ``layer``, the target's gradient with respect to them, and notes.

    ``input_axis`` is the axis of a row that holds the channels of the input; the other axes are its positions.
    """

    layer: str
    activation: Floats
    gradient: Floats
    notes: tuple[Note, ...] = ()
    input_axis: int = 0

    def with_notes(self, *notes: Note) -> ActivationMaps:
        """A copy with further notes."""
        return replace(self, notes=(*self.notes, *notes))

    @property
    def position_axes(self) -> tuple[int, ...]:
        """The axes of the positions."""
        return tuple(range(2, self.activation.ndim))


def compute_maps_and_gradient(case: Case, layer: str | None, channel_axis: ChannelAxis | None = None) -> ActivationMaps:
    """A layer's maps and the target's gradient there, one forward and one backward pass; ``None`` finds the layer."""
    place, notes = _find_maps(case, layer)
    slope = case.layer_gradient(case.rows.x, place.layer)
    activation, gradient = (place.maps(case, one, channel_axis) for one in (slope.activation, slope.gradient))
    return ActivationMaps(place.layer, activation, gradient, notes, place.input_axis)


def compute_maps(case: Case, layer: str | None, channel_axis: ChannelAxis | None = None) -> ActivationMaps:
    """A layer's maps without the gradient (left at 0), from one forward pass."""
    place, notes = _find_maps(case, layer)
    activation = place.maps(case, case.from_layer(place.layer).rows.x, channel_axis)
    return ActivationMaps(place.layer, activation, np.zeros((1,) * activation.ndim), notes, place.input_axis)


@dataclass(frozen=True)
class _MapsPlace:
    """A layer with maps: its name, the axis of its output (row, …) that holds channels, and that of the input."""

    layer: str
    channel_axis: int | None
    input_axis: int

    def maps(self, case: Case, values: object, given: ChannelAxis | None) -> Floats:
        """Values of the layer as (row, channel, *positions); ``InputError`` where the channels may be on two axes."""
        array, positions = to_floats(values), _positions(case.rows.shape, self.input_axis)
        if array.ndim != len(positions) + 2:
            wanted = {1: "channel, position", 2: "channel, height, width", 3: "channel, depth, height, width"}
            more = array.ndim == len(positions) + 3
            advice = WITHOUT_CHANNELS if more else "layer=None takes the last layer that gives them"
            raise CapabilityError(
                f"layer {self.layer!r} gives shape {array.shape}; maps (row, {wanted[len(positions)]}) are needed. "
                f"{advice}."
            )
        last = array.ndim - 1
        axis = self.channel_axis if given is None else {"first": 1, "last": last}[given]
        fitting = [one for one in (1, last) if _is_scaled(_positions(array.shape[1:], one - 1), positions)]
        if axis is None and len(fitting) != 1:
            raise InputError(
                f"layer {self.layer!r} gives shape {array.shape}, and its operations do not tell which axis holds the "
                f"channels. Say channel_axis='first' (after the row) or channel_axis='last'."
            )
        return np.moveaxis(array, fitting[0] if axis is None else axis, 1)


def _positions(shape: tuple[int, ...], channel_axis: int) -> tuple[int, ...]:
    return (*shape[:channel_axis], *shape[channel_axis + 1 :])


def _is_scaled(positions: tuple[int, ...], grid: tuple[int, ...]) -> bool:
    """Whether positions may be the grid of the input, made coarser by about the same factor along every axis."""
    ratios = [there / here for here, there in zip(positions, grid)]
    return max(ratios) < 1.5 * min(ratios)


def _find_maps(case: Case, layer: str | None) -> tuple[_MapsPlace, tuple[Note, ...]]:
    """The layer with maps, and where its channels are; the pass that finds them counts where it finds the layer."""
    trace = _trace_one_row(case if layer is None else _unmetered(case))
    name, notes = _named_or_default(
        case, layer, last_maps_layer(trace.calls, case.model.name, len(case.rows.shape) - 1) if layer is None else ""
    )
    found = [call.channel_axis for call in trace.calls if name == call.layer]
    axis = found[-1] if found else None
    return _MapsPlace(name, None if axis is None else axis + 1, trace.input_axis or 0), notes


def grad_cam_map(maps: ActivationMaps) -> Floats:
    """Σ_k w_k A_k (row, *positions), w_k the mean over positions of the gradient: Grad-CAM before its ReLU."""
    return weighted_sum(maps.gradient.mean(axis=maps.position_axes), maps.activation)


def weighted_sum(weights: Floats, activation: Floats) -> Floats:
    """Σ_k w_k A_k (row, *positions) of weights (row, channel)."""
    return np.asarray(np.einsum("rk,rk...->r...", weights, activation))


def upsample_to_input(case: Case, maps: ActivationMaps, combined: Floats, signed: bool) -> Estimate:
    """A combined map (row, *positions) at the input's size; its negative part is 0 unless ``signed``.

    Upsampling is linear along every axis (``align_corners=False``). The value is split evenly over the input's
    channels, so that the channels of a position add up to the map. Nothing is normalised. ``extra["map"]`` is the map
    at the layer's size. A note names the rows whose map is nowhere above 0, since the ReLU sets them to 0 everywhere.
    """
    notes = maps.notes
    rectified = combined if signed else np.maximum(combined, 0.0)
    empty = np.flatnonzero((combined <= 0).reshape(len(combined), -1).all(axis=1))
    if len(empty) and not signed:
        ids = tuple(case.rows.ids[i] for i in empty)
        text = f"the map is nowhere above 0 for row(s) {list_first(empty)}; signed=True keeps negative values"
        notes = (*notes, Note("empty", text, ids))
    axis = maps.input_axis
    large = upsample(rectified, _positions(case.rows.shape, axis))
    spread = np.expand_dims(large / case.rows.shape[axis], axis + 1)
    whole = np.ascontiguousarray(np.broadcast_to(spread, (len(case), *case.rows.shape)))
    return Estimate(whole, notes=notes, extra={"map": rectified})


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
    terms = weights * maps.activation.mean(axis=maps.position_axes)
    size = np.abs(terms).sum(axis=1) + np.abs(share * bias).sum(axis=1) + np.abs(origin) + np.abs(case.output)
    wrong = np.flatnonzero(~(np.abs(terms.sum(axis=1) + share @ bias + origin - case.output) <= 1e-4 * size))
    if len(wrong):
        raise CapabilityError(
            f"explain.cam needs global average pooling and one linear layer after layer {maps.layer!r}, and a target "
            f"linear in the scores (logit); {case.target.name} of {case.model.name} is not linear in the means of its "
            f"channels at row {list_first(wrong)}. Use grad_cam."
        )
    return np.asarray(weights)


def upsample(maps: Floats, size: tuple[int, ...]) -> Floats:
    """Maps (row, *positions) resized to (row, *size), linear along every axis between the centres of cells."""
    import torch

    small = torch.as_tensor(np.ascontiguousarray(maps))[:, None]
    large = torch.nn.functional.interpolate(small, size=size, mode=MODES[len(size)], align_corners=False)
    return to_floats(large[:, 0])


def find_units_layer(case: Case, layer: str | None) -> tuple[str, tuple[Note, ...]]:
    """``layer``, or the last layer that gives maps, or without maps the last hidden layer."""
    return _named_or_default(
        case, layer, _default_units_layer(_trace_one_row(case).calls, case.model.name) if layer is None else ""
    )


def find_hidden_layer(case: Case, layer: str | None) -> tuple[str, tuple[Note, ...]]:
    """``layer``, or the last hidden layer, whatever its shape."""
    return _named_or_default(
        case, layer, last_hidden_layer(_trace_one_row(case).calls, case.model.name) if layer is None else ""
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
    calls, name = _trace_one_row(_unmetered(case)).calls, case.model.name
    if layer is None:
        positions = len(case.rows.shape) - 1
        layer = last_maps_layer(calls, name, positions) if maps else _default_units_layer(calls, name)
    found = [call for call in calls if layer in (call.layer, call.layer.partition("#")[0])]
    if not found:
        raise CapabilityError(f"layer {layer!r} of {name} was not reached by the forward pass, or gives no tensor.")
    axis, shape = found[-1].channel_axis, found[-1].shape
    return shape[default_unit_axis(len(shape)) if axis is None else axis]


def _unmetered(case: Case) -> Case:
    """The same case, whose passes are not counted."""
    return replace(case, model=replace(case.model, meter=case.model.meter.separate()))


def _default_units_layer(calls: list[LayerCall], name: str) -> str:
    has_maps = any(call.has_maps() and not call.passes_through for call in calls)
    return last_maps_layer(calls, name) if has_maps else last_hidden_layer(calls, name)


def _trace_one_row(case: Case) -> LayerTrace:
    if case.model.layer_access is None:
        raise CapabilityError(f"{case.model.name} gives no access to its layers; only torch nets do.")
    plain = getattr(case.model.forward, "plain", case.model.forward)  # a converted net has no layers
    one = replace(case.take([0]), model=replace(case.model, forward=plain))
    check_function(one.model, case.rows)  # its passes are no part of the trace
    return trace_layers(case.model.net, lambda: one.outputs(one.rows.x), one.rows.x)


def _named_or_default(case: Case, layer: str | None, default: str) -> tuple[str, tuple[Note, ...]]:
    if layer is not None:
        return layer, ()
    return default, (Note("layer", f"layer {default!r} is used; layer=… selects another"),)


def _read_target(case: Case, outputs: Floats, label: int) -> Floats:
    """The target of made-up scores (row, out) for one class."""
    with np.errstate(invalid="ignore"):  # a target that is NaN there is not linear and fails the check above
        return to_floats(case.target.read(outputs, np.full(len(outputs), label), case.model.gives))
