# SPDX-License-Identifier: Apache-2.0
"""Rates of groups of rows, and the gaps and ratios between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from assay.basics.samples.rate_ratios import ratio_limits
from assay.basics.stats import Basis, newcombe
from assay.basics.types import Masks

MAX_LISTED = 20
"""The most pairs, or groups, that are listed as evidence."""


@dataclass(frozen=True)
class Gap:
    """``low`` and ``high`` bound |rate(upper) − rate(lower)|; ``value`` is the difference observed, never negative."""

    upper: str
    lower: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Ratio:
    """``low`` and ``high`` bound rate(lower) / rate(upper); ``value`` is the ratio observed, 0 … 1."""

    lower: str
    upper: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class GroupRates:
    """One rate in several groups: (hits, trials) of each group that is compared; ``left_out`` counts rows of others.

    Groups with fewer than ``smallest`` rows to count are left out of all contrasts.
    """

    counts: Mapping[str, tuple[int, int]]
    left_out: Mapping[str, int]
    smallest: int

    @cached_property
    def rates(self) -> dict[str, float]:
        """The rate of each group that is compared."""
        return {name: hits / trials for name, (hits, trials) in self.counts.items()}

    @property
    def rows(self) -> int:
        """Number of rows counted in the groups compared."""
        return sum(trials for _, trials in self.counts.values())

    def basis(self, how: str) -> Basis:
        """The basis of the interval of the largest gap ("pairs") or smallest ratio ("ratios")."""
        hits, trials = np.array(list(self.counts.values())).T
        return Basis(how, {"hits": hits, "trials": trials})

    def gaps(self, level: float) -> list[Gap]:
        """The gap of every pair of groups, the largest first."""
        return sorted(pairwise_gaps(self.counts, level), key=lambda gap: -gap.value)

    def ratios(self, level: float) -> list[Ratio]:
        """The ratio of every pair of groups with a rate above 0, the smallest first."""
        return sorted(pairwise_ratios(self.counts, level), key=lambda ratio: ratio.value)

    @property
    def remark(self) -> str:
        """A sentence that names the groups left out; empty where there are none."""
        if not self.left_out:
            return ""
        return f" Left out, with fewer than {self.smallest} rows to count: {list_sizes(self.left_out)}."


def list_sizes(sizes: Mapping[str, int]) -> str:
    """Groups with their numbers of rows, as text."""
    listed = [f"{name} ({count})" for name, count in list(sizes.items())[:8]]
    return ", ".join(listed) + (f" and {len(sizes) - 8} more" if len(sizes) > 8 else "")


def rates_of(selected: Masks, group: Any, counted: Masks, smallest: int) -> GroupRates:
    """The share of ``selected`` among the ``counted`` rows of each group; ``group`` has one name a row."""
    counts = {
        str(name): (int((selected & inside).sum()), int(inside.sum()))
        for name, inside in ((name, (group == name) & counted) for name in np.unique(group))
    }
    few = {name: trials for name, (_, trials) in counts.items() if trials < max(smallest, 1)}
    return GroupRates({name: pair for name, pair in counts.items() if name not in few}, few, smallest)


def pairwise_gaps(counts: Mapping[str, tuple[int, int]], level: float) -> Iterable[Gap]:
    """The gap of every pair of groups, from (hits, trials) of each; ``level`` holds for all pairs together."""
    pairs = list(combinations(counts, 2))
    each = 1 - (1 - level) / len(pairs)
    for one, two in pairs:
        upper, lower = _ordered(one, two, counts)
        (hits, trials), (others, other_trials) = counts[upper], counts[lower]
        signed = newcombe(hits, trials, others, other_trials, each)
        value = hits / trials - others / other_trials
        yield Gap(upper, lower, value, max(signed.low, 0.0), max(signed.high, -signed.low))


def pairwise_ratios(counts: Mapping[str, tuple[int, int]], level: float) -> Iterable[Ratio]:
    """The ratio of the lower to the higher rate of every pair of groups; ``level`` holds for all pairs together.

    Pairs of groups whose rates are both 0 have no ratio, and are left out.
    """
    pairs = list(combinations(counts, 2))
    each = 1 - (1 - level) / len(pairs)
    ordered = [_ordered(one, two, counts) for one, two in pairs]
    upper, lower = (np.array([counts[pair[side]] for pair in ordered]).T for side in (0, 1))
    lows, highs = ratio_limits(lower[0], lower[1], upper[0], upper[1], each)
    for (first, second), low, high in zip(ordered, lows, highs):
        (hits, trials), (others, other_trials) = counts[first], counts[second]
        if hits:
            yield Ratio(second, first, others * trials / (hits * other_trials), float(low), float(min(high, 1.0)))


def _ordered(one: str, two: str, counts: Mapping[str, tuple[int, int]]) -> tuple[str, str]:
    """The group with the higher rate first."""
    upper, lower = sorted((one, two), key=lambda name: -counts[name][0] / counts[name][1])
    return upper, lower


def gaps_against_rest(counts: Mapping[str, tuple[int, int]], level: float) -> list[Gap]:
    """Each group against all others; empty for two groups, where it is the pair itself."""
    if len(counts) == 2:
        return []
    hits, trials = (sum(pair[side] for pair in counts.values()) for side in (0, 1))
    each = 1 - (1 - level) / len(counts)
    return [
        gap
        for name, (own, size) in counts.items()
        for gap in pairwise_gaps({name: (own, size), "the rest": (hits - own, trials - size)}, each)
    ]
