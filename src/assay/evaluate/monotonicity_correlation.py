# SPDX-License-Identifier: Apache-2.0
"""Monotonicity as a rank correlation."""

import numpy as np

from assay.basics.stats import spearman
from assay.basics.types import Floats, PerRow
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.coalitions.masks import present_parts
from assay.engine.cost import coalitions
from assay.engine.declare import scorer
from assay.engine.removal.random_removal import leave_one_out_coalitions
from assay.nouns.results.result import Explanation

ROUNDING = 1e-12
"""Share of the target's size up to which a difference is rounding and counts as 0."""


@scorer(
    source="nguyen2020",
    better="higher",
    cost=coalitions(lambda case, o: leave_one_out_coalitions(case)),
)
def monotonicity_correlation(explanation: Explanation, case: Case, *, remove: Removal = DEFAULT) -> PerRow:
    """Rank correlation between the magnitude of attributions and the squared change in the target without each feature.

    Spearman correlation, −1 … 1, over the features i between |φ_i| and E[(f(x) − f(x with i replaced))²], the mean over
    the removal's fillings: the uncertainty of the target when feature i is unknown. With one filling it is the squared
    drop, and the evaluations are those of ``occlusion``; with several (``Marginal``) the model is evaluated again,
    since a game caches only means. The sign of φ does not matter. Features that a row lacks are excluded; changes that
    differ by at most 10⁻¹² of the target's size are tied. Undefined where all |φ| or all means are equal.

    The paper divides by f(x)²; this is the same for all features and changes no rank, so it is left out, and f(x) = 0
    needs no special case. quantus.MonotonicityCorrelation divides, and fails where |f(x)| is small; it replaces by one
    value per row, drawn separately for each explanation.

    >>> from assay import Constant, examples, explain
    >>> case = examples.linear((3.0, -1.0, 2.0))
    >>> monotonicity_correlation(explain.integrated_gradients(case), case, remove=Constant(0.0)).values.round(3)
    array([1.])
    """
    change = _root_mean_square_change(case, remove)
    score = np.full(len(case), np.nan)
    for row, available in enumerate(present_parts(case)):
        if available.any():
            magnitude = np.abs(explanation.values[row : row + 1, available])
            score[row] = spearman(magnitude, change[row : row + 1, available])[0]
    return score


def _root_mean_square_change(case: Case, remove: Removal) -> Floats:
    """√E[(f(x) − f(x with the feature replaced))²] (row, part), in units of the rounding tolerance, rounded."""
    masks, game, rows = leave_one_out_coalitions(case).masks, case.game(remove), len(case)
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
