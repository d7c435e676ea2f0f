# SPDX-License-Identifier: Apache-2.0
"""Rows with true labels: read as the model reads them, those the case does not hold included."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError, NumericalError
from assay.basics.types import Array, Floats, Ints
from assay.cases.case import Case
from assay.cases.labels import resolve_label
from assay.model.model import Model
from assay.nouns.inputs.frames import some
from assay.nouns.inputs.rows import refuse_gaps, to_floats, to_numpy
from assay.nouns.inputs.target import log_probabilities, pick


def written(case: Case, data: Any) -> Array:
    """Other rows in the form of the case's own: columns by name, type, device; complete, whatever the model takes."""
    if case.rows.carried:
        raise CapabilityError(
            f"the rows carry {', '.join(case.rows.carried)} along; rows outside the case cannot be asked without. "
            "Bake the carried input into the model."
        )
    refuse_gaps(case.rows.x, "the rows")
    array = case.rows.like(data)
    refuse_gaps(array, "the other rows")
    return array


def outputs(case: Case, x: Array) -> Floats:
    """The model's outputs (row, out) at rows the case does not hold, written as its own are."""
    return to_floats(case.outputs(x, np.zeros(len(x), dtype=np.int64)))


def truth(model: Model, labels: Any, rows: int, outputs: Floats) -> Any:
    """True labels as the model counts them: class positions, or a regression's numbers in float64.

    A label is looked up among the names of the classes first (so 1 and 2 are the classes called "1" and "2",
    whatever their positions); where not all labels are names, they are positions.
    """
    given = list(labels if isinstance(labels, list | tuple) else to_numpy(labels))
    if len(given) != rows:
        raise InputError(f"{len(given)} labels for {rows} rows. Give one label a row.")
    if model.gives == "values":
        numbers = np.array(given, dtype=np.float64)
        gaps = np.flatnonzero(~np.isfinite(numbers))
        if len(gaps):
            raise InputError(f"labels are NaN or infinite in row(s) {some(gaps)}. Leave these rows out.")
        return numbers
    return resolve_label(given, model, rows, lambda: outputs)


def class_named(case: Case, label: Any) -> int:
    """The position of one class, looked up as true labels are: by name first, else by position."""
    return int(truth(case.model, [label], 1, case.prediction)[0])


def losses(outputs: Floats, labels: Ints | Floats, model: Model) -> Floats:
    """Loss of the true label (row,) in float64: −log p, infinite where p is 0; squared error of a regression."""
    if model.gives == "values":
        if outputs.shape[1] != 1:
            raise CapabilityError(
                f"a loss needs one value a row; {model.name} gives {outputs.shape[1]}. Wrap one output."
            )
        return np.asarray((outputs[:, 0] - labels) ** 2)
    return np.asarray(-pick(log_probabilities(outputs, model.gives), labels.astype(np.int64)))


def finite(case: Case, values: Floats) -> Floats:
    """Values (row, part) as they are; ``NumericalError`` naming rows where a loss is infinite."""
    lost = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(lost):
        names = ", ".join(case.rows.ids[i] for i in lost[:8])
        raise NumericalError(
            f"{case.asked} is infinite at or around {len(lost)} row(s): {names}. The model gives the class a "
            f"probability of exactly 0 there. Smooth its probabilities, or leave these rows out."
        )
    return values


def shared(x: Array, other: Array) -> Any:
    """Which rows of ``x`` also occur in ``other``, compared by content, (row,)."""
    known = {row.tobytes() for row in _flat(other)}
    return np.array([row.tobytes() in known for row in _flat(x)], dtype=bool)


def _flat(x: Array) -> Floats:
    return np.ascontiguousarray(to_floats(x).reshape(len(x), -1)) + 0.0  # −0 becomes 0
