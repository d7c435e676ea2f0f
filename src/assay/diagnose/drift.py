# SPDX-License-Identifier: Apache-2.0
"""Drift: how much the distribution of each column differs between training and test rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.samples.distribution_distances import distance_limits, kolmogorov_distance, total_variation
from assay.basics.stats import Basis
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.check_findings import judged_finding
from assay.engine.declare import diagnostic
from assay.engine.retraining.labelled_rows import read_like
from assay.engine.retraining.split_statistics import SplitData, split_data
from assay.nouns.catalogue import Check, Cost
from assay.nouns.inputs.frames import format_number
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.finding import Finding

MAX_DRIFT = 0.1
"""Default threshold: distance between the two distributions of a column."""

RARE = 0.02
"""Share of all rows below which levels are counted as one."""

DRIFT = Check(
    "DAT105",
    "Which column differs most between training and test rows?",
    "Find out why the column differs (time, place, unit, coding); if it stays so, train on rows like the test rows.",
    MAX_DRIFT,
    "at most",
    severe=0.3,
)

MEANING = (
    "Distance between the distributions of one column in training and test rows, 0 … 1, for the column that differs "
    "most clearly: Kolmogorov–Smirnov (largest difference of the shares of rows up to a number) for numbers, total "
    "variation (half the sum of differences of shares) for levels. 0 for equal distributions, although samples of them "
    "are always some way apart. Columns can each stay the same while their combinations change: see DAT103."
)
ADVICE = {
    "pass": "No action needed on this evidence; combinations of columns may still differ (DAT103).",
    "fail": DRIFT.remedy,
    "undecided": "Give more rows on both sides; the interval contains the threshold.",
}


@diagnostic(
    source="massart1990",
    needs={"records", "train"},
    checks=(DRIFT,),
    audit_cost=lambda inputs: Cost(),
)
def drift(case: Case, train: Any, *, level: float = 0.95, distance: float = MAX_DRIFT) -> list[Finding]:
    """How far the distribution of a column in the test rows is from that in the training rows, largest over columns.

    The case holds test rows, ``train`` training rows in the same form; labels are not read. DAT105: the largest
    distance over columns; at most ``distance``. The distance of numbers is Kolmogorov's, with missing values below all
    numbers; of levels (texts, categories) the total variation, where missing is a level, and levels with under 2 % of
    all rows are counted as one.

    The interval holds for all columns at once (Bonferroni), by bounds that need no assumption about distributions:
    below by Massart's (numbers) and Hoeffding's (sets of levels), above by McDiarmid's inequality. With 400 rows on
    both sides a distance of 0.3 fails, and it takes some 2,000 to pass. The column named is that with the largest lower
    limit, since the distance of a column with many levels is large by chance.

    A p-value, which most tools report, becomes small for any drift of enough rows, and large for any drift of few.
    """
    if not (0 < level < 1 and 0 <= distance <= 1):
        raise InputError(f"level={level}, distance={distance}; needed are a level in (0, 1) and a distance in [0, 1].")
    if case.model.gives == "units":
        raise CapabilityError(f"drift needs the model's own rows; {case.model.name} gives a layer's activations.")
    if case.rows.text is not None:
        return [_needs_columns(case)]
    own, other = to_floats(case.rows.x), to_floats(read_like(case, train))
    split = split_data(case, other)
    columns = [
        _compare_levels(case, place, own[:, place], other[:, place])
        if is_coded
        else _compare_numbers(split, place, own[:, place], other[:, place])
        for place, is_coded in enumerate(split.is_coded)
    ]
    return [_finding(split, columns, np.array([len(own), len(other)]), level, distance)]


@dataclass(frozen=True)
class _Column:
    """A column's distance, its number of levels (0 for numbers), and its largest change in words."""

    distance: float
    levels: int
    change: str

    @property
    def measure(self) -> str:
        """The distance that was measured."""
        return "total variation" if self.levels else "Kolmogorov–Smirnov distance"


def _finding(split: SplitData, columns: list[_Column], rows: Ints, level: float, threshold: float) -> Finding:
    distances, levels = np.array([one.distance for one in columns]), np.array([one.levels for one in columns])
    low, high = distance_limits(distances, levels, rows, (1 - level) / (2 * len(columns)))
    order = np.lexsort((-distances, -low))
    name, worst = split.names[order[0]], columns[order[0]]
    return judged_finding(
        DRIFT,
        Basis("distances", {"distances": distances, "levels": levels, "rows": rows}),
        level,
        threshold,
        ADVICE,
        claim=(
            f"`{name}` differs most clearly of {len(columns)} column(s) between {rows[0]} test and {rows[1]} training "
            f"rows: {worst.measure} {worst.distance:.3f} ({worst.change})."
        ),
        subject=split.subject,
        estimate=worst.distance,
        null=0.0,
        n=int(rows.sum()),
        meaning=MEANING,
        evidence={
            "column": name,
            "columns": [
                {
                    "name": split.names[i],
                    "distance": columns[i].distance,
                    "low": float(low[i]),
                    "high": float(high[i]),
                    "measure": columns[i].measure,
                    "change": columns[i].change,
                }
                for i in order[:20]
            ],
            "number of columns": len(columns),
        },
    )


def _compare_numbers(split: SplitData, place: int, own: Floats, other: Floats) -> _Column:
    """Missing values lie below all numbers, where ``split`` has them."""
    found = kolmogorov_distance(split.held_out[:, place], split.train[:, place])
    missing, other_missing = np.isnan(own).mean(), np.isnan(other).mean()
    if abs(missing - other_missing) > found / 2 or max(missing, other_missing) == 1:
        return _Column(found, 0, f"missing in {missing:.1%} of test rows, {other_missing:.1%} of training rows")
    medians = [format_number(float(np.nanmedian(side))) for side in (own, other)]
    return _Column(found, 0, f"median {medians[0]} in test rows, {medians[1]} in training rows")


def _compare_levels(case: Case, place: int, own: Floats, other: Floats) -> _Column:
    codes, which = np.unique(np.concatenate([own, other]), return_inverse=True)
    sides = which[: len(own)], which[len(own) :]
    counts = np.stack([np.bincount(side, minlength=len(codes)) for side in sides]).astype(np.float64)
    frequent = counts.sum(axis=0) >= RARE * counts.sum()
    both = np.concatenate([counts[:, frequent], counts[:, ~frequent].sum(axis=1, keepdims=True)], axis=1)
    both = both[:, both.any(axis=0)] / np.array([[len(own)], [len(other)]])
    most = int(np.abs(both[0] - both[1]).argmax())
    table = case.rows.table
    assert table is not None
    name = table.format_cell(place, float(codes[frequent][most])) if most < frequent.sum() else "rare levels"
    change = f"{name}: {both[0, most]:.1%} of test rows, {both[1, most]:.1%} of training rows"
    return _Column(total_variation(both[0], both[1]), both.shape[1], change)


def _needs_columns(case: Case) -> Finding:
    return Finding(
        code=DRIFT.code,
        verdict="not applicable",
        claim="The rows are texts; this check reads columns.",
        subject=case.model.name,
        n=len(case),
        meaning=MEANING,
        advice="Give a table of properties of the texts, such as their length and source.",
    )
