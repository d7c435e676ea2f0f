# SPDX-License-Identifier: Apache-2.0
"""Adapter for functions of rows, and conversions that adapters share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from assay.basics.errors import AssayError, InputError
from assay.basics.fingerprint import digest
from assay.basics.types import Array, Floats
from assay.model.model import Model
from assay.model.state_fingerprint import state_fingerprint
from assay.nouns.inputs.output_kind import check_gives
from assay.nouns.inputs.rows import Rows, to_floats
from assay.nouns.inputs.sparse_rows import dense_to_sparse


def function(
    call: Callable[[Any], Any],
    *,
    gives: str = "values",
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

    ``gives`` says what the outputs are (``OUTPUTS``) and is not guessed. ``gradient`` may compute the derivative of the
    one output with respect to the rows, in closed form. ``fingerprint`` must change when the function does;
    by default it is computed from the function's name, its code, and what it closes over and calls
    (``state_fingerprint``). What it reads elsewhere (files, connections) no fingerprint shows; the store of an audit
    then also compares the outputs.
    """

    def forward(rows: Rows) -> Array:
        out = call(prepare_rows(rows, preprocess))
        return to_outputs(out if output is None else output(out), len(rows))

    if gradient is not None and gives != "values":
        raise InputError(
            f"gradient needs gives='values' with one value a row; this one gives {gives}. Wrap a torch module instead."
        )
    kind = check_gives(gives)
    label = str(name or getattr(call, "__name__", type(call).__name__))
    return Model(
        forward=forward,
        name=label,
        fingerprint=fingerprint or digest(label, state_fingerprint(call, preprocess, output), kind.key),
        partial_fingerprint=fingerprint is None,
        gives=kind,
        classes=tuple(classes or ()),
        closed_form_gradient=gradient,
        columns=tuple(columns) if columns is not None else None,
        batch=batch,
        default_target={"values": "value", "logits": "logit", "margin": "margin"}.get(kind, "probability"),
    )


def prepare_rows(rows: Rows, preprocess: Callable[[Any], Any] | None) -> Any:
    """The rows in the caller's form (a private frame, array or sparse matrix), preprocessed."""
    if rows.table is not None:
        given = rows.table.decode(rows.x)
    else:
        given = np.array(rows.x) if rows.sparse is None else dense_to_sparse(rows.x, rows.sparse)
    return given if preprocess is None else preprocess(given)


def predict_without_name_warning(read: Callable[[Any], Any], given: Any) -> Any:
    """Call ``read`` without scikit-learn's warning about column names, which the case has compared already.

    Nor with LightGBM's that predict gives scores where the loss is the caller's own: they are recognised as such.
    What the library raises for rows that it does not take becomes an ``InputError``.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="X (has|does not have valid) feature names")
            warnings.filterwarnings("ignore", message="Cannot compute class probabilities or labels")
            return read(given)
    except (AssayError, MemoryError):
        raise
    except Exception as error:
        if "memory" in str(error):
            raise
        told = " ".join(str(error).partition("Stack trace")[0].split())[:400]
        raise InputError(
            f"the model's own predict does not take these rows ({type(error).__name__}: {told})."
        ) from error


def class_names(given: Sequence[str] | None, known: Any) -> tuple[str, ...]:
    """The caller's class names, else the estimator's; empty for a regression."""
    if given is None:
        return tuple(map(str, known)) if known is not None else ()
    if known is not None and len(given) != len(known):
        raise InputError(f"{len(given)} class names for {len(known)} classes ({list(known)[:8]}).")
    return tuple(map(str, given))


def to_outputs(out: Any, rows: int) -> Floats:
    """Outputs as (row, out) float64; raises ``InputError`` if they are no numbers, or the number of rows is wrong.

    Lists, frames, series, sparse matrices and tensors of numbers are converted.
    """
    given = out
    if hasattr(out, "toarray"):
        out = out.toarray()
    elif hasattr(out, "to_numpy"):
        out = out.to_numpy()
    try:
        if out is None or np.iscomplexobj(out):
            raise TypeError("real numbers are needed")
        out = to_floats(out)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the model returned {type(given).__name__} that is no array of numbers ({str(error).splitlines()[0]}). "
            f"Return numbers, ({rows},) or ({rows}, outputs)."
        ) from error
    out = out[:, None] if out.ndim == 1 else out
    if out.ndim != 2 or len(out) != rows:
        raise InputError(
            f"the model returned shape {out.shape} for {rows} rows; ({rows},) or ({rows}, outputs) is needed."
        )
    return np.asarray(out)
