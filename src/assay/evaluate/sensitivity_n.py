# SPDX-License-Identifier: Apache-2.0
"""Sensitivity-N."""

from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Ints
from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.coalitions.summary import Design
from assay.engine.cost import coalitions
from assay.engine.declare import scorer
from assay.engine.removal.random_removal import followed, without_share
from assay.nouns.results.result import Estimate, Explanation


@scorer(
    source="ancona2018",
    better="higher",
    claims={"directed"},
    cost=coalitions(lambda case, o: _asked(case, o)),
)
def sensitivity_n(
    explanation: Explanation,
    case: Case,
    *,
    remove: Removal = Constant(0.0),
    shares: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8),
    draws: int = 100,
) -> Estimate:
    """How closely summed attributions follow the fall of the target, for parts taken away few and many at a time.

    For each size N = ⌈share · n⌉ below n, the Pearson correlation, −1 … 1, over subsets S of N parts between
    Σ_{i∈S} φ_i and f(x) − v(all but S); the score is the mean over the sizes that have one, extra["without N"] tells
    each and extra["sizes"] how many have. Sizes that several shares name count once. All subsets of a size are asked
    when ``draws`` pays for them, else ``draws`` independent ones, the same for all rows and methods of a case; the
    standard error is the jackknife's, subsets of different sizes being independent. At share 0.2 these are the subsets
    of ``faithfulness_correlation`` and free after it. Undefined where no size has a correlation: every part has the
    same attribution, or nothing changes the target. Blind to the scale of φ.

    quantus.SensitivityN is another thing: parts go in the order of attribution, the fall of all that have gone is
    paired with the attribution of the last step alone, the correlation runs across inputs, and only the first batch is
    kept.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0, 2.0))
    >>> sensitivity_n(explain.integrated_gradients(case), case).values.round(3)
    array([1.])
    """
    sizes = _sizes(len(case.features), shares).tolist()
    parts, none = len(case.features), np.full((0, len(case)), np.nan)
    found = [followed(explanation, case, remove, without_share(case, size / parts, draws)) for size in sizes]
    each = np.stack([one for one, _ in found]) if found else none
    error = np.stack([one for _, one in found]) if found else none
    defined = np.isfinite(each)
    count = defined.sum(axis=0)
    unknown = np.full(len(case), np.nan)
    mean = np.divide(np.where(defined, each, 0.0).sum(axis=0), count, out=unknown.copy(), where=count > 0)
    total = np.sqrt((np.where(defined, error, 0.0) ** 2).sum(axis=0))
    stderr = np.divide(total, count, out=unknown.copy(), where=count > 0)
    extra = {f"without {size}": values for size, values in zip(sizes, each)}
    return Estimate(mean, stderr, extra={**extra, "sizes": count.astype(np.float64)})


def _sizes(parts: int, shares: tuple[float, ...]) -> Ints:
    """How many parts go: the different sizes, short of all of them."""
    if not shares or not all(0 < share < 1 for share in shares):
        raise InputError(f"shares are fractions of the parts, above 0 and below 1, at least one; got {shares}.")
    sizes = np.unique(np.ceil(np.asarray(shares) * parts - 1e-9).astype(np.int64))
    return sizes[sizes < parts]


def _asked(case: Case, o: Any) -> Design:
    """The coalitions of all sizes."""
    parts = len(case.features)
    designs = [without_share(case, size / parts, o.draws).masks for size in _sizes(parts, o.shares).tolist()]
    return Design(np.concatenate([np.ones((1, parts), dtype=bool), *designs]))
