# SPDX-License-Identifier: Apache-2.0
"""The largest gradient of the target near each row: its local Lipschitz constant from below."""

from __future__ import annotations

import numpy as np

from assay.basics.seed import Seed
from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.engine.search.ball import Ball
from assay.nouns.inputs.rows import to_floats


def largest_gradient_norms(case: Case, ball: Ball, remove: Removal, draws: int, seed: Seed) -> PerRow:
    """The largest ℓ2 norm (row,) of the target's gradient at random points of the ball, random features removed.

    Each of ``draws`` points is uniform in the ball; the first has all its features, each other one keeps a feature
    with probability ½. Each point has one of the removal's fillings, in turn. The supremum of these norms is the
    Lipschitz constant; the largest of a sample is a lower bound.
    """
    largest = np.zeros(len(case))
    for draw in range(draws):
        points = case.at(ball.draw(case.rows, seed.child("points", draw)))
        keep = np.stack(
            [
                seed.child("masks", draw, name).generator().random(len(case.features)) < (0.5 if draw else 2.0)
                for name in case.rows.ids
            ]
        )
        seen = np.zeros(len(case), dtype=np.int64)
        for queries, filled, owners in points.game(remove).inputs(np.arange(len(case)), keep):
            version = seen[queries] + np.arange(len(queries)) // len(np.unique(queries))
            np.add.at(seen, queries, 1)
            chosen = np.flatnonzero(version == draw % remove.fills)
            if len(chosen):
                slopes = to_floats(points.gradient(filled[chosen], owners[chosen])).reshape(len(chosen), -1)
                np.maximum.at(largest, owners[chosen], np.linalg.norm(slopes, axis=1))
    return largest
