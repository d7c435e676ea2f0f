# SPDX-License-Identifier: Apache-2.0
"""Metrics of predictions with their intervals, each with that of a constant prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.seed import Seed
from assay.basics.stats import (
    Interval,
    auc,
    auc_interval,
    bounded_mean_interval,
    fieller_interval,
    largest_balanced_rate_interval,
    skewness_corrected_interval,
    wilson,
)
from assay.basics.types import Floats, Ints
from assay.engine.performance.labelled_outputs import LabelledOutputs

DRAWS, FEWEST_DRAWS = 1000, 200
"""Bootstrap draws of the average precision, and the fewest where rows and classes are many."""

MAX_RANKED = 400_000_000
"""Draws × rows × ranked classes of the average precision; beyond it fewer samples are drawn."""

MAX_DRAWN = 40_000_000
"""Draws × rows of the average precision; beyond it fewer samples are drawn."""

MAX_LISTED = 100
"""Classes whose recall and precision are listed: those of the most rows."""

MAX_RESAMPLED = 4_000_000
"""Numbers that are resampled at a time."""


@dataclass(frozen=True)
class Metric:
    """A metric, its interval, and its value for a constant prediction; NaN where it is undefined."""

    name: str
    value: float
    interval: Interval
    constant: float
    better: str

    def as_evidence(self) -> dict[str, Any]:
        """The metric as a line of a table."""
        return {
            "value": self.value,
            "low": self.interval.low,
            "high": self.interval.high,
            "constant prediction": self.constant,
            "better": self.better,
        }


def classification_metrics(found: LabelledOutputs, level: float, seed: Seed) -> list[Metric]:
    """Accuracy, balanced accuracy, AUC and average precision; log loss and Brier score where there are probabilities.

    Of several classes the AUC and the average precision are means over classes, each against the rest; classes without
    a row, or with all rows, are left out of such means.
    """
    rows, labels = len(found.labels), found.labels
    hits = int(found.correct.sum())
    present = np.unique(labels)
    metrics = [
        Metric(
            "accuracy",
            hits / rows,
            wilson(hits, rows, level),
            float((labels == found.most_frequent).mean()),
            "higher",
        ),
        _balanced_accuracy(found, present, level),
        _auc(found, level),
        _average_precision(found, level, seed),
    ]
    if found.probabilities is None:
        return metrics
    return [*metrics, _log_loss(found, level), _brier_score(found, level)]


def _balanced_accuracy(found: LabelledOutputs, present: Ints, level: float) -> Metric:
    trials = np.array([int((found.labels == one).sum()) for one in present])
    hits = np.array([int((found.correct & (found.labels == one)).sum()) for one in present])
    interval = largest_balanced_rate_interval(hits[None], trials, level)
    return Metric("balanced accuracy", float((hits / trials).mean()), interval, 1 / len(present), "higher")


def _auc(found: LabelledOutputs, level: float) -> Metric:
    """The AUC of the last of two classes; of several classes the mean over classes against the rest."""
    if found.scores.shape[1] == 2:
        inside, outside = found.scores[found.labels == 0, 1], found.scores[found.labels == 1, 1]
        if not len(inside) or not len(outside):
            return _undefined("AUC", level)
        area = auc(inside, outside)
        return Metric("AUC", area, auc_interval(area, len(outside), len(inside), level), 0.5, "higher")
    values = auc_pseudo_values(found)
    if not len(values):
        return _undefined("AUC", level)
    return Metric("AUC", float(values.mean()), bounded_mean_interval(values, 0.0, 1.0, level), 0.5, "higher")


def auc_pseudo_values(found: LabelledOutputs) -> Floats:
    """One number a row whose mean is the mean AUC over classes, and whose spread is that of the estimate.

    DeLong's components: for each class the share of the other group against which a row is ranked in the right order,
    weighted by the inverse of its group's share. Empty where no class has rows inside and outside.
    """
    columns = []
    for place in np.unique(found.labels).tolist():
        inside = found.labels == place
        count, rest = int(inside.sum()), int((~inside).sum())
        if not count or not rest:
            continue
        own = found.scores[:, place]
        area = auc(own[~inside], own[inside])
        right = np.where(inside, _share_below(own, own[~inside]), 1 - _share_below(own, own[inside]))
        weight = np.where(inside, len(own) / count, len(own) / rest)
        columns.append(area + weight * (right - area))
    return np.mean(columns, axis=0) if columns else np.empty(0)


def _share_below(values: Floats, others: Floats) -> Floats:
    """The share of ``others`` below each value, ties counted half."""
    ordered = np.sort(others)
    low, high = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return np.asarray((low + high) / (2 * len(ordered)))


def _average_precision(found: LabelledOutputs, level: float, seed: Seed) -> Metric:
    """The mean over the positive classes: the last of two, or each of several against the rest.

    Many classes are ranked together (``_mean_precision_together``); the result is the same up to rounding.
    """
    two, rows = found.scores.shape[1] == 2, len(found.labels)
    places = [place for place in np.unique(found.labels).tolist() if place == 1 or not two]
    if not places or (two and (found.labels == 1).all()):
        return _undefined("average precision", level)
    ones = np.ones((1, len(found.labels)))
    ranked = rows
    if len(places) > rows / SORTS:

        def statistic(counts: Floats) -> Floats:
            return _mean_precision_together(found, counts)
    else:
        sorted_classes = [_sorted_hits(found.scores[:, place], found.labels == place) for place in places]
        ranked = len(places)

        def statistic(counts: Floats) -> Floats:
            return _mean_known(np.array([weighted_average_precision(*one, counts) for one in sorted_classes]))

    draws = int(np.clip(min(MAX_RANKED // (rows * ranked), MAX_DRAWN // rows), FEWEST_DRAWS, DRAWS))
    drawn = _resampled(statistic, rows, seed.child("average precision"), draws)
    drawn = drawn[np.isfinite(drawn)]
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(drawn, tails) if len(drawn) else (np.nan, np.nan)
    constant = float(np.mean([(found.labels == place).mean() for place in places]))
    method = "bootstrap percentiles" if draws == DRAWS else f"bootstrap percentiles of {draws} draws"
    interval = Interval(float(low), float(high), level, method)
    return Metric("average precision", float(statistic(ones)[0]), interval, constant, "higher")


def _mean_known(found: Floats) -> Floats:
    """The mean over classes of ``found`` (class, draw), without those that are NaN."""
    known = np.isfinite(found).sum(axis=0)
    total = np.where(np.isfinite(found), found, 0.0).sum(axis=0)
    return np.divide(total, known, out=np.full(found.shape[1], np.nan), where=known > 0)


SORTS = 12
"""A ranking of all rows for one class takes about as long as so many columns of a product of matrices."""


def _mean_precision_together(found: LabelledOutputs, counts: Floats) -> Floats:
    """The mean average precision (draw,) over classes of samples, as ``weighted_average_precision`` defines it.

    The average precision of a class is the mean over its rows of hits / rows that score at least as high for the class.
    Two products of matrices give both for all rows, each for its own class: rows² numbers, however many the classes.
    """
    rows = len(found.labels)
    order = np.argsort(found.labels, kind="stable")
    starts = np.flatnonzero(np.diff(found.labels[order], prepend=-1))
    precision = np.empty_like(counts)
    step = max(1, MAX_RESAMPLED // rows)
    for part in (slice(start, start + step) for start in range(0, rows, step)):
        label = found.labels[part]
        scores = found.scores[:, label]
        above = scores >= scores[np.arange(rows)[part], np.arange(len(label))]
        everything, hits = (
            counts @ above.astype(float),
            counts @ (above & (found.labels[:, None] == label)).astype(float),
        )
        precision[:, part] = np.divide(hits, everything, out=np.zeros_like(hits), where=everything > 0)
    total, gained = (np.add.reduceat(x[:, order], starts, axis=1) for x in (counts, counts * precision))
    return _mean_known(np.divide(gained, total, out=np.full(total.shape, np.nan), where=total > 0).T)


def _sorted_hits(scores: Floats, positive: Any) -> tuple[Ints, Floats, Ints]:
    """The order of the rows by falling score, whether each is positive, and the last place of each distinct score."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    return order, np.asarray(positive, dtype=np.float64)[order], ends


