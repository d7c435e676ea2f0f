# SPDX-License-Identifier: Apache-2.0
"""Monotonicity, as a rank correlation."""

import numpy as np

from assay.basics.stats import spearman
from assay.basics.types import Floats, PerRow
from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.coalitions.masks import present
from assay.engine.cost import coalitions
from assay.engine.declare import scorer
from assay.engine.removal.random_removal import alone
from assay.nouns.results.result import Explanation

ROUNDING = 1e-12
"""Share of the target's size below which a difference is rounding, and counts as none."""


@scorer(
    source="nguyen2020",
    better="higher",
    cost=coalitions(lambda case, o: alone(case)),
)
def monotonicity_correlation(explanation: Explanation, case: Case, *, remove: Removal = Constant(0.0)) -> PerRow:
    """Whether parts of larger attribution, by size, are those without which the target is harder to know.

    Spearman correlation, −1 … 1, over the parts i between |φ_i| and E[(f(x) − f(x with i filled))²], the mean over the
    removal's fillings, each by itself: the target's uncertainty when i is not known. With one filling it is the squared
    fall, and the evaluations are those of ``occlusion``; with several (``Marginal``) they are asked anew, as a game
    remembers means. Of sizes alone: the sign of φ does not count. Parts a row lacks do not count; parts that move the
    target alike (to 10⁻¹² of its size) tie. Undefined where all |φ| or all means are the same.

    The paper divides by f(x)²; it is the same for all parts and moves no rank, so it is left out, and f(x) = 0 needs no
    case of its own. quantus.MonotonicityCorrelation divides, and fails where |f(x)| is small; it fills with one
    value a row, drawn anew for each explanation.

    >>> from assay import examples, explain
    >>> case = examples.linear((3.0, -1.0, 2.0))
    >>> monotonicity_correlation(explain.integrated_gradients(case), case).values.round(3)
    array([1.])
    """
    moved = _moved(case, remove)
    score = np.full(len(case), np.nan)
    for row, held in enumerate(present(case)):
        if held.any():
            score[row] = spearman(np.abs(explanation.values[row : row + 1, held]), moved[row : row + 1, held])[0]
    return score


def _moved(case: Case, remove: Removal) -> Floats:
    """The root of E[(f(x) − f(x with the part filled))²] (row, part), in steps of rounding."""
    masks, game, rows = alone(case).masks, case.game(remove), len(case)
    if remove.fills == 1:
        value = game.table(masks)
        square, size = (case.output[:, None] - value) ** 2, np.abs(value).max(axis=1)
    else:
        square, size = np.zeros((rows, len(masks))), np.zeros(rows)
        for queries, filled, owners in game.inputs(np.repeat(np.arange(rows), len(masks)), np.tile(masks, (rows, 1))):
            value = case.value(filled, owners)
            np.add.at(square.reshape(-1), queries, (case.output[owners] - value) ** 2 / remove.fills)
            np.maximum.at(size, owners, np.abs(value))
    step = ROUNDING * np.maximum(size, np.abs(case.output))[:, None]
    return np.asarray(np.round(np.divide(np.sqrt(square), step, out=np.zeros_like(square), where=step > 0)))
