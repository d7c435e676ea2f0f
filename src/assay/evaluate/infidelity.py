# SPDX-License-Identifier: Apache-2.0
"""Infidelity."""

import numpy as np

from assay.basics.types import Floats, PerRow
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.cost import coalitions
from assay.engine.declare import scorer
from assay.engine.removal.random_removal import bernoulli_coalitions, is_exhaustive
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="yeh2019", better="lower", cost=coalitions(lambda case, o: bernoulli_coalitions(case, o.draws)))
def infidelity(
    explanation: Explanation,
    case: Case,
    *,
    remove: Removal = DEFAULT,
    draws: int = 100,
    scaled: bool = False,
) -> Estimate:
    """Mean squared difference between the summed attribution of random features and the drop when they are removed.

    E_I[(Σ_{i∈I} φ_i − (f(x) − v(all but I)))²] with each feature in I with probability ½, in squared units of the
    target; 0 is best. If 2^n is at most ``draws``, all subsets are evaluated and the standard error is 0; else
    ``draws`` independent ones, the same for all rows and methods of a case. Values that are effects (Shapley,
    integrated gradients) are evaluated unscaled. Use ``scaled`` for values on another scale (saliency): it multiplies
    them by the factor β of best fit, as in the paper's experiments. extra["scale"] is β, 0 where φ = 0.

    captum.infidelity multiplies attributions by perturbations in input units and does not fit β by default; Quantus
    never fits it: with either, attributions ten times as large can score a hundred times as badly.

    >>> from assay import Constant, examples, explain
    >>> case = examples.product((2.0, 3.0))             # each value is 3, but the first removal loses all 6
    >>> infidelity(explain.integrated_gradients(case), case, remove=Constant(0.0)).values.round(3)
    array([4.5])
    """
    design = bernoulli_coalitions(case, draws)
    summed = explanation.values @ (~design.masks).T
    drop = case.output[:, None] - case.game(remove).table(design.masks)
    beta = _best_scale(summed, drop, design.weight) if scaled else np.ones(len(case))
    error = (beta[:, None] * summed - drop) ** 2
    stderr = np.zeros(len(case)) if is_exhaustive(design) else error.std(axis=1, ddof=1) / np.sqrt(error.shape[1])
    return Estimate(error @ design.weight, stderr, extra={"scale": beta})


def _best_scale(summed: Floats, drop: Floats, weight: Floats) -> PerRow:
    """β (row,) that minimises E[(β · summed − drop)²]; 0 where all sums are 0."""
    power = summed**2 @ weight
    return np.divide((summed * drop) @ weight, power, out=np.zeros(len(power)), where=power > 0)
