# SPDX-License-Identifier: Apache-2.0
"""Rows with true labels: labels as class positions, losses, and rows from outside the case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.basics.types import Array, Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.labels import resolve_label
from assay.cases.read_inputs import read, texts
from assay.engine.sensitive_groups import column_values, missing_rows
from assay.model.model import Model
from assay.nouns.inputs.frames import list_first
from assay.nouns.inputs.rows import refuse_missing, to_floats
from assay.nouns.inputs.target import log_probabilities, select_label


def read_like(case: Case, data: Any) -> Array:
    """Other rows in the form of the case's; missing values only if the model takes them."""
    if case.rows.carried:
        raise CapabilityError(
            f"the rows have further inputs ({', '.join(case.rows.carried)}); rows from outside the case have none. "
            "Make these inputs part of the model."
        )
    refuse_missing(case.rows.x, "the rows", missing=case.rows.gaps)
    return case.rows.convert(data)


def model_outputs(case: Case, x: Array) -> Floats:
    """The model's outputs (row, out) at rows from outside the case, in the form of the case's rows."""
    return to_floats(case.outputs(x, np.zeros(len(x), dtype=np.int64)))


def outputs_at(case: Case, data: Any) -> tuple[Floats, Masks]:
    """The model's outputs (row, out) at rows from outside the case, and whether each also occurs in the case (row,)."""
    if case.rows.text is None:
        x = read_like(case, data)
        return model_outputs(case, x), rows_also_in(x, case.rows.x)
    rows = read(case.model, data, None, {}, None, None)[0]
    other = replace(case, rows=rows, label=np.zeros(len(rows), dtype=np.int64))
    source, known = (() if one.text is None else one.text.source for one in (rows, case.rows))
    return to_floats(other.outputs(rows.x)), np.isin(_text_keys(source), _text_keys(known))


def draw_texts(rows: Any, labels: Any, count: int, seed: Seed) -> tuple[Any, Any]:
    """At most ``count`` of many texts, whose embeddings take memory, and their labels, drawn by the seed."""
    if len(labels) <= count:
        return rows, labels
    given, true = texts(rows), column_values(labels, "labels")
    drawn = np.sort(seed.generator().choice(len(given), count, replace=False))
    return [given[i] for i in drawn], [true[i] for i in drawn]


def _text_keys(texts: Sequence[Any]) -> Any:
    """One string for each text or pair of texts."""
    return np.array([text if isinstance(text, str) else "\0".join(text) for text in texts], dtype=object).astype(str)


def true_labels(model: Model, labels: Any, rows: int, outputs: Floats) -> Any:
    """True labels in the model's own form: class positions, or a regression's numbers in float64.

    ``labels`` is a vector of any library, or a column (row, 1). Labels are class names wherever they can be (1, 1.0 and
    "1" are the class named "1"); else they are positions. ``InputError`` names rows whose label is missing or does not
    fit.
    """
    given = column_values(labels, "labels")
    if len(given) != rows:
        raise InputError(f"{len(given)} labels for {rows} rows. Give one label per row.")
    missing = missing_rows(given)
    if missing:
        raise InputError(f"labels are missing or NaN in row(s) {list_first(missing)}. Leave these rows out.")
    return _numbers(given) if model.gives == "values" else resolve_label(given, model, rows, lambda: outputs)


def _numbers(labels: Sequence[Any]) -> Floats:
    """Labels of a regression in float64; ``InputError`` names rows whose label is no finite number."""
    numbers = np.array([_number(label) for label in labels], dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        raise InputError(
            f"labels are infinite or no numbers in row(s) {list_first(wrong)}, such as {labels[int(wrong[0])]!r}. A "
            f"regression needs one number a row."
        )
    return numbers


def _number(label: Any) -> float:
    try:
        return float(label)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def class_position(case: Case, label: Any) -> int:
    """The position of a class given by name or position, by the rules of ``true_labels``."""
    return int(true_labels(case.model, [label], 1, case.prediction)[0])


MAX_NUMBERS = 1 << 22
"""Probabilities that are held at a time: rows × classes."""


def losses(outputs: Floats, labels: Ints | Floats, model: Model) -> Floats:
    """Loss of the true label (row,) in float64: −log p, infinite where p is 0; squared error of a regression."""
    if model.gives == "values":
        if outputs.shape[1] != 1:
            raise CapabilityError(
                f"a loss needs one value per row; {model.name} gives {outputs.shape[1]}. Wrap one output."
            )
        return np.asarray((outputs[:, 0] - labels) ** 2)
    step, true = max(1, MAX_NUMBERS // outputs.shape[1]), labels.astype(np.int64)
    parts = [slice(start, start + step) for start in range(0, len(outputs), step)] or [slice(0)]
    return np.concatenate([-select_label(log_probabilities(outputs[p], model.gives), true[p]) for p in parts])


def rows_also_in(x: Array, other: Array) -> Any:
    """Whether each row of ``x`` also occurs in ``other``, compared by content, (row,)."""
    known = {row.tobytes() for row in _flat(other)}
    return np.array([row.tobytes() in known for row in _flat(x)], dtype=bool)


def _flat(x: Array) -> Floats:
    return np.ascontiguousarray(to_floats(x).reshape(len(x), -1)) + 0.0  # −0 becomes 0
