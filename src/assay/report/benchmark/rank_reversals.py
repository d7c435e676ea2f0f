# SPDX-License-Identifier: Apache-2.0
"""Where methods stand in another order on one family of benchmarks than on another."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from assay.nouns.comparisons.benchmark_table import BenchmarkModel, BenchmarkTable
from assay.report.benchmark.charts import known, named
from assay.report.drawing.formatting import breakable, listed

Signs = npt.NDArray[np.int8]
Gaps = npt.NDArray[np.float64]

CITED = 2
"""Pairs of methods that are named for two families."""


@dataclass(frozen=True)
class Order:
    """Two families: pairs of methods that intervals order in both, how many of them are turned round, and which.

    ``loosely`` is the share turned round among pairs that the means alone order in both.
    """

    one: str
    two: str
    decided: int
    turned: int
    loosely: float
    cited: tuple[str, ...]

    @property
    def share(self) -> float:
        """The share of decided pairs that is turned round; NaN where none is decided."""
        return self.turned / self.decided if self.decided else float("nan")


def orders(table: BenchmarkTable) -> tuple[Order, ...]:
    """Every two families that both order some pair of methods, most different first.

    A method stands above another on a benchmark if its whole interval does; in a family, if it does so on one of its
    benchmarks and on none the other way. Benchmarks whose model does not use what was planted order nothing.
    """
    families: dict[str, list[BenchmarkModel]] = {}
    for model in table.models:
        if model.enough:
            families.setdefault(model.family, []).append(model)
    methods = [m for m in table.methods if not _apart(table, m)]
    each = [_family(table, members, methods) for members in families.values()]
    found = [_order(one, two, methods) for one, two in combinations(each, 2)]
    kept = [order for order in found if order is not None]
    return tuple(sorted(kept, key=lambda order: (-np.nan_to_num(order.share), -order.turned, -order.loosely)))


def _apart(table: BenchmarkTable, method: str) -> bool:
    return any(line.method == method and line.standing in ("oracle", "reference") for line in table.lines)


@dataclass(frozen=True)
class _Family:
    """Who stands above whom (1) or below (−1) by intervals and by means alone, and the room between: (method, method).

    The room is what lies between the two intervals on the benchmark where they are farthest apart, at least 0.
    """

    name: str
    firm: Signs
    loose: Signs
    room: Gaps


def _family(table: BenchmarkTable, members: list[BenchmarkModel], methods: list[str]) -> _Family:
    lines = {(line.benchmark, line.method): line for line in table.lines}
    means, gaps = [], []
    for model in members:
        found = [lines.get((model.benchmark, method)) for method in methods]
        told = [(x.mean, x.low, x.high) if x is not None else (None,) * 3 for x in found]
        mean, low, high = np.array([[known(v) for v in three] for three in told]).reshape(-1, 3).T
        means.append(_between(mean, mean))
        gaps.append(_between(low, high))
    name = named(members) if len(members) > 1 else members[0].benchmark.replace("-", " ")
    room = np.max(gaps, axis=0)
    return _Family(name, _agreed(gaps), _agreed(means), np.maximum(room, room.T))


def _between(low: Gaps, high: Gaps) -> Gaps:
    """By how much each method's lower end is above the other's upper end, at least 0; 0 where one is undefined."""
    return np.nan_to_num(np.maximum(low[:, None] - high[None, :], 0.0))


def _agreed(above: list[Gaps]) -> Signs:
    """The sign where all benchmarks that have one agree, else 0."""
    up = np.max(above, axis=0) > 0
    return (up & ~up.T).astype(np.int8) - (up.T & ~up).astype(np.int8)


def _order(one: _Family, two: _Family, methods: list[str]) -> Order | None:
    """``None`` where no pair of methods is ordered in both, not even by means."""
    upper = np.triu(np.ones(one.firm.shape, dtype=bool), 1)
    firm, loose = np.where(upper, one.firm * two.firm, 0), np.where(upper, one.loose * two.loose, 0)
    if not loose.any():
        return None
    turned = np.argwhere(firm < 0)
    return Order(
        one.name,
        two.name,
        int(np.count_nonzero(firm)),
        len(turned),
        float(np.count_nonzero(loose < 0) / np.count_nonzero(loose)),
        tuple(_cited(one, two, turned, methods)),
    )


def _cited(one: _Family, two: _Family, turned: npt.NDArray[np.int64], methods: list[str]) -> list[str]:
    """The clearest turns, no method twice."""
    clear = np.minimum(one.room, two.room)[tuple(turned.T)]
    said: list[str] = []
    spent: set[int] = set()
    for a, b in turned[np.argsort(-clear, kind="stable")].tolist():
        if len(said) < CITED and not {a, b} & spent:
            spent |= {a, b}
            above, below = (a, b) if one.firm[a, b] > 0 else (b, a)
            upper, lower = breakable(methods[above]), breakable(methods[below])
            said.append(f"{upper} above {lower} in {one.name}, below it in {two.name}")
    return said


def differing(found: tuple[Order, ...]) -> str:
    """In one sentence how far the order of methods hangs on the family; empty where no two families share a pair."""
    if not found:
        return ""
    decided, turned = sum(o.decided for o in found), sum(o.turned for o in found)
    if not decided:
        return "No two methods are told apart on two families, so nothing says whether their order differs."
    if not turned:
        return f"No order of two methods that intervals tell apart on two families is turned round ({decided:,} are)."
    worst = [order for order in found if order.turned][:2]
    where = listed([f"{o.one} and {o.two} ({o.turned:,} of {o.decided:,})" for o in worst])
    return (
        f"Of {decided:,} orders of two methods that intervals tell apart on two families, {turned:,} "
        f"{'is' if turned == 1 else 'are'} turned round; "
        f"most between {where}."
    )
