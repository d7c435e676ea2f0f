# SPDX-License-Identifier: Apache-2.0
"""Adapter for functions of rows, and conversions that adapters share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.basics.types import Array, Floats
from assay.model.model import Model
from assay.nouns.inputs.rows import Rows, to_floats
from assay.nouns.inputs.target import Gives


def function(
    call: Callable[[Any], Any],
    *,
    gives: Gives = "values",
    classes: Sequence[str] | None = None,
    preprocess: Callable[[Any], Any] | None = None,
    output: Callable[[Any], Any] | None = None,
    gradient: Callable[[Any], Any] | None = None,
    batch: int = 4096,
    name: str | None = None,
    fingerprint: str | None = None,
    columns: Sequence[str] | None = None,
) -> Model:
    """A function of rows (row, *shape) to outputs (row,) or (row, out) as a model.

    ``gives`` says what the outputs are and is not guessed. ``gradient`` may compute the derivative of the one output
    with respect to the rows, in closed form. ``fingerprint`` must change when the function does; without it, it is a
    digest of the function's name, code, and the numbers and arrays in its closure; other objects there do not count.
    """

    def forward(rows: Rows) -> Array:
        out = call(prepare_rows(rows, preprocess))
        return to_outputs(out if output is None else output(out), len(rows))

    if gradient is not None and gives != "values":
        raise InputError(
            f"gradient needs gives='values' with one value a row; this one gives {gives}. Wrap a torch module instead."
        )
    label = str(name or getattr(call, "__name__", type(call).__name__))
    return Model(
        forward=forward,
        name=label,
        fingerprint=fingerprint or digest(label, call, preprocess, output, gives),
        gives=gives,
        classes=tuple(classes or ()),
        closed_form_gradient=gradient,
        columns=tuple(columns) if columns is not None else None,
        batch=batch,
        default_target={"values": "value", "logits": "logit", "margin": "margin"}.get(gives, "probability"),
    )


def prepare_rows(rows: Rows, preprocess: Callable[[Any], Any] | None) -> Any:
    """The rows in the caller's form (a private frame or array), preprocessed."""
    given = np.array(rows.x) if rows.table is None else rows.table.decode(rows.x)
    return given if preprocess is None else preprocess(given)


def predict_without_name_warning(read: Callable[[Any], Any], given: Any) -> Any:
    """Call ``read`` without scikit-learn's warning about column names, which the case has compared already."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X (has|does not have valid) feature names")
        return read(given)


def class_names(given: Sequence[str] | None, known: Any) -> tuple[str, ...]:
    """The caller's class names, else the estimator's; empty for a regression."""
    if given is None:
        return tuple(map(str, known)) if known is not None else ()
    if known is not None and len(given) != len(known):
        raise InputError(f"{len(given)} class names for {len(known)} classes ({list(known)[:8]}).")
    return tuple(map(str, given))


def to_outputs(out: Any, rows: int) -> Floats:
    """Outputs as (row, out) float64; raises ``InputError`` if the number of rows is wrong."""
    out = to_floats(out)
    out = out[:, None] if out.ndim == 1 else out
    if out.ndim != 2 or len(out) != rows:
        raise InputError(
            f"the model returned shape {out.shape} for {rows} rows; ({rows},) or ({rows}, outputs) is needed."
        )
    return np.asarray(out)
