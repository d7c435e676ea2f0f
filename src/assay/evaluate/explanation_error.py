# SPDX-License-Identifier: Apache-2.0
"""Explanation error."""

from typing import Any

import numpy as np

from assay.basics.types import Floats, PerRow
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.coalitions.estimator import Design, exact_shapley, is_enumerable
from assay.engine.coalitions.masks import present_parts
from assay.engine.coalitions.permutations import permutations
from assay.engine.cost import coalitions
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(
    source="assay2026",
    better="lower",
    claims={"directed"},
    cost=coalitions(lambda case, o: _design(case, o.budget)),
)
def explanation_error(
    explanation: Explanation, case: Case, *, remove: Removal = DEFAULT, budget: int = 2048
) -> Estimate:
    """Mean squared difference between sums of values and the change in output when those features are added.

    E over random orders of the mean over k = 1 … n of (Σ_{i∈S} φ_i − (v(S) − v(∅)))², S the first k features of the
    order, so that every coalition size has equal weight. In squared units of the target. 0 is best and is possible only
    if the effects are additive. extra["relative"] divides by the same mean of (v(S) − v(∅))²; an explanation of zeros
    has 1. If 2^n is at most ``budget``, all coalitions are evaluated and the standard error is 0; else antithetic pairs
    of orders are drawn, those of ``permutation_shapley``, after which this needs no further model evaluations, and the
    standard error is over pairs. Features that a row lacks are excluded. The score is meant for values that are effects
    in units of the target; other values (saliency) are evaluated as if they were.

    shap.benchmark.ExplanationError differs: it takes the root, of the last row's errors alone, includes S = ∅ (always
    0), and reseeds numpy's global random generator.

    >>> from assay import Constant, examples, explain
    >>> case = examples.product((2.0, 3.0))             # the first feature adds 0, not 3; both add 6
    >>> explanation_error(explain.integrated_gradients(case), case, remove=Constant(0.0)).values.round(3)
    array([4.5])
    """
    design = _design(case, budget)
    value = case.game(remove).table(design.masks)
    empty = int(np.flatnonzero(~design.masks.any(axis=1))[0])
    added = value - value[:, empty : empty + 1]
    error = (explanation.values @ design.masks.T - added) ** 2
    exact = is_enumerable(len(case.features), budget)
    average = _mean_over_sizes if exact else _mean_over_orders
    mean, stderr = average(case, design, error)
    scale = average(case, design, added**2)[0]
    relative = np.divide(mean, scale, out=np.full(len(case), np.nan), where=scale > 0)
    return Estimate(mean, stderr, extra={"relative": relative})


def _design(case: Case, budget: int) -> Design:
    """All coalitions, or the nested coalitions of random orders of the features."""
    parts = len(case.features)
    chosen = exact_shapley if is_enumerable(parts, budget) else permutations
    return chosen.design(parts, budget, case.seed.child("design", chosen.name))


def _mean_over_sizes(case: Case, design: Design, error: Floats) -> tuple[PerRow, PerRow]:
    """Mean (row,) over all coalitions of a size, then over sizes, of the features each row has; standard error 0."""
    available = present_parts(case)
    own = ~((~available).astype(float) @ design.masks.T).astype(bool)  # coalitions without features the row lacks
    size = design.masks.sum(axis=1)
    mean = np.zeros(len(error))
    for row, parts in enumerate(available.sum(axis=1).tolist()):
        each = [error[row, own[row] & (size == k)].mean() for k in range(1, parts + 1)]
        mean[row] = np.mean(each) if each else np.nan
    return mean, np.zeros(len(error))


def _mean_over_orders(case: Case, design: Design, error: Floats) -> tuple[PerRow, PerRow]:
    """Mean (row,) over the steps that add a feature of the row, and its standard error over pairs of orders."""
    parts, available = design.masks.shape[1], present_parts(case)
    chains = design.masks.reshape(-1, parts + 1, parts)
    added: Any = (chains[:, 1:] & ~chains[:, :-1]).argmax(axis=2)
    counted = available[:, added]  # (row, chain, step)
    steps = error.reshape(len(error), len(chains), parts + 1)[:, :, 1:]
    with np.errstate(invalid="ignore"):  # a row without features has no mean
        each = (steps * counted).sum(axis=2) / counted.sum(axis=2)
    paired = each.reshape(len(error), -1, 2).mean(axis=2)
    return paired.mean(axis=1), paired.std(axis=1, ddof=1) / np.sqrt(paired.shape[1])
