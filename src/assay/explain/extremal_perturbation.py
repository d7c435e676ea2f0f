# SPDX-License-Identifier: Apache-2.0
"""Extremal perturbations."""

from __future__ import annotations

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.cases.removals import Blur, Removal
from assay.engine.cost import Given
from assay.engine.declare import explainer
from assay.engine.pictures.extremal_masks import ExtremalOptions, extremal_masks, smallest_area
from assay.engine.pictures.soft_masks import REPORT_PASSES, MaskSpace, SoftRemoval, mask_report, other_removal
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.frames import list_first
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Note


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """The picture with everything removed; for each area a pass with gradient a step, and the report."""
    areas = len(o.areas)
    each = Cost(1 + areas * (o.steps + REPORT_PASSES), areas * o.steps)
    return each * (len(case) * case.model.passes_per_row)


@explainer(source="fong2019", needs={"gradient", "image"}, cost=_cost)
def extremal_perturbation(
    case: Case,
    *,
    remove: Removal = Blur(10.0),
    areas: tuple[float, ...] = (0.025, 0.05, 0.1, 0.2),
    share: float = 0.8,
    steps: int = 120,
    rate: float = 0.05,
    weight: float = 1.0,
    growth: float = 100.0,
    cell: int | None = None,
    second: Removal | None = None,
) -> Estimate:
    """The mean, over areas, of the mask of that area that keeps the target highest: 1 where every mask keeps the place.

    For each a of ``areas`` (shares of the picture) the mask m maximises h(m · x + (1 − m) · filling) − λ · the weighted
    squared distance of sort(m) from a mask of area a, h in units of h(x) − h(∅), λ growing from ``weight`` by the
    factor ``growth`` over ``steps`` steps of Adam (Fong, Patrick and Vedaldi 2019); then it is set to area a exactly,
    in the order found. Cells are the parts of the case; where these are pixels, squares of ``cell`` pixels (default: 16
    along a side), linear in between. ``remove`` is Blur, Constant or Mean. Values (row, part) lie in 0 … 1; of pixels
    they are split over the channels.

    ``extra``: ``area`` (row,), a*, the smallest area with h(m) ≥ h(∅) + ``share`` · (h(x) − h(∅)), NaN with a note
    where none is enough; ``kept`` and ``removed`` (row, area), the target with what the mask keeps, and without it;
    ``kept_second`` and ``removed_second``, the same under ``second`` (default: grey for blur, blur otherwise): a mask
    found under one removal is an adversarial input under that removal, and only the other one is a test.

    TorchRay takes 800 steps, a smooth maximum over a kernel and the score as it is; its masks are near 0 and 1, here
    they are exactly. Not for tables: ``certify.sufficient_features`` finds the fewest columns.
    """
    if not 0 < share <= 1:
        raise InputError(f"share={share}; needed is a share of the target's change, above 0 and at most 1.")
    options = ExtremalOptions(tuple(areas), steps, rate, weight, growth)
    space, first = MaskSpace(case, cell), SoftRemoval(case, remove)
    judge = SoftRemoval(case, other_removal(case, remove, second))
    everyone, shape = np.arange(len(case)), (len(case), *case.rows.shape)
    none = first.value(np.zeros(shape), everyone)
    rise = case.output - none
    cells = extremal_masks(space, first, np.where(rise != 0, np.abs(rise), 1.0), options)
    found = _report(space, first, judge, cells)
    area, _ = smallest_area(found["kept"], none + share * rise, options.areas)
    return Estimate(
        space.values(cells.mean(axis=1)),
        notes=_not_reached(case, area, options.areas),
        extra={"area": area, "areas": np.asarray(options.areas), "none": none, **found},
    )


def _report(space: MaskSpace, first: SoftRemoval, judge: SoftRemoval, cells: Floats) -> dict[str, Floats]:
    """``mask_report`` (row, area) of the masks of every area."""
    import torch

    rows, areas, count = cells.shape
    which = np.repeat(np.arange(rows), areas)
    keep = to_floats(space.decode(torch.as_tensor(cells.reshape(-1, count)), which))
    return {name: found.reshape(rows, areas) for name, found in mask_report(first, judge, keep, which).items()}


def _not_reached(case: Case, area: Floats, areas: tuple[float, ...]) -> tuple[Note, ...]:
    missing = np.flatnonzero(np.isnan(area))
    if not len(missing):
        return ()
    text = f"no mask of up to {areas[-1]:.0%} keeps enough of the target in row(s) {list_first(missing)}; area is NaN"
    return (Note("area-not-reached", text, tuple(case.rows.ids[row] for row in missing)),)
