# SPDX-License-Identifier: Apache-2.0
"""Rank reversals: pairs of methods with opposite orders on two families of benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from assay.nouns.comparisons.benchmark_table import BenchmarkModel, BenchmarkTable
from assay.report.benchmark.charts import CONTROLS, family_name, finite
from assay.report.drawing.formatting import join_names, method_label

Signs = npt.NDArray[np.int8]
Gaps = npt.NDArray[np.float64]

MAX_EXAMPLES = 2
"""Pairs of methods that are named for two families."""


@dataclass(frozen=True)
class RankReversals:
    """Two families: pairs of methods that intervals order in both, how many of them are reversed, and examples.

    ``share_by_means`` is the share reversed among the pairs that the means alone order in both.
    """

    one: str
    two: str
    decided: int
    reversed: int
    share_by_means: float
    examples: tuple[str, ...]

    @property
    def share(self) -> float:
        """The share of decided pairs that are reversed; NaN where none is decided."""
        return self.reversed / self.decided if self.decided else float("nan")


def rank_reversals(table: BenchmarkTable) -> tuple[RankReversals, ...]:
    """Every two families that both order at least one pair of methods, the most different first.

    A method is above another on a benchmark if its interval is entirely above the other's; in a family, if this holds
    on one of its benchmarks and the opposite on none. Benchmarks whose model does not use the planted feature do not
    count.
    """
    families: dict[str, list[BenchmarkModel]] = {}
    for model in table.models:
        if model.is_sufficient:
            families.setdefault(model.family, []).append(model)
    methods = [m for m in table.methods if not _is_control(table, m)]
    orders = [_order(table, members, methods) for members in families.values()]
    pairs = [_compare(one, two, methods) for one, two in combinations(orders, 2)]
    found = [pair for pair in pairs if pair is not None]
    return tuple(sorted(found, key=lambda pair: (-np.nan_to_num(pair.share), -pair.reversed, -pair.share_by_means)))


def _is_control(table: BenchmarkTable, method: str) -> bool:
    return any(line.method == method and line.verdict in CONTROLS for line in table.lines)


@dataclass(frozen=True)
class _FamilyOrder:
    """Which method is above (1) or below (−1) which by intervals and by means: (method, method).

    ``gap`` is the distance between the two intervals on the benchmark where it is largest, at least 0.
    """

    name: str
    by_intervals: Signs
    by_means: Signs
    gap: Gaps


def _order(table: BenchmarkTable, members: list[BenchmarkModel], methods: list[str]) -> _FamilyOrder:
    lines = {(line.benchmark, line.method): line for line in table.lines}
    means, gaps = [], []
    for model in members:
        found = [lines.get((model.benchmark, method)) for method in methods]
        numbers = [(x.mean, x.low, x.high) if x is not None else (None,) * 3 for x in found]
        mean, low, high = np.array([[finite(v) for v in three] for three in numbers]).reshape(-1, 3).T
        means.append(_gaps(mean, mean))
        gaps.append(_gaps(low, high))
    name = family_name(members) if len(members) > 1 else members[0].benchmark.replace("-", " ")
    gap = np.max(gaps, axis=0)
    return _FamilyOrder(name, _common_sign(gaps), _common_sign(means), np.maximum(gap, gap.T))


def _gaps(low: Gaps, high: Gaps) -> Gaps:
    """Each method's lower end minus the other's upper end, at least 0; 0 where one is undefined."""
    return np.nan_to_num(np.maximum(low[:, None] - high[None, :], 0.0))


def _common_sign(above: list[Gaps]) -> Signs:
    """The sign where all benchmarks with a sign agree, else 0."""
    up = np.max(above, axis=0) > 0
    return (up & ~up.T).astype(np.int8) - (up.T & ~up).astype(np.int8)


def _compare(one: _FamilyOrder, two: _FamilyOrder, methods: list[str]) -> RankReversals | None:
    """``None`` where no pair of methods is ordered in both families, not even by means."""
    upper = np.triu(np.ones(one.by_intervals.shape, dtype=bool), 1)
    by_intervals = np.where(upper, one.by_intervals * two.by_intervals, 0)
    by_means = np.where(upper, one.by_means * two.by_means, 0)
    if not by_means.any():
        return None
    reversed_ = np.argwhere(by_intervals < 0)
    return RankReversals(
        one.name,
        two.name,
        int(np.count_nonzero(by_intervals)),
        len(reversed_),
        float(np.count_nonzero(by_means < 0) / np.count_nonzero(by_means)),
        tuple(_examples(one, two, reversed_, methods)),
    )


def _examples(one: _FamilyOrder, two: _FamilyOrder, reversed_: npt.NDArray[np.int64], methods: list[str]) -> list[str]:
    """The reversals with the largest gaps, each method at most once."""
    gaps = np.minimum(one.gap, two.gap)[tuple(reversed_.T)]
    examples: list[str] = []
    used: set[int] = set()
    for a, b in reversed_[np.argsort(-gaps, kind="stable")].tolist():
        if len(examples) < MAX_EXAMPLES and not {a, b} & used:
            used |= {a, b}
            above, below = (a, b) if one.by_intervals[a, b] > 0 else (b, a)
            upper, lower = method_label(methods[above]), method_label(methods[below])
            examples.append(f"{upper} above {lower} in {one.name}, below it in {two.name}")
    return examples


def describe_reversals(found: tuple[RankReversals, ...]) -> str:
    """How far the order of methods depends on the family, in one sentence; empty where no two families share a pair."""
    if not found:
        return ""
    decided, reversed_ = sum(pair.decided for pair in found), sum(pair.reversed for pair in found)
    if not decided:
        return "Rank reversals are unknown: intervals order no pair of methods on two families."
    if not reversed_:
        return f"Of {decided:,} pairs of methods that intervals order on two families, none is reversed."
    worst = [pair for pair in found if pair.reversed][:2]
    where = join_names([f"{pair.one} and {pair.two} ({pair.reversed:,} of {pair.decided:,})" for pair in worst])
    return (
        f"Of {decided:,} pairs of methods that intervals order on two families, {reversed_:,} "
        f"{'is' if reversed_ == 1 else 'are'} reversed; most between {where}."
    )
