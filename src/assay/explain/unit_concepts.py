# SPDX-License-Identifier: Apache-2.0
"""Network dissection."""

from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import holm
from assay.cases.case import Case
from assay.engine.concepts.activations import content_order, other_case, position_matrix
from assay.engine.concepts.dissection import overlap, read_masks
from assay.engine.cost import Given
from assay.engine.declare import explainer
from assay.engine.gradients.activation_maps import find_units_layer
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.features import elements
from assay.nouns.inputs.rows import count_rows
from assay.nouns.results.result import Estimate

MOST_LINES = 20
"""Units that the description lists."""


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    rows = len(case) + count_rows(o.reference) + (1 if o.layer is None else 0)
    return Cost(rows) * case.model.passes_per_row


@explainer(source="bau2017", needs={"gradient", "net", "numbers", "shared parts"}, cost=_cost)
def unit_concepts(
    case: Case, *, masks: Any, reference: Any, layer: str | None = None, share: float = 0.005, shuffles: int = 99
) -> Estimate:
    """Where the units of a layer are strongly active, and which concepts these places are masks of.

    Values (row, unit) are the share of a row's positions at which the unit is above its limit, 0 … 1; the limit is
    exceeded at the share ``share`` of all positions of the ``reference`` rows. ``masks`` maps concepts to masks of the
    rows explained (row, *positions), or (row,) for a layer without positions; maps are resized linearly to their size.

    ``extra["iou"]`` (unit, concept): positions active and masked over positions active or masked, all rows together, 0
    … 1 (Bau et al. 2017, who name a unit after its best concept from 0.04 on, whatever chance gives).
    ``extra["chance"]`` (unit,): the mean of the largest one where the masks are shuffled between rows, ``shuffles``
    times; ``extra["p"]`` (unit,) the share of shuffles, and the observation itself, that reach the unit's own, and
    ``extra["p_holm"]`` corrected over units. Masks at the same place in all rows cannot beat chance.

    ``layer`` is a dotted name; ``None`` takes the last layer that gives maps, else the last hidden layer, with a note.
    A unit may respond to several concepts, and a concept to a direction of many units: use ``explain.tcav``.
    """
    if not 0 < share < 1 or shuffles < 1:
        raise InputError(f"share={share} lies between 0 and 1, shuffles={shuffles} is at least 1.")
    names, given = read_masks(masks, len(case))
    layer, notes = find_units_layer(case, layer)
    known = position_matrix(other_case(case, reference, "reference").from_layer(layer))
    limits = np.quantile(known.reshape(-1, known.shape[2]), 1 - share, axis=0)
    order = content_order(case)
    inner, back = case.take(order).from_layer(layer), np.argsort(order)
    found = overlap(inner, limits, given[:, order], shuffles, case.seed.child("unit_concepts"))
    adjusted, best = holm(found.p), found.iou.argmax(axis=1)
    units = [inner.features.names[unit] for unit in range(len(best))]
    listed = sorted(range(len(best)), key=lambda unit: (found.p[unit], -found.iou[unit].max()))
    return Estimate(
        found.active[back],
        notes=notes,
        extra={
            "iou": found.iou,
            "best": best.astype(np.float64),
            "chance": found.chance,
            "p": found.p,
            "p_holm": adjusted,
        },
        features=elements((len(units),), units),
        x=position_matrix(inner).mean(axis=1)[back],
        description=(
            f"concepts {', '.join(names)}; p at least {1 / (shuffles + 1):.3g}",
            *(
                f"{units[unit]}: {names[best[unit]]}, IoU {found.iou[unit, best[unit]]:.3f} (chance "
                f"{found.chance[unit]:.3f}), p {found.p[unit]:.2g} (Holm {adjusted[unit]:.2g})"
                for unit in listed[:MOST_LINES]
            ),
        ),
    )