def weighted_average_precision(order: Ints, positive: Floats, ends: Ints, counts: Floats) -> Floats:
    """Σ (recall − previous recall) · precision over the distinct scores, with each row counted ``counts`` (draw, row).

    NaN for a draw without a positive row.
    """
    ordered = counts[:, order]
    everything = np.cumsum(ordered, axis=1)[:, ends]
    hits = np.cumsum(ordered * positive, axis=1)[:, ends]
    precision = np.divide(hits, everything, out=np.zeros_like(hits), where=everything > 0)
    total = hits[:, -1]
    gained = np.diff(hits, axis=1, prepend=0.0)
    return np.divide((gained * precision).sum(axis=1), total, out=np.full(len(counts), np.nan), where=total > 0)


def _resampled(statistic: Callable[[Floats], Floats], rows: int, seed: Seed, draws: int) -> Floats:
    """The statistic of bootstrap samples, each given as the number of times that every row was drawn."""
    generator = seed.generator()
    block = max(1, MAX_RESAMPLED // rows)
    even = np.full(rows, 1 / rows)
    return np.concatenate(
        [
            statistic(generator.multinomial(rows, even, size=min(block, draws - done)).astype(np.float64))
            for done in range(0, draws, block)
        ]
    )


def _log_loss(found: LabelledOutputs, level: float) -> Metric:
    """Mean −log p of the true class; infinite where a probability of 0 was wrong, and then without an interval."""
    assert found.probabilities is not None
    with np.errstate(divide="ignore"):
        values = -np.log(found.probabilities[np.arange(len(found.labels)), found.labels])
        constant = float(-np.log(found.shares[found.labels]).mean())
    finite = bool(np.isfinite(values).all())
    interval = skewness_corrected_interval(values, level) if finite else Interval(np.nan, np.nan, level, "undefined")
    return Metric("log loss", float(values.mean()), interval, constant, "lower")


def _brier_score(found: LabelledOutputs, level: float) -> Metric:
    """Mean Σ over classes (p − [class is true])², 0 … 2."""
    assert found.probabilities is not None
    values = brier(found.probabilities, found.labels)
    classes, count = np.unique(found.labels, return_counts=True)
    shares = np.broadcast_to(found.shares, (len(classes), len(found.shares)))
    constant = float(np.average(brier(shares, classes), weights=count))
    return Metric("Brier score", float(values.mean()), skewness_corrected_interval(values, level), constant, "lower")


def brier(chances: Floats, true: Ints) -> Floats:
    """The Brier score (row,): squared distance of the probabilities (row, class) from the true class, 0 … 2."""
    distances = np.array(chances, dtype=np.float64)
    distances[np.arange(len(true)), true] -= 1
    return np.asarray((distances**2).sum(axis=1))


def class_metrics(found: LabelledOutputs, level: float) -> dict[str, dict[str, Any]]:
    """Rows, recall and precision of each class with Wilson's intervals; NaN for a class without rows or decisions.

    Of more than ``MAX_LISTED`` classes those of the most rows are listed, in the order of the classes.
    """
    table: dict[str, dict[str, Any]] = {}
    names = _names(found)
    largest = np.argsort(-np.bincount(found.labels, minlength=len(names)), kind="stable")[:MAX_LISTED]
    for place, name in ((place, names[place]) for place in sorted(largest.tolist())):
        true, decided = found.labels == place, found.predicted == place
        hits = int((true & decided).sum())
        line: dict[str, Any] = {"rows": int(true.sum()), "decisions": int(decided.sum())}
        for metric, trials in (("recall", int(true.sum())), ("precision", int(decided.sum()))):
            limits = wilson(hits, trials, level)
            line |= {
                metric: hits / trials if trials else float("nan"),
                f"{metric} low": limits.low if trials else float("nan"),
                f"{metric} high": limits.high if trials else float("nan"),
            }
        table[name] = line
    return table


def confusion_matrix(found: LabelledOutputs) -> dict[str, dict[str, int]]:
    """Counts of rows by true class (outer) and decided class (inner)."""
    names = _names(found)
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (found.labels, found.predicted), 1)
    return {
        f"true {name}": {f"decided {other}": int(counts[i, j]) for j, other in enumerate(names)}
        for i, name in enumerate(names)
    }


