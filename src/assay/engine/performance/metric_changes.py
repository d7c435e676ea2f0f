# SPDX-License-Identifier: Apache-2.0
"""Metrics of two models on the same rows, and the paired interval of each difference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from assay.basics.paired_tests import paired_rate_interval
from assay.basics.stats import Interval, fieller_interval, skewness_corrected_interval, student_interval
from assay.basics.types import Floats, Ints
from assay.engine.performance.labelled_outputs import LabelledOutputs
from assay.engine.performance.metrics import auc_pseudo_values
from assay.nouns.records.record import MetricChange

MAX_RECALLS = 20
"""Classes whose recall is compared: those of the most rows."""


def metric_changes(before: LabelledOutputs, after: LabelledOutputs, level: float = 0.95) -> tuple[MetricChange, ...]:
    """Each metric of the model before and after a change, on the same rows, with the paired interval of after − before.

    A classifier: accuracy and recall of each class (Agresti and Min's interval for paired rates), balanced accuracy
    (the mean of those over the classes), AUC (DeLong's components, Student), log loss (of models with probabilities;
    Student's interval corrected for skewness). A regression of one value: R² (Fieller: the change of the squared error
    / the squared error of a constant), RMSE (delta method) and MAE. Several values a row give none. The intervals are
    those of one comparison each.
    """
    if before.is_classifier:
        return _of_classes(before, after, level)
    if before.outputs.shape[1] != 1 or after.outputs.shape[1] != 1:
        return ()
    return _of_values(before, after, level)


def _of_classes(before: LabelledOutputs, after: LabelledOutputs, level: float) -> tuple[MetricChange, ...]:
    labels = np.asarray(before.labels, dtype=np.int64)
    was, now = before.correct.astype(np.float64), after.correct.astype(np.float64)
    found = [_change("accuracy", was.mean(), now.mean(), paired_rate_interval(was, now, level))]
    found.append(_balanced_accuracy(labels, was, now, level))
    areas = [auc_pseudo_values(one) for one in (before, after)]
    if all(map(len, areas)):
        interval = replace(student_interval(areas[1] - areas[0], level), method="DeLong, paired")
        found.append(_change("AUC", areas[0].mean(), areas[1].mean(), interval))
    if before.probabilities is not None and after.probabilities is not None:
        found.append(_log_loss(labels, before.probabilities, after.probabilities, level))
    for place in _largest(labels):
        own = labels == place
        name = before.classes[place] if place < len(before.classes) else str(place)
        limits = paired_rate_interval(was[own], now[own], level)
        found.append(_change(f"recall of {name}", was[own].mean(), now[own].mean(), limits))
    return tuple(found)


def _largest(labels: Ints) -> list[int]:
    """The classes of the most rows, in the order of the classes; a class without rows has no recall."""
    counts = np.bincount(labels)
    largest = np.argsort(-counts, kind="stable")[:MAX_RECALLS]
    return sorted(int(place) for place in largest if counts[place])


def _balanced_accuracy(labels: Ints, was: Floats, now: Floats, level: float) -> MetricChange:
    """The mean over classes of the paired change of recall; half widths of independent classes add in squares."""
    classes = [labels == one for one in np.unique(labels)]
    limits = [paired_rate_interval(was[own], now[own], level) for own in classes]
    centre = float(np.mean([(one.low + one.high) / 2 for one in limits]))
    half = float(np.sqrt(sum(((one.high - one.low) / 2) ** 2 for one in limits))) / len(limits)
    before, after = (float(np.mean([side[own].mean() for own in classes])) for side in (was, now))
    interval = Interval(centre - half, centre + half, level, "agresti-min, by class")
    return _change("balanced accuracy", before, after, interval)


def _log_loss(labels: Ints, before: Floats, after: Floats, level: float) -> MetricChange:
    rows = np.arange(len(labels))
    with np.errstate(divide="ignore"):
        was, now = -np.log(before[rows, labels]), -np.log(after[rows, labels])
    finite = bool(np.isfinite(was).all() and np.isfinite(now).all())
    interval = skewness_corrected_interval(now - was, level) if finite else _undefined(level)
    return _change("log loss", was.mean(), now.mean(), interval, "lower")


def _of_values(before: LabelledOutputs, after: LabelledOutputs, level: float) -> tuple[MetricChange, ...]:
    labels = np.asarray(before.labels, dtype=np.float64)
    was, now = before.outputs[:, 0] - labels, after.outputs[:, 0] - labels
    constant = (float(np.mean(before.reference)) - labels) ** 2
    found = []
    if constant.mean() > 0:
        shares = [1 - float((side**2).mean() / constant.mean()) for side in (was, now)]
        found.append(_change("R²", shares[0], shares[1], fieller_interval(was**2 - now**2, constant, level)))
    roots = [float(np.sqrt((side**2).mean())) for side in (was, now)]
    moved = _undefined(level)
    if min(roots) > 0:  # around its mean, √ has the slope 1 / (2 √mean)
        linear = now**2 / (2 * roots[1]) - was**2 / (2 * roots[0])
        shift = roots[1] - roots[0] - float(linear.mean())
        moved = replace(skewness_corrected_interval(linear + shift, level), method="delta method")
    found.append(_change("RMSE", roots[0], roots[1], moved, "lower"))
    absolute = [np.abs(side) for side in (was, now)]
    limits = skewness_corrected_interval(absolute[1] - absolute[0], level)
    return (*found, _change("MAE", absolute[0].mean(), absolute[1].mean(), limits, "lower"))


def _change(name: str, before: float, after: float, interval: Interval, better: str = "higher") -> MetricChange:
    return MetricChange(name, float(before), float(after), interval, better)


def _undefined(level: float) -> Interval:
    return Interval(float("nan"), float("nan"), level, "undefined")
