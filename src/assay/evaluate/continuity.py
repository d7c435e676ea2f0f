# SPDX-License-Identifier: Apache-2.0
"""Continuity."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from array_api_compat import array_namespace

from assay.basics.errors import InputError
from assay.basics.types import PerPart
from assay.cases.case import Case
from assay.engine.cost import explained_again
from assay.engine.declare import scorer
from assay.engine.neighbourhoods.neighbourhood import largest, named, recomputed
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Explanation


@scorer(
    source="montavon2018",
    better="lower",
    needs={"image", "numbers"},
    cost=explained_again(lambda case, o: 4 * o.reach),
)
def continuity(explanation: Explanation, case: Case, *, reach: int = 2) -> Estimate:
    """The largest change of the explanation for a change of the picture, as it is pushed aside by a few pixels.

    max ‖φ(x′) − φ(x)‖₁ / ‖x′ − x‖₂ over the pictures x′ shifted by 1 … ``reach`` pixels up, down, left and right; in
    units of φ per unit of a pixel, 0 … ∞, 0 is best: the explanation moves along. The cut into parts is shifted with
    the picture, so a part is compared with itself wherever it has gone. What leaves at one side comes in at the other:
    with an even border that is a shift, else a seam runs through the picture. extra["relative"] is the largest
    ‖φ(x′) − φ(x)‖₁ / ‖φ(x)‖₁, which knows no units. Undefined where every shift leaves the picture as it is.

    The paper compares at fixed places. quantus.Continuity shifts until nothing of the picture is left.
    """
    if reach < 1:
        raise InputError(f"reach={reach}; the picture is shifted by at least 1 pixel.")
    size = np.abs(explanation.values).sum(axis=1)
    slopes, shares = [], []
    for way, values in _shifted(explanation, case, reach):
        change = np.abs(values - explanation.values).sum(axis=1)
        slopes.append(np.divide(change, way, out=np.full(len(case), np.nan), where=way > 0))
        shares.append(np.divide(change, size, out=np.full(len(case), np.nan), where=(size > 0) & (way > 0)))
    return Estimate(largest(np.stack(slopes, axis=1)), extra={"relative": largest(np.stack(shares, axis=1))})


def _shifted(explanation: Explanation, case: Case, reach: int) -> Iterator[tuple[np.ndarray, PerPart]]:
    """How far each shifted picture is from the picture (row,), and the explanation there."""
    xp = array_namespace(case.rows.x)
    name = named(explanation)
    for step in range(1, reach + 1):
        for shift in ((step, 0), (-step, 0), (0, step), (0, -step)):
            x = xp.roll(case.rows.x, shift, axis=(-2, -1))
            index = np.roll(case.features.index, shift, axis=(-2, -1))
            there = replace(case.at(x), features=replace(case.features, index=index))

            def again(there: Case = there) -> PerPart:
                return recomputed(explanation, there)

            way = np.linalg.norm(to_floats(x - case.rows.x).reshape(len(case), -1), axis=1)
            yield way, case.explanation_cache.once(("shifted", name, shift), again)
