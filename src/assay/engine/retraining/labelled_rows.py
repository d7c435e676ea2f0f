# SPDX-License-Identifier: Apache-2.0
"""Rows with true labels: labels as class positions, losses, and rows from outside the case."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError, NumericalError
from assay.basics.types import Array, Floats, Ints
from assay.cases.case import Case
from assay.cases.labels import resolve_label
from assay.model.model import Model
from assay.nouns.inputs.frames import list_first
from assay.nouns.inputs.rows import refuse_missing, to_floats, to_numpy
from assay.nouns.inputs.target import log_probabilities, select_label


def read_like(case: Case, data: Any) -> Array:
    """Other rows in the form of the case's: same columns, type and device; no missing values."""
    if case.rows.carried:
        raise CapabilityError(
            f"the rows have further inputs ({', '.join(case.rows.carried)}); rows from outside the case have none. "
            "Make these inputs part of the model."
        )
    refuse_missing(case.rows.x, "the rows")
    array = case.rows.convert(data)
    refuse_missing(array, "the other rows")
    return array


def model_outputs(case: Case, x: Array) -> Floats:
    """The model's outputs (row, out) at rows from outside the case, in the form of the case's rows."""
    return to_floats(case.outputs(x, np.zeros(len(x), dtype=np.int64)))


def true_labels(model: Model, labels: Any, rows: int, outputs: Floats) -> Any:
    """True labels in the model's own form: class positions, or a regression's numbers in float64.

    Labels are class names if all of them are (1 and 2 are the classes named "1" and "2"); else they are positions.
    """
    given = list(labels if isinstance(labels, list | tuple) else to_numpy(labels))
    if len(given) != rows:
        raise InputError(f"{len(given)} labels for {rows} rows. Give one label per row.")
    if model.gives == "values":
        numbers = np.array(given, dtype=np.float64)
        gaps = np.flatnonzero(~np.isfinite(numbers))
        if len(gaps):
            raise InputError(f"labels are NaN or infinite in row(s) {list_first(gaps)}. Leave these rows out.")
        return numbers
    return resolve_label(given, model, rows, lambda: outputs)


def class_position(case: Case, label: Any) -> int:
    """The position of a class given by name or position, by the rules of ``true_labels``."""
    return int(true_labels(case.model, [label], 1, case.prediction)[0])


def losses(outputs: Floats, labels: Ints | Floats, model: Model) -> Floats:
    """Loss of the true label (row,) in float64: −log p, infinite where p is 0; squared error of a regression."""
    if model.gives == "values":
        if outputs.shape[1] != 1:
            raise CapabilityError(
                f"a loss needs one value per row; {model.name} gives {outputs.shape[1]}. Wrap one output."
            )
        return np.asarray((outputs[:, 0] - labels) ** 2)
    return np.asarray(-select_label(log_probabilities(outputs, model.gives), labels.astype(np.int64)))


def require_finite(case: Case, values: Floats) -> Floats:
    """Return ``values`` (row, part) unchanged; ``NumericalError`` naming rows where a loss is infinite."""
    infinite = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(infinite):
        names = ", ".join(case.rows.ids[i] for i in infinite[:8])
        raise NumericalError(
            f"{case.target_text} is infinite at or around {len(infinite)} row(s): {names}. The model gives the class a "
            f"probability of exactly 0 there. Smooth its probabilities, or leave these rows out."
        )
    return values


def rows_also_in(x: Array, other: Array) -> Any:
    """Whether each row of ``x`` also occurs in ``other``, compared by content, (row,)."""
    known = {row.tobytes() for row in _flat(other)}
    return np.array([row.tobytes() in known for row in _flat(x)], dtype=bool)


def _flat(x: Array) -> Floats:
    return np.ascontiguousarray(to_floats(x).reshape(len(x), -1)) + 0.0  # −0 becomes 0
