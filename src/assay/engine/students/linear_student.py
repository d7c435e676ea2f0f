# SPDX-License-Identifier: Apache-2.0
"""A student that reads numbers and levels: a linear classifier whose slopes are pulled to the attributions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from assay.basics.types import Floats, Ints
from assay.engine.students.student_task import StudentTask

PULL = 1.0
"""Weight of the squared distance between the slopes and those that the attributions suggest, or 0 without them."""

SPREAD = 3.0
"""Standard deviation over the taught rows of the score that the suggested slopes give."""


def linear_student(task: StudentTask) -> Ints:
    """Classes of the exam's rows, by softmax regression with slopes near those of the attributions.

    Columns are standardised, levels are columns of 0 and 1. The attribution of a class's column j is read as
    w_j · (x_j − mean): its slope over the rows in which this class was explained suggests w_j. The student minimises
    Σ −log p(teacher's class) + ½ · ``PULL`` · ‖W − suggested‖²; without explanations the suggestion is 0.
    """
    return _guess(task, _slopes)


def pixel_student(task: StudentTask) -> Ints:
    """Classes of the exam's images, by softmax regression with slopes near the mean attributions of each class.

    As ``linear_student``, but the suggested slope of a class at a pixel is its mean attribution over the rows in which
    the class was explained, minus the mean over classes: where to look for the class, and with which sign.
    """
    return _guess(task, _means)


def _guess(task: StudentTask, suggest: Callable[[Floats, Floats], Floats]) -> Ints:
    inputs, column = _encoded(task)
    taught = inputs[task.taught]
    suggested = np.zeros((task.count, inputs.shape[1]))
    if task.values is not None:
        suggested = _suggested(task, taught, task.values[task.taught][:, column], suggest)
    weights, offsets = _fit(taught, task.classes[task.taught], suggested)
    return np.asarray((inputs[task.exam] @ weights.T + offsets).argmax(axis=1), dtype=np.int64)


def _slopes(inputs: Floats, values: Floats) -> Floats:
    """Least-squares slopes (input,) through the origin of attributions on standardised inputs, shrunk by one row."""
    return np.asarray((values * inputs).sum(axis=0) / ((inputs**2).sum(axis=0) + 1.0))


def _means(inputs: Floats, values: Floats) -> Floats:
    return np.asarray(values.mean(axis=0))


def _encoded(task: StudentTask) -> tuple[Floats, Ints]:
    """The rows as numbers (row, input), and the column that each input comes from (input,)."""
    found: list[Floats] = []
    column: list[int] = []
    for place in range(task.x.shape[1]):
        values = task.x[:, place]
        if task.coded[place]:
            levels = np.unique(values[task.taught])
            found.extend((values == level).astype(np.float64) for level in levels)
            column.extend([place] * len(levels))
            continue
        known = values[task.taught][~np.isnan(values[task.taught])]
        centre, spread = (float(known.mean()), float(known.std())) if len(known) else (0.0, 0.0)
        found.append(np.nan_to_num((values - centre) / spread) if spread > 0 else np.zeros(len(values)))
        column.append(place)
    return np.stack(found, axis=1), np.array(column, dtype=np.int64)


def _suggested(
    task: StudentTask, inputs: Floats, values: Floats, suggest: Callable[[Floats, Floats], Floats]
) -> Floats:
    """Slopes (class, input) that the attributions suggest, scaled to a score of standard deviation ``SPREAD``."""
    explained, slopes = task.explained[task.taught], np.zeros((task.count, inputs.shape[1]))
    known = np.unique(explained)
    for label in known:
        rows = explained == label
        slopes[label] = suggest(inputs[rows], values[rows])
    if task.count == 2:
        both = slopes[1] - slopes[0]
        slopes = np.stack([-both / 2, both / 2])
    else:
        slopes[known] -= slopes[known].mean(axis=0) if len(known) > 1 else 0.0
    spread = float((inputs @ slopes.T).std(axis=0).max())
    return slopes * (SPREAD / spread) if spread > 0 else slopes


def _fit(inputs: Floats, classes: Ints, suggested: Floats) -> tuple[Floats, Floats]:
    """Weights (class, input) and offsets (class,) of the penalised softmax regression."""
    count, size = suggested.shape
    told = np.eye(count)[classes]

    def loss(point: Floats) -> tuple[float, Floats]:
        weights, offsets = point[: count * size].reshape(count, size), point[count * size :]
        scores = inputs @ weights.T + offsets
        logs = scores - logsumexp(scores, axis=1, keepdims=True)
        gap, apart = np.exp(logs) - told, weights - suggested
        value = -float((told * logs).sum()) + 0.5 * PULL * float((apart**2).sum()) + 0.5e-3 * float(offsets @ offsets)
        gradient = [(gap.T @ inputs + PULL * apart).ravel(), gap.sum(axis=0) + 1e-3 * offsets]
        return value, np.concatenate(gradient)

    start = np.concatenate([suggested.ravel(), np.zeros(count)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 300})
    return found.x[: count * size].reshape(count, size), found.x[count * size :]
