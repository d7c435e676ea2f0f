# SPDX-License-Identifier: Apache-2.0
"""Maps of a layer's activations: finding the layer, weighing its channels, enlarging what comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.cost import CostFunction, Given
from assay.model.layer_outline import Reached, last_hidden, last_maps, outline
from assay.model.model import Meter
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.features import units
from assay.nouns.inputs.frames import some
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Note


@dataclass(frozen=True, eq=False)
class Maps:
    """Activations (row, channel, height, width) of a layer, the target's gradient there, and which layer it is."""

    layer: str
    activation: Floats
    gradient: Floats
    notes: tuple[Note, ...] = ()

    def telling(self, *notes: Note) -> Maps:
        """The same, with more to be told."""
        return replace(self, notes=(*self.notes, *notes))


def sloped(case: Case, layer: str | None) -> Maps:
    """A layer's maps with the target's gradient, one pass there and back; ``None`` finds the last layer of maps."""
    place, notes = maps_layer(case, layer)
    slope = case.slope(case.rows.x, place)
    return Maps(place, _maps(slope.activation, place), _maps(slope.gradient, place), notes)


def activated(case: Case, layer: str | None) -> Maps:
    """A layer's maps alone, one forward pass; the gradient is left at 0."""
    place, notes = maps_layer(case, layer)
    activation = _maps(case.from_layer(place).rows.x, place)
    return Maps(place, activation, np.zeros((1, 1, 1, 1)), notes)


def gradient_weighed(maps: Maps) -> Floats:
    """Σ_k w_k A_k (row, height, width) with w_k the mean over positions of the gradient: Grad-CAM before its ReLU."""
    return np.asarray(np.einsum("rk,rkhw->rhw", maps.gradient.mean(axis=(2, 3)), maps.activation))


def shown(case: Case, maps: Maps, combined: Floats, signed: bool) -> Estimate:
    """A combined map (row, height, width) on the input's own grid, its negative part dropped unless ``signed``.

    Enlarged bilinearly to the input's height and width (corners not aligned) and spread evenly over its channels, so
    that the channels of a position add up to the map. Nothing is normalised. ``extra["map"]`` is the map as it was.
    Rows whose map is nowhere above 0 are named in a note, since the drop leaves nothing of them.
    """
    notes = maps.notes
    kept = combined if signed else np.maximum(combined, 0.0)
    empty = np.flatnonzero((combined <= 0).reshape(len(combined), -1).all(axis=1))
    if len(empty) and not signed:
        ids = tuple(case.rows.ids[i] for i in empty)
        text = f"the map is nowhere above 0 for row(s) {some(empty)}; signed=True shows it"
        notes = (*notes, Note("empty", text, ids))
    channels, height, width = case.rows.shape
    large = enlarged(kept, height, width)[:, None] / channels
    spread = np.ascontiguousarray(np.broadcast_to(large, (len(case), channels, height, width)))
    return Estimate(spread, notes=notes, extra={"map": kept})


def pooled_weights(case: Case, maps: Maps) -> Floats:
    """Weights (row, channel) of the target for each channel's mean: those of the net's last linear layer.

    The target is read at unit scores, so any that is linear in the scores will do. ``CapabilityError`` unless
    target = w · mean(A) + b holds on every row to 10⁻⁴ of its size.
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
    read = {int(label): _read(case, corners, int(label)) for label in np.unique(case.label)}
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
            f"channels at row {some(wrong)}. Use grad_cam."
        )
    return np.asarray(weights)


def enlarged(maps: Floats, height: int, width: int) -> Floats:
    """Maps (row, h, w) at another size, bilinear between the middles of their cells."""
    import torch

    small = torch.as_tensor(np.ascontiguousarray(maps))[:, None]
    large = torch.nn.functional.interpolate(small, size=(height, width), mode="bilinear", align_corners=False)
    return to_floats(large[:, 0])


def maps_layer(case: Case, layer: str | None) -> tuple[str, tuple[Note, ...]]:
    """The layer named, or the last that gives maps, found with one pass of one row and told in a note."""
    return _found(case, layer, last_maps(_looked(case), case.model.name) if layer is None else "")


def units_layer(case: Case, layer: str | None) -> tuple[str, tuple[Note, ...]]:
    """The layer named, or the last that gives maps, or else the last hidden one."""
    return _found(case, layer, _chosen(_looked(case), case.model.name) if layer is None else "")


def hidden_layer(case: Case, layer: str | None) -> tuple[str, tuple[Note, ...]]:
    """The layer named, or the last hidden one, whatever it gives."""
    return _found(case, layer, last_hidden(_looked(case), case.model.name) if layer is None else "")


def of_maps(
    forwards: Callable[[Case, Given], int] = lambda case, o: 1,
    backwards: Callable[[Case, Given], int] = lambda case, o: 1,
) -> CostFunction:
    """So many passes a row, and one of one row where the layer must be found."""

    def priced(case: Case, o: Given, again: Cost) -> Cost:
        each = Cost(forwards(case, o), backwards(case, o)) * (len(case) * case.model.passes)
        return each + Cost(case.model.passes if o.layer is None else 0)

    return priced


def counted(case: Case, layer: str | None, *, maps: bool) -> int:
    """How many units a layer has, seen in one pass of one row that is not counted: a price needs to know."""
    aside = replace(case, model=replace(case.model, meter=Meter()))
    reached = _looked(aside)
    name = case.model.name
    place = layer if layer is not None else last_maps(reached, name) if maps else _chosen(reached, name)
    shapes = [one.shape for one in reached if place in (one.layer, one.layer.partition("#")[0])]
    if not shapes:
        raise CapabilityError(f"layer {place!r} of {name} was not reached by the forward pass, or gives no tensor.")
    return len(units(shapes[-1]))


def _chosen(reached: list[Reached], name: str) -> str:
    maps = any(one.mapped and not one.idle for one in reached)
    return last_maps(reached, name) if maps else last_hidden(reached, name)


def _looked(case: Case) -> list[Reached]:
    if case.model.inside is None:
        raise CapabilityError(f"{case.model.name} has no layers to look at; only torch nets have.")
    plain = getattr(case.model.forward, "plain", case.model.forward)  # a converted net shows no layers
    one = replace(case.take([0]), model=replace(case.model, forward=plain))
    return outline(case.model.net, lambda: one.outputs(one.rows.x))


def _found(case: Case, layer: str | None, default: str) -> tuple[str, tuple[Note, ...]]:
    if layer is not None:
        return layer, ()
    return default, (Note("layer", f"layer {default!r} is looked at; layer=… names another"),)


def _read(case: Case, outputs: Floats, label: int) -> Floats:
    """The target of scores (row, out) made up, for one class."""
    with np.errstate(invalid="ignore"):  # a target with no number there is not linear, which is found out
        return to_floats(case.target.read(outputs, np.full(len(outputs), label), case.model.gives))


def _maps(array: object, layer: str) -> Floats:
    maps = to_floats(array)
    if maps.ndim != 4:
        raise CapabilityError(
            f"layer {layer!r} gives shape {maps.shape}; maps (row, channel, height, width) are needed. layer=None "
            f"finds the last layer that gives them."
        )
    return maps
