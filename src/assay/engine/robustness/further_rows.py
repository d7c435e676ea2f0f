# SPDX-License-Identifier: Apache-2.0
"""How many further rows decide a check about a rate of which only two bounds are known."""

from __future__ import annotations

from assay.basics.paired_tests import rows_to_decide
from assay.basics.stats import Basis, Interval, clopper_pearson


def rows_to_decide_bracket(basis: Basis, level: float, threshold: float) -> int | None:
    """Further rows with which the limits of one of the two rates exclude the threshold, by ``rows_to_decide``.

    ``None`` where the threshold lies between the two rates: no number of rows decides then.
    """
    trials = int(basis.data["trials"])
    least, most = (int(one) for one in basis.data["hits"])
    if least <= threshold * trials <= most:
        return None
    hits = least if threshold * trials < least else most
    return rows_to_decide(hits / trials, clopper_pearson(hits, trials, level), threshold, trials)


def upper_rate_interval(basis: Basis, level: float) -> Interval:
    """The interval of the second rate alone, which decides whether a rate between both is too low."""
    return clopper_pearson(int(basis.data["hits"][1]), int(basis.data["trials"]), level)
