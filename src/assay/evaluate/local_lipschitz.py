# SPDX-License-Identifier: Apache-2.0
"""Local Lipschitz estimate."""

import numpy as np

from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.engine.declare import scorer
from assay.engine.neighbourhoods.neighbourhood import (
    displacement,
    explain_neighbours,
    max_over_draws,
    neighbourhood_cost,
)
from assay.engine.search.ball import Ball
from assay.nouns.results.result import Explanation


@scorer(source="alvarezmelis2018", better="lower", needs={"numbers"}, cost=neighbourhood_cost())
def local_lipschitz(explanation: Explanation, case: Case, *, ball: Ball, draws: int = 10) -> PerRow:
    """Largest change of the explanation per change of the input, under small random perturbations.

    max_δ ‖φ(x + δ) − φ(x)‖ / ‖δ‖, Euclidean over features and over the input's elements (without missing numbers and
    padding), in units of φ per unit of the rows, before ``preprocess``; 0 … ∞, 0 is best. It depends on both units:
    compare only values in the same units, on rows of the same scale. It is a lower bound of the Lipschitz constant
    within ``ball`` and grows with ``draws``. Perturbations are those of ``max_sensitivity``, after which this needs no
    model evaluations. Undefined where no perturbation changes the row.

    quantus.LocalLipschitzEstimate perturbs by normal noise, and first divides values by the largest of the whole batch,
    so that a row's score depends on the other rows.
    """
    slopes = []
    for x, values in explain_neighbours(explanation, case, ball, draws):
        distance = np.linalg.norm(displacement(case, x), axis=1)
        change = np.linalg.norm(values - explanation.values, axis=1)
        slopes.append(np.divide(change, distance, out=np.full(len(case), np.nan), where=distance > 0))
    return max_over_draws(np.stack(slopes, axis=1))
