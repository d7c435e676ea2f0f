# SPDX-License-Identifier: Apache-2.0
"""The information bottleneck for attribution."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.cases.removals import Blur, Removal
from assay.engine.cost import Given
from assay.engine.declare import explainer
from assay.engine.gradients.activation_maps import find_units_layer, upsample
from assay.engine.pictures.bottleneck import BottleneckOptions, Noise, open_shares
from assay.engine.pictures.soft_masks import (
    REPORT_PASSES,
    SoftRemoval,
    mask_report,
    other_removal,
    require_area,
    top_area,
)
from assay.model.layer_trace import find_channel_axis
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import count_rows, to_floats
from assay.nouns.inputs.target import target_named
from assay.nouns.results.result import Estimate, Note

ENOUGH = 100
"""Background rows below which a note says that the statistics of the noise are poor."""


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """The activations of rows and background, the search, the loss with the bottleneck, and the report."""
    searched = o.steps * o.draws
    each = Cost(1 + searched + 1 + REPORT_PASSES, searched) * len(case)
    return (each + Cost(count_rows(o.background) + (o.layer is None))) * case.model.passes_per_row


@explainer(source="schulz2020", needs={"gradient", "net", "image", "classes"}, cost=_cost)
def information_bottleneck(
    case: Case,
    *,
    background: Any,
    layer: str | None = None,
    beta: float = 10.0,
    steps: int = 10,
    draws: int = 10,
    rate: float = 1.0,
    sigma: float = 1.0,
    floor: float = 0.01,
    area: float = 0.1,
    remove: Removal = Blur(10.0),
    second: Removal | None = None,
) -> Estimate:
    """How many bits of a layer's activations at each place the decision for the class needs.

    IBA (Schulz et al. 2020): the activations a of ``layer`` (default: the last that gives maps) are replaced by z = λa
    + (1 − λ)ε, ε normal with the mean and deviation of each activation over ``background`` (at least 100 rows; the
    deviation at least ``floor``, without which dead units have infinite bits). λ, blurred by ``sigma`` positions,
    minimises −log p(class | z) + ``beta`` · the mean of KL(z ‖ ε) by ``steps`` of Adam at ``rate``, from λ = 0.993,
    with ``draws`` of the noise. Values (row, *shape) are the bits, channels of the layer summed, spread linearly over
    the input so that they add up to all bits of the row. They are an upper bound on what passes, since activations are
    taken as independent; small values say that a place is not needed, in units that compare between rows.

    ``extra``: ``bits`` (row,), all of a row; ``map`` (row, height, width), at the layer's size; ``probability`` (row,),
    p(class) behind the bottleneck with ε at its mean; ``area``, ``kept``, ``removed``, ``kept_second`` and
    ``removed_second`` (row,): the target with and without the ``area`` of the picture that has most bits, under
    ``remove`` and under ``second`` (default: grey for blur, blur otherwise).

    The authors' package (IBA) draws one common noise for all rows and resizes the map without keeping its sum.
    """
    require_area(area)
    options = BottleneckOptions(beta, steps, draws, rate, sigma)
    name, notes = find_units_layer(case, layer)
    place = _Place.of(case, name)
    activations = place.maps(to_floats(place.inside.rows.x))
    noise = Noise.of(place.of_rows(case, background), floor)
    share, bits = open_shares(activations, noise, place.slope, _noise(case, activations.shape, draws), options)
    kept = noise.mean + share * (activations - noise.mean)
    loss = to_floats(place.inside.value(place.back(kept)))
    coarse = bits.sum(axis=1)
    total = coarse.sum(axis=(1, 2))
    large = upsample(coarse, case.rows.shape[1:])
    large = large * (total / np.maximum(large.sum(axis=(1, 2)), 1e-300))[:, None, None]
    keep = np.broadcast_to(top_area(large, area)[:, None], (len(case), *case.rows.shape))
    first, judge = SoftRemoval(case, remove), SoftRemoval(case, other_removal(case, remove, second))
    report = mask_report(first, judge, keep, np.arange(len(case)))
    values = np.broadcast_to((large / case.rows.shape[0])[:, None], (len(case), *case.rows.shape))
    return Estimate(
        np.ascontiguousarray(values),
        notes=(*notes, *_few(background)),
        extra={
            "bits": total,
            "map": coarse,
            "probability": np.exp(-loss),
            "area": np.full(len(case), area),
            **report,
        },
    )


class _Place:
    """A layer with maps: the case behind it, asked for the loss, with channels on axis 1."""

    def __init__(self, inside: Case, axis: int, layer: str) -> None:
        self.inside, self.axis, self.layer = inside, axis, layer

    @classmethod
    def of(cls, case: Case, layer: str) -> _Place:
        """``CapabilityError`` where the layer gives no maps."""
        inside = replace(case.from_layer(layer), target=target_named("loss"))
        if len(inside.rows.shape) != 3:
            raise CapabilityError(
                f"layer {layer!r} gives shape {inside.rows.shape}; maps (channel, height, width) are needed. "
                f"layer=None takes the last layer that gives them."
            )
        axis = find_channel_axis(case.model, case.rows, layer)
        return cls(inside, 1 + (axis or 0), layer)

    def maps(self, values: Floats) -> Floats:
        """Activations with the channels on axis 1."""
        return np.moveaxis(values, self.axis, 1)

    def back(self, maps: Floats) -> Any:
        """Maps in the layer's own form."""
        return self.inside.rows.convert(np.ascontiguousarray(np.moveaxis(maps, 1, self.axis)))

    def slope(self, maps: Floats, which: Ints) -> Floats:
        """The derivative of the loss of rows ``which``."""
        return self.maps(to_floats(self.inside.gradient(self.back(maps), which)))

    def of_rows(self, case: Case, background: Any) -> Floats:
        """The activations of other rows."""
        lower = replace(case, model=case.model.up_to_layer(self.layer))
        rows = case.rows.convert(background)
        return self.maps(to_floats(lower.outputs(rows, np.zeros(len(rows), dtype=np.int64))))


def _noise(case: Case, shape: tuple[int, ...], draws: int) -> Any:
    """Standard normal noise of each step (draw, row, …), by a stream for each row."""
    streams = [case.seed.child("information bottleneck", name).generator() for name in case.rows.ids]
    return lambda step: np.stack([stream.normal(size=(draws, *shape[1:])) for stream in streams], axis=1)


def _few(background: Any) -> tuple[Note, ...]:
    count = count_rows(background)
    if count >= ENOUGH:
        return ()
    text = f"mean and deviation of the noise come from {count} background rows; give at least {ENOUGH}"
    return (Note("few-rows", text),)
