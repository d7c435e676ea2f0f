# SPDX-License-Identifier: Apache-2.0
"""Sensitivity-n."""

from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Ints
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.coalitions.estimator import Design
from assay.engine.cost import coalitions
from assay.engine.declare import scorer
from assay.engine.removal.random_removal import fixed_size_coalitions, removal_correlation
from assay.nouns.results.result import Estimate, Explanation


@scorer(
    source="ancona2018",
    better="higher",
    claims={"directed"},
    cost=coalitions(lambda case, o: _all_coalitions(case, o)),
)
def sensitivity_n(
    explanation: Explanation,
    case: Case,
    *,
    remove: Removal = DEFAULT,
    shares: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8),
    draws: int = 100,
) -> Estimate:
    """Correlation between summed attributions and the drop in the target, averaged over numbers of removed features.

    For each size N = ⌈share · n⌉ below n, the Pearson correlation, −1 … 1, over subsets S of N features between
    Σ_{i∈S} φ_i and f(x) − v(all but S). The score is the mean over the sizes where it is defined; extra["without N"] is
    each correlation and extra["sizes"] the number defined. Sizes that several shares give count once. If there are at
    most ``draws`` subsets of a size, all are evaluated; else ``draws`` independent ones, the same for all rows and
    methods of a case. The standard error is the jackknife's, subsets of different sizes being independent. At share 0.2
    these are the subsets of ``faithfulness_correlation``, which need no further model evaluations after it. Undefined
    where no size has a correlation: all features have the same attribution, or no removal changes the target. It does
    not depend on the scale of φ.

    quantus.SensitivityN is another quantity: features are removed in the order of attribution, the drop without all
    removed so far is paired with the attribution of the last step alone, the correlation is over inputs, and only the
    first batch is used.

    >>> from assay import Constant, examples, explain
    >>> case = examples.additive((3.0, 1.0, 2.0))
    >>> sensitivity_n(explain.integrated_gradients(case), case, remove=Constant(0.0)).values.round(3)
    array([1.])
    """
    sizes = _sizes(len(case.features), shares).tolist()
    parts, none = len(case.features), np.full((0, len(case)), np.nan)
    results = [
        removal_correlation(explanation, case, remove, fixed_size_coalitions(case, size / parts, draws))
        for size in sizes
    ]
    each = np.stack([one for one, _ in results]) if results else none
    error = np.stack([one for _, one in results]) if results else none
    defined = np.isfinite(each)
    count = defined.sum(axis=0)
    undefined = np.full(len(case), np.nan)
    mean = np.divide(np.where(defined, each, 0.0).sum(axis=0), count, out=undefined.copy(), where=count > 0)
    total = np.sqrt((np.where(defined, error, 0.0) ** 2).sum(axis=0))
    stderr = np.divide(total, count, out=undefined.copy(), where=count > 0)
    extra = {f"without {size}": values for size, values in zip(sizes, each)}
    return Estimate(mean, stderr, extra={**extra, "sizes": count.astype(np.float64)})


def _sizes(parts: int, shares: tuple[float, ...]) -> Ints:
    """Distinct numbers of features to remove, below the number of features."""
    if not len(shares) or not all(0 < share < 1 for share in shares):
        raise InputError(f"shares={shares}; needed is at least one fraction of the features, above 0 and below 1.")
    sizes = np.unique(np.ceil(np.asarray(shares) * parts - 1e-9).astype(np.int64))
    return sizes[sizes < parts]


def _all_coalitions(case: Case, o: Any) -> Design:
    """The coalitions of all sizes, and the full one."""
    parts = len(case.features)
    designs = [fixed_size_coalitions(case, size / parts, o.draws).masks for size in _sizes(parts, o.shares).tolist()]
    return Design(np.concatenate([np.ones((1, parts), dtype=bool), *designs]))
