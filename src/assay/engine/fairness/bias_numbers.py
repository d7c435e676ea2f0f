# SPDX-License-Identifier: Apache-2.0
"""Accuracy and prediction bias of models on held-out rows, for repairs that change decisions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.paired_tests import paired_rate_interval
from assay.basics.samples.group_gaps import paired_rate_limits
from assay.basics.stats import clopper_pearson
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.cases.new_case import case as ask
from assay.engine.fairness.amplification import PredictionBias
from assay.engine.performance.held_out import overlap_notes
from assay.engine.retraining.labelled_rows import true_labels
from assay.model.model import Model
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.result import Note

LEVEL = 0.95
"""The level of the limits."""

BIAS = "prediction bias"
"""Name of B: signed for the last of two classes, the largest |B| of several."""


def labelled(case: Case, pair: Any, name: str) -> tuple[Case, Ints]:
    """A case of the model at other rows, and their true classes; typed errors for what is no pair, or no classifier."""
    if not (isinstance(pair, tuple | list) and len(pair) == 2):
        raise InputError(f"{name} is a pair: rows and their labels.")
    kind = case.model.kind
    if not kind.exclusive or not kind.decides:
        raise CapabilityError(
            f"{case.model.name} has several labels a row, or its outputs do not show its decisions; one class a row is "
            f"needed."
        )
    rows = ask(case.model, pair[0], label=None, seed=case.seed)
    return rows, np.asarray(true_labels(case.model, pair[1], len(rows), rows.prediction), dtype=np.int64)


def decisions_of(model: Model, rows: Case) -> Ints:
    """The class (row,) that a model decides for at the rows of a case."""
    other = rows if model is rows.model else replace(rows, model=model)
    return predicted_class(other.prediction, model.gives)


def bias_numbers(labels: Ints, decided: Ints, classes: int) -> dict[str, float]:
    """Accuracy and prediction bias, with their limits at 95 %."""
    right = int((labels == decided).sum())
    limits = clopper_pearson(right, len(labels), LEVEL)
    bias = PredictionBias(labels, decided, classes)
    if classes == 2:
        value, (low, high) = float(bias.values[0]), _numbers(bias)
    else:
        value, interval = float(np.abs(bias.values).max()), bias.basis.at(LEVEL)
        low, high = interval.low, interval.high
    return {
        "accuracy": right / len(labels),
        "accuracy, low": limits.low,
        "accuracy, high": limits.high,
        BIAS: value,
        f"{BIAS}, low": low,
        f"{BIAS}, high": high,
    }


def _numbers(bias: PredictionBias) -> tuple[float, float]:
    low, high = paired_rate_limits(bias.gained, bias.lost, len(bias.true), LEVEL)
    return float(low[0]), float(high[0])


def shows_bias(labels: Ints, decided: Ints, classes: int) -> bool:
    """Whether the prediction bias of these rows is shown to differ from 0, at 95 %."""
    return PredictionBias(labels, decided, classes).basis.at(LEVEL).low > 0


def difference_note(was: Floats, now: Floats) -> Note:
    """The paired difference of the accuracy."""
    limits = paired_rate_interval(was, now, LEVEL)
    text = (
        f"accuracy on {len(was)} held-out rows: {was.mean():.4g} before, {now.mean():.4g} after; paired difference "
        f"{now.mean() - was.mean():+.4g} [{limits.low:+.4g}, {limits.high:+.4g}] at 95 %"
    )
    return Note("held-out", text)


def copies_note(train: Case, held_out: Case, given: tuple[Any, Any]) -> tuple[Note, ...]:
    """A note where held-out rows also occur in training; none for texts."""
    return () if train.rows.text is not None or held_out.rows.text is not None else overlap_notes(*given)
