# SPDX-License-Identifier: Apache-2.0
"""Segments of rows in which a loss is high: slices of one or two columns, found by shallow trees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.surrogates.boxes import BELOW_ALL, Box, RuleColumns, rule_columns, tree_boxes, unbounded_box
from assay.nouns.inputs.rows import to_floats

DEPTH = 3
"""Depth of the trees: a slice of two columns has up to three bounds."""

PAIRED_COLUMNS = 20
"""Columns of which all pairs are searched: those with the highest loss in a slice of their own."""

MAX_SEARCHED = 10_000
"""Rows in which segments are searched; all other rows measure them."""

MAX_OVERLAP = 0.5
"""Rows that two segments share, of those in either, from which the second is left out."""

CAUTION = 1.0
"""Standard errors by which the difference of a slice counts as smaller in the search, and again for each condition, so
that few rows, and further conditions, of which there are many, do not win by chance."""


@dataclass(frozen=True, eq=False)
class Segment:
    """A condition on one or two columns, in the caller's terms, and which of the measured rows meet it (row,)."""

    condition: str
    inside: Masks


def search_rows(case: Case, seed: Seed) -> tuple[Ints, Ints]:
    """Positions of the rows in which segments are searched, and of those that measure them, drawn by row id."""
    ordered = np.argsort(np.array(case.rows.ids), kind="stable")
    drawn = seed.generator().permutation(ordered)
    count = min(len(drawn) // 2, MAX_SEARCHED)
    return np.sort(drawn[:count]), np.sort(drawn[count:])


def least_rows(rows: int) -> int:
    """The fewest rows of a segment among so many: 20, or 4 % of them."""
    return max(20, int(np.ceil(0.04 * rows)))


def worst_segments(case: Case, loss: Floats, searched: Ints, measured: Ints, most: int) -> list[Segment]:
    """At most ``most`` segments with the highest loss (row,), the worst first; empty where no slice is above the rest.

    Trees are fitted to the loss of the ``searched`` rows, on each column and on pairs of columns; each node is a slice.
    A slice has at least ``least_rows`` of the rows on both sides. Slices are ordered by the difference between their
    mean loss and that of the other rows, less a standard error, and one for each condition, and share at most half of
    their rows. Levels of a column and missing values are conditions of their own. The loss of the measured rows is not
    read.
    """
    x, own = to_floats(case.rows.x), loss[searched]
    if np.ptp(own) == 0:
        return []
    columns = _frequent_levels(rule_columns(case, x[searched]), x[searched])
    encoded = columns.encode(x[searched])
    found = list(_ordered_slices(columns, encoded, own))
    held_out = columns.encode(x[measured])
    least, segments, chosen = least_rows(len(measured)), list[Segment](), list[Masks]()
    for _, box in found:
        if len(segments) == most:
            break
        inside, rows = box.contains(held_out), box.contains(encoded)
        if not least <= inside.sum() <= len(inside) - least or any(_overlap(rows, other) for other in chosen):
            continue
        chosen.append(rows)
        segments.append(Segment(box.describe(columns), inside))
    return segments


def _overlap(one: Masks, other: Masks) -> bool:
    return bool((one & other).sum() > MAX_OVERLAP * (one | other).sum())


def _frequent_levels(columns: RuleColumns, x: Floats) -> RuleColumns:
    """The rule columns without levels that are too rare, or too common, for a slice."""
    least, count = least_rows(len(x)), np.array([(x[:, s] == v).sum() for s, v in zip(columns.source, columns.level)])
    used = np.flatnonzero(np.isnan(columns.level) | ((count >= least) & (count <= len(x) - least)))
    return replace(
        columns,
        names=tuple(columns.names[i] for i in used),
        **{name: getattr(columns, name)[used] for name in ("source", "level", "part", "gaps")},
    )


def _ordered_slices(columns: RuleColumns, encoded: Floats, loss: Floats) -> list[tuple[float, Box]]:
    """The cautious difference and the box of every slice whose difference is above 0, the largest first."""
    groups = {int(source): np.flatnonzero(columns.source == source) for source in np.unique(columns.source)}
    groups = {source: group for source, group in groups.items() if np.ptp(encoded[:, group], axis=0).any()}
    found, best = list[tuple[float, Box]](), dict[int, float]()
    for source, group in groups.items():
        own = list(_slices(columns, encoded, group, loss))
        best[source] = max((value for value, _ in own), default=-np.inf)
        found += own
    paired = sorted(groups, key=lambda source: -best[source])[:PAIRED_COLUMNS]
    for one, other in combinations(sorted(paired), 2):
        found += _slices(columns, encoded, np.concatenate([groups[one], groups[other]]), loss)
    return sorted(found, key=lambda line: -line[0])


def _slices(columns: RuleColumns, encoded: Floats, group: Ints, loss: Floats) -> Iterator[tuple[float, Box]]:
    """The nodes, but the root, of a tree fitted on rule columns; of a single column also its missing values."""
    from sklearn.tree import DecisionTreeRegressor

    tree = DecisionTreeRegressor(max_depth=DEPTH, min_samples_leaf=least_rows(len(loss)), random_state=0)
    nodes = tree.fit(encoded[:, group], loss).tree_
    boxes = tree_boxes(nodes, len(group), inner=True)
    for node, box in boxes.items():
        if nodes.value[node, 0, 0] > nodes.value[0, 0, 0]:
            part = int(nodes.n_node_samples[node]), float(nodes.value[node, 0, 0]), float(nodes.impurity[node])
            wide = _widen(box, group, encoded.shape[1])
            yield _cautious_gap(part, loss, _conditions(wide, columns)), wide
    if len(group) == 1 and columns.gaps[group[0]]:
        missing = unbounded_box(encoded.shape[1])
        missing.high[group] = BELOW_ALL
        inside = loss[missing.contains(encoded)]
        if len(inside) >= least_rows(len(loss)) and inside.mean() > loss.mean():
            yield _cautious_gap((len(inside), float(inside.mean()), float(inside.var())), loss, 1), missing


def _conditions(box: Box, columns: RuleColumns) -> int:
    """The number of columns in a box; numbers up to a bound, or missing, count twice."""
    used = box.bounded_columns
    mixed = columns.gaps[used] & np.isinf(box.low[used]) & (box.high[used] > BELOW_ALL) & np.isnan(columns.level[used])
    return len(np.unique(columns.source[used])) + int(mixed.sum())


def _cautious_gap(part: tuple[int, float, float], loss: Floats, conditions: int) -> float:
    """Mean loss of a part, given as (rows, mean, variance), minus that of the rest, less some standard errors."""
    (count, mean, variance), rows = part, len(loss)
    rest = rows - count
    other = (loss.sum() - count * mean) / rest
    other_variance = max(float((loss**2).sum() - count * (variance + mean**2)) / rest - other**2, 0.0)
    return float(mean - other - CAUTION * (1 + conditions) * np.sqrt(variance / count + other_variance / rest))


def _widen(box: Box, group: Ints, columns: int) -> Box:
    """The box of a group of columns as a box of all columns."""
    low, high = np.full(columns, -np.inf), np.full(columns, np.inf)
    low[group], high[group] = box.low, box.high
    return Box(low, high, box.value)
