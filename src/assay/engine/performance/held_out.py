# SPDX-License-Identifier: Apache-2.0
"""Performance of a model and of a changed one on held-out rows, with the paired difference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.paired_tests import paired_rate_interval
from assay.basics.stats import Interval, clopper_pearson, student_interval
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.cases.new_case import case as ask
from assay.engine.retraining.labelled_rows import losses, true_labels
from assay.model.model import Model
from assay.nouns.inputs.frames import is_frame, open_frame
from assay.nouns.inputs.rows import to_floats, to_numpy
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.result import Note


def compare_performance(case: Case, model: Model, held_out: Any) -> tuple[dict[str, float], dict[str, float], Note]:
    """Performance of the old and the new model on the held-out rows, and a note on their paired difference."""
    if not (isinstance(held_out, tuple | list) and len(held_out) == 2):
        raise InputError("held_out is a pair: rows that were not used in training, and their labels.")
    x, labels = held_out
    shape = tuple((open_frame(x) if is_frame(x) else to_numpy(x)).shape)[1:]
    if shape != case.rows.shape:
        raise InputError(f"held-out rows have shape {shape}; the model's rows have shape {case.rows.shape}.")
    predictions = [ask(each, x, seed=case.seed).prediction for each in (case.model, model)]
    measure: Callable[..., tuple[str, Floats, Interval]] = _accuracy if case.model.gives != "values" else _squared_error
    found = []
    for each, outputs in zip((case.model, model), predictions):
        found.append(measure(each, outputs, true_labels(case.model, labels, len(outputs), predictions[0])))
    (what, was, limits), (_, now, other_limits) = found
    interval = paired_rate_interval(was, now) if what == "accuracy" else student_interval(now - was)
    text = (
        f"{what} on {len(was)} held-out rows: {was.mean():.4g} before, {now.mean():.4g} after; paired difference "
        f"{now.mean() - was.mean():+.4g} [{interval.low:+.4g}, {interval.high:+.4g}] at 95 %"
    )
    return _metrics(what, was, limits), _metrics(what, now, other_limits), Note("held-out", text)


def _metrics(what: str, values: Floats, limits: Interval) -> dict[str, float]:
    return {what: float(values.mean()), f"{what}, low": limits.low, f"{what}, high": limits.high}


def _accuracy(model: Model, outputs: Floats, labels: Any) -> tuple[str, Floats, Interval]:
    correct = to_floats(predicted_class(outputs, model.gives) == labels)
    return "accuracy", correct, clopper_pearson(int(correct.sum()), len(correct))


def _squared_error(model: Model, outputs: Floats, labels: Any) -> tuple[str, Floats, Interval]:
    error = losses(outputs, labels, model)
    return "mean squared error", error, student_interval(error)


def overlap_notes(x: Any, held_out: Any) -> tuple[Note, ...]:
    """A note where held-out rows also occur in training."""
    train, test = _contents(x), _contents(held_out)
    if train.keys() != test.keys():
        return ()
    train_rows = set(zip(*train.values()))
    copies = [row for row, content in enumerate(zip(*test.values())) if content in train_rows]
    if not copies:
        return ()
    text = f"{len(copies)} of the held-out rows also occur among the training rows; both models' metrics are too good"
    return (Note("held-out overlaps", text, tuple(map(str, copies[:50]))),)


def _contents(x: Any) -> dict[str, list[Any]]:
    """Columns by name in the order of their names; an array's rows as one column of bytes."""
    if is_frame(x):
        return {name: open_frame(x)[name].to_list() for name in sorted(open_frame(x).columns)}
    return {"": [row.tobytes() for row in np.ascontiguousarray(to_floats(x))]}
