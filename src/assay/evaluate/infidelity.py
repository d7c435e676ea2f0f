# SPDX-License-Identifier: Apache-2.0
"""Infidelity."""

import numpy as np

from assay.basics.types import Floats, PerRow
from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.cost import coalitions
from assay.engine.declare import scorer
from assay.engine.removal.random_removal import coin_flips, complete
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="yeh2019", better="lower", cost=coalitions(lambda case, o: coin_flips(case, o.draws)))
def infidelity(
    explanation: Explanation,
    case: Case,
    *,
    remove: Removal = Constant(0.0),
    draws: int = 100,
    scaled: bool = False,
) -> Estimate:
    """Mean squared gap between the summed attribution of random parts and the fall of the target without them.

    E_I[(Σ_{i∈I} φ_i − (f(x) − v(all but I)))²] with each part in I with probability ½, in squared units of the
    target; 0 is best. All 2^n subsets are asked, with standard error 0, when ``draws`` pays for them; else ``draws``
    independent ones, the same for all rows and methods of a case. Values that are effects (Shapley, integrated
    gradients) are judged as they stand; values on another scale (saliency) only ``scaled``, by the factor β that fits
    best, as in the paper's experiments; extra["scale"] tells it, 0 where φ = 0.

    captum.infidelity multiplies attributions by perturbations in input units and does not fit β by default; Quantus
    never fits it: with either, attributions ten times as large can score a hundred times as badly.

    >>> from assay import examples, explain
    >>> case = examples.product((2.0, 3.0))             # each part gets 3, but the first to go takes all 6
    >>> infidelity(explain.integrated_gradients(case), case).values.round(3)
    array([4.5])
    """
    design = coin_flips(case, draws)
    summed = explanation.values @ (~design.masks).T
    fall = case.output[:, None] - case.game(remove).table(design.masks)
    beta = _best_scale(summed, fall, design.weight) if scaled else np.ones(len(case))
    gap = (beta[:, None] * summed - fall) ** 2
    stderr = np.zeros(len(case)) if complete(design) else gap.std(axis=1, ddof=1) / np.sqrt(gap.shape[1])
    return Estimate(gap @ design.weight, stderr, extra={"scale": beta})


def _best_scale(summed: Floats, fall: Floats, weight: Floats) -> PerRow:
    """β (row,) that minimises E[(β · summed − fall)²]; 0 where nothing is attributed."""
    power = summed**2 @ weight
    return np.divide((summed * fall) @ weight, power, out=np.zeros(len(power)), where=power > 0)
