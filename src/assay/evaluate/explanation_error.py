# SPDX-License-Identifier: Apache-2.0
"""The explanation error."""

from typing import Any

import numpy as np

from assay.basics.types import Floats, PerRow
from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.coalitions.masks import present
from assay.engine.coalitions.permutations import permutations
from assay.engine.coalitions.summary import Design, enumerated, exact_shapley
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
    explanation: Explanation, case: Case, *, remove: Removal = Constant(0.0), budget: int = 2048
) -> Estimate:
    """Mean squared gap between what the parts put back so far are said to add, and what they add.

    E over random orders of the mean over k = 1 … n of (Σ_{i∈S} φ_i − (v(S) − v(∅)))², S the first k parts of the order:
    so every size counts alike. In squared units of the target; 0 is best, and reached only where effects add up;
    extra["relative"] divides by the same mean of (v(S) − v(∅))², so that 1 is what saying nothing gets. All coalitions
    are asked, with standard error 0, when 2^n fit in ``budget``; else antithetic pairs of orders, those of
    ``permutation_shapley`` and free after it, the standard error being over pairs. Parts a row lacks do not count. For
    values that are effects on the target's scale; others (saliency) are judged as if they were.

    shap.benchmark.ExplanationError differs: it takes the root, of the last row's errors alone, counts S = ∅ (always 0)
    among them, and leaves numpy's global stream seeded anew.

    >>> from assay import examples, explain
    >>> case = examples.product((2.0, 3.0))             # the first to come adds 0, not 3; both add 6
    >>> explanation_error(explain.integrated_gradients(case), case).values.round(3)
    array([4.5])
    """
    design = _design(case, budget)
    value = case.game(remove).table(design.masks)
    empty = int(np.flatnonzero(~design.masks.any(axis=1))[0])
    added = value - value[:, empty : empty + 1]
    gap = (explanation.values @ design.masks.T - added) ** 2
    exact = enumerated(len(case.features), budget)
    mean, stderr = _over_sizes(case, design, gap) if exact else _over_orders(case, design, gap)
    whole = (_over_sizes if exact else _over_orders)(case, design, added**2)[0]
    relative = np.divide(mean, whole, out=np.full(len(case), np.nan), where=whole > 0)
    return Estimate(mean, stderr, extra={"relative": relative})


def _design(case: Case, budget: int) -> Design:
    """All coalitions, or chains of growing ones along random orders."""
    parts = len(case.features)
    chosen = exact_shapley if enumerated(parts, budget) else permutations
    return chosen.design(parts, budget, case.seed.child("design", chosen.name))


def _over_sizes(case: Case, design: Design, gap: Floats) -> tuple[PerRow, PerRow]:
    """The mean (row,) over coalitions of each size, and over sizes, of the parts each row has; nothing is left out."""
    held = present(case)
    own = ~((~held).astype(float) @ design.masks.T).astype(bool)  # coalitions without parts the row lacks
    size = design.masks.sum(axis=1)
    mean = np.zeros(len(gap))
    for row, parts in enumerate(held.sum(axis=1).tolist()):
        each = [gap[row, own[row] & (size == k)].mean() for k in range(1, parts + 1)]
        mean[row] = np.mean(each) if each else np.nan
    return mean, np.zeros(len(gap))


def _over_orders(case: Case, design: Design, gap: Floats) -> tuple[PerRow, PerRow]:
    """The mean (row,) over the steps at which a part of the row joins, and its error over pairs of orders."""
    parts, held = design.masks.shape[1], present(case)
    chains = design.masks.reshape(-1, parts + 1, parts)
    joined: Any = (chains[:, 1:] & ~chains[:, :-1]).argmax(axis=2)
    counts = held[:, joined]  # (row, chain, step)
    steps = gap.reshape(len(gap), len(chains), parts + 1)[:, :, 1:]
    with np.errstate(invalid="ignore"):  # a row without parts has no mean
        each = (steps * counts).sum(axis=2) / counts.sum(axis=2)
    paired = each.reshape(len(gap), -1, 2).mean(axis=2)
    return paired.mean(axis=1), paired.std(axis=1, ddof=1) / np.sqrt(paired.shape[1])
