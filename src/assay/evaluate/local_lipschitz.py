# SPDX-License-Identifier: Apache-2.0
"""The local Lipschitz estimate."""

import numpy as np

from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.engine.declare import scorer
from assay.engine.neighbourhoods.neighbourhood import distance, explained_near, largest, neighbours
from assay.engine.search.ball import Ball
from assay.nouns.results.result import Explanation


@scorer(source="alvarezmelis2018", better="lower", needs={"numbers"}, cost=explained_near())
def local_lipschitz(explanation: Explanation, case: Case, *, ball: Ball, draws: int = 10) -> PerRow:
    """The largest change of the explanation for a change of the input, among random small moves.

    max_δ ‖φ(x + δ) − φ(x)‖ / ‖δ‖, Euclidean over parts and over the input's elements (missing numbers and padding
    aside), in units of φ per unit of the rows, before ``preprocess``; 0 … ∞, 0 is best. It depends on both units: only
    values of one unit may be compared, on one scale of rows. A lower bound of the constant that holds within ``ball``;
    it grows with ``draws``. The draws are those of ``max_sensitivity``, after which this costs nothing. Undefined where
    no draw moves the row.

    quantus.LocalLipschitzEstimate moves by normal noise of its own, and divides values by the largest of the whole
    batch first, so that a row's score depends on the rows beside it.
    """
    slopes = []
    for x, values in neighbours(explanation, case, ball, draws):
        way = np.linalg.norm(distance(case, x), axis=1)
        change = np.linalg.norm(values - explanation.values, axis=1)
        slopes.append(np.divide(change, way, out=np.full(len(case), np.nan), where=way > 0))
    return largest(np.stack(slopes, axis=1))