def _names(found: LabelledOutputs) -> Sequence[str]:
    return found.classes or tuple(str(i) for i in range(found.scores.shape[1]))


def regression_metrics(found: LabelledOutputs, level: float, constant: Floats) -> list[Metric]:
    """R², RMSE and MAE of one value a row, with those of the ``constant`` prediction (row,)."""
    residuals = found.outputs[:, 0] - found.labels
    squares, others = residuals**2, (constant - found.labels) ** 2
    ratio = fieller_interval(others - squares, others, level)
    spread = float(others.mean())
    squared = skewness_corrected_interval(squares, level)
    roots = Interval(float(np.sqrt(max(squared.low, 0.0))), float(np.sqrt(max(squared.high, 0.0))), level, "root")
    return [
        Metric("R²", 1 - float(squares.mean()) / spread if spread > 0 else float("nan"), ratio, 0.0, "higher"),
        Metric("RMSE", float(np.sqrt(squares.mean())), roots, float(np.sqrt(spread)), "lower"),
        Metric(
            "MAE",
            float(np.abs(residuals).mean()),
            skewness_corrected_interval(np.abs(residuals), level),
            float(np.abs(constant - found.labels).mean()),
            "lower",
        ),
    ]


def _undefined(name: str, level: float) -> Metric:
    return Metric(name, float("nan"), Interval(np.nan, np.nan, level, "undefined"), float("nan"), "higher")
