# SPDX-License-Identifier: Apache-2.0
"""Labels and rival classes as positions among a model's outputs; a label that does not exist is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Array, Floats, Ints
from assay.model.layer_trace import find_channel_axis
from assay.model.model import Model
from assay.nouns.inputs.frames import list_first
from assay.nouns.inputs.rows import Rows, to_numpy
from assay.nouns.inputs.target import Target, class_scores, contrast, predicted_class

MAX_POSITION = 2**31
"""A number that is no position of any class."""


def cut_at_target(target: Target, model: Model, rows: Rows) -> tuple[Target, Model]:
    """The target of a layer, along the axis of the layer's units, and the model up to that layer."""
    layer = target.layer or ""
    below = model.up_to_layer(layer)
    return (target.with_unit_axis(find_channel_axis(model, rows, layer)) if target.is_unit else target), below


def rival_class(target: Target, model: Model, prediction: Callable[[], Floats]) -> Target:
    """The target with its rival class, if it has one, as a position; ``InputError`` for a class that does not exist."""
    if target.rival is None:
        return target
    if not model.kind.is_classifier:
        raise CapabilityError(f"contrast needs classes; this model gives {model.gives}. Use target='value'.")
    if target.rival in ("predicted", "runner_up") and target.rival not in model.classes:
        raise InputError(f"contrast needs the name or position of a class; got {target.rival!r}.")
    try:
        place = int(resolve_label(target.rival, model, 1, prediction)[0])
    except InputError as error:
        raise InputError(f"the rival of the contrast: {error}") from error
    return target if target.rival == place else contrast(place, target.rival)


def refuse_rival_labels(target: Target, labels: Ints) -> Ints:
    """The labels; ``InputError`` where one is the rival class that it is compared with."""
    same = np.flatnonzero(labels == target.rival) if target.rival is not None else np.zeros(0)
    if len(same):
        raise InputError(
            f"row {list_first(same)}: the label is the rival itself ({target.name}). Give another label, or leave out "
            f"these rows."
        )
    return labels


def labels_of(label: Any, target: Target, model: Model, rows: int, prediction: Callable[[], Floats]) -> Any:
    """The labels that the target reads: a class for each row, or the true values of a regression."""
    if not target.label_is_truth(model.gives):
        return refuse_rival_labels(target, resolve_label(label, model, rows, prediction))
    if isinstance(label, str):
        raise InputError("loss of a regression compares with the truth; give label=…, one number a row.")
    truth = np.asarray(to_numpy(label), dtype=np.float64)
    if truth.shape not in ((), (rows,)) or not np.isfinite(truth).all():
        raise InputError(f"the truth has shape {truth.shape}; {rows} finite numbers are needed.")
    return np.broadcast_to(truth, (rows,)).copy()


def default_label(model: Model, target: Target, prediction: Callable[[], Floats]) -> Any:
    """The class that is explained unless asked: the last of two classes, else the predicted one, or the first value.

    The last of two classes is the positive one by convention; attributions of all rows then have the same sign.
    """
    if not model.kind.is_classifier or not model.kind.exclusive or target.rival is not None:
        return "predicted"
    count = len(model.classes) or prediction().shape[1]
    if count > 2:
        return "predicted"
    return model.classes[1] if model.classes else 1


def resolve_label(label: Any, model: Model, rows: int, prediction: Callable[[], Floats]) -> Ints:
    """One class (or output) position a row; raises ``InputError`` naming rows and labels that do not fit.

    A label is a class's name wherever it can be: 1 and 1.0 are the class "1", also where classes are floats. Only where
    no label is a name are all of them positions; names among numbers that are only positions are refused.
    """
    if not model.kind.is_classifier and isinstance(label, str) and label in ("predicted", "runner_up"):
        return np.zeros(rows, dtype=np.int64)
    if isinstance(label, str) and label in ("predicted", "runner_up") and label not in model.classes:
        return _ranked_label(label, model, prediction())
    single = isinstance(label, str) or (not isinstance(label, list | tuple) and np.ndim(label) == 0)
    given = [label] * rows if single else _label_list(label)
    if len(given) != rows:
        raise InputError(f"{len(given)} labels for {rows} rows. Give one label, or one a row.")
    named = model.classes or model.output_names
    count = len(named) or prediction().shape[1]
    if count == 1 and model.kind.is_classifier and not named:
        count = 2
    places = {class_text(name): i for i, name in enumerate(named)}
    texts = [class_text(value) for value in given]
    known = [text in places for text in texts]
    by_name = any(known) or any(isinstance(value, str) for value in given)
    positions = [places.get(t, -1) for t in texts] if by_name else [_position(v, row) for row, v in enumerate(given)]
    found = np.array(positions, dtype=np.int64)
    wrong = np.flatnonzero((found < 0) | (found >= count))
    if len(wrong):
        kind = {"values": "output(s)", "units": "unit(s)"}.get(model.gives, "classes")
        names = f": {', '.join(named[:8])}" if named else f", numbered 0 … {count - 1}"
        raise InputError(
            f"row {list_first(wrong)}: label {given[int(wrong[0])]!r} does not exist; the model has "
            f"{count} {kind}{names}."
        )
    return found


def _ranked_label(label: str, model: Model, outputs: Floats) -> Ints:
    """The predicted class (row,), or the class with the highest score among the others."""
    scores = class_scores(outputs, model.gives)
    if model.classes and len(model.classes) != scores.shape[1]:
        raise InputError(f"{len(model.classes)} class names for a model of {scores.shape[1]} classes.")
    place = 0 if label == "predicted" else 1
    if scores.shape[1] <= place:
        raise InputError(f"label={label!r} needs {place + 1} classes; the model has {scores.shape[1]}.")
    predicted = predicted_class(outputs, model.gives)
    if label == "predicted":
        return predicted
    others = np.where(np.arange(scores.shape[1]) == predicted[:, None], -np.inf, scores)
    return np.asarray(np.argmax(others, axis=1))


def _label_list(labels: Any) -> list[Any]:
    """Labels of any vector as a list; a column (row, 1) is a vector too."""
    try:
        values = to_numpy(labels)
    except ValueError as error:
        raise InputError("labels have entries of different lengths; one label a row is needed.") from error
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise InputError(f"labels have shape {values.shape}; one label a row is needed.")
    return list(values.tolist())


def class_text(label: Any) -> str:
    """A label as the name of a class is written: 1, 1.0 and "1.0" are "1"."""
    if isinstance(label, str):
        whole = label.removesuffix(".0")
        return whole if whole != label and whole.removeprefix("-").isdigit() else label
    number = isinstance(label, float | np.floating) and float(label).is_integer()
    return str(int(label)) if number else str(label)


def _position(label: Any, row: int) -> int:
    """A label as a position, −1 for a number that is not whole; raises ``InputError`` for what is not a number."""
    if isinstance(label, int | float | np.integer | np.floating | np.bool_):
        number = label if isinstance(label, int) else float(label)
        return int(number) if abs(number) < MAX_POSITION and float(number).is_integer() else -1
    raise InputError(f"row {row}: label {label!r} does not exist: it is neither a class's name nor its position.")


def labels_like(labels: Ints, out: Array) -> Array:
    """The labels in the namespace and on the device of the outputs ``out``."""
    if is_torch_array(out):
        import torch

        return torch.as_tensor(np.array(labels), device=out.device)
    return labels
