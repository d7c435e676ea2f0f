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
from assay.engine.neighbourhoods.neighbourhood import explanation_key, max_over_draws, recompute_values
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Explanation


@scorer(
    source="montavon2018",
    better="lower",
    needs={"image", "numbers"},
    cost=explained_again(lambda case, o: 4 * o.reach),
)
def continuity(explanation: Explanation, case: Case, *, reach: int = 2) -> Estimate:
    """Largest change of the explanation per change of the image, when the image is shifted by a few pixels.

    max ‖φ(x′) − φ(x)‖₁ / ‖x′ − x‖₂ over the images x′ shifted by 1 … ``reach`` pixels up, down, left and right; in
    units of φ per unit of a pixel, 0 … ∞. 0 is best: the explanation shifts with the image. The feature segmentation is
    shifted with the image, so that each feature is compared with itself. The shift is cyclic: pixels that leave at one
    side enter at the other, which is a true shift if the border is uniform, and makes a seam otherwise.
    extra["relative"] is the largest ‖φ(x′) − φ(x)‖₁ / ‖φ(x)‖₁, which has no units. Undefined where no shift changes the
    image.

    The paper compares at fixed positions. quantus.Continuity shifts until the image is empty.
    """
    if reach < 1:
        raise InputError(f"reach={reach}; needed is a shift of at least 1 pixel.")
    size = np.abs(explanation.values).sum(axis=1)
    slopes, shares = [], []
    for distance, values in _explain_shifted(explanation, case, reach):
        change = np.abs(values - explanation.values).sum(axis=1)
        slopes.append(np.divide(change, distance, out=np.full(len(case), np.nan), where=distance > 0))
        shares.append(np.divide(change, size, out=np.full(len(case), np.nan), where=(size > 0) & (distance > 0)))
    relative = max_over_draws(np.stack(shares, axis=1))
    return Estimate(max_over_draws(np.stack(slopes, axis=1)), extra={"relative": relative})


def _explain_shifted(explanation: Explanation, case: Case, reach: int) -> Iterator[tuple[np.ndarray, PerPart]]:
    """Distance (row,) of each shifted image from the image, and the explanation of the shifted image."""
    xp = array_namespace(case.rows.x)
    key = explanation_key(explanation)
    for step in range(1, reach + 1):
        for shift in ((step, 0), (-step, 0), (0, step), (0, -step)):
            x = xp.roll(case.rows.x, shift, axis=(-2, -1))
            index = np.roll(case.features.index, shift, axis=(-2, -1))
            shifted = replace(case.at(x), features=replace(case.features, index=index))

            def explain(shifted: Case = shifted) -> PerPart:
                return recompute_values(explanation, shifted)

            distance = np.linalg.norm(to_floats(x - case.rows.x).reshape(len(case), -1), axis=1)
            yield distance, case.explanation_cache.get(("shifted", key, shift), explain)
