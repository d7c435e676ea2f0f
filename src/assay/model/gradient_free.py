# SPDX-License-Identifier: Apache-2.0
"""Plain functions as models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from assay.model.model import Model
from assay.nouns.rows import Rows
from assay.nouns.target import Gives
from assay.words.digest import digest
from assay.words.errors import InputError
from assay.words.types import Array, Floats


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
    mark: str | None = None,
    columns: Sequence[str] | None = None,
) -> Model:
    """A function of rows (row, *shape) to outputs (row,) or (row, out) as a model.

    ``gives`` must say what the outputs are: guessing would be a silent error. ``gradient`` may give the derivative
    of the one output with respect to the rows, in closed form. ``mark`` should change whenever the function does;
    without it the function's name and code stand for it, which closures over changing data escape.
    """

    def forward(rows: Rows) -> Array:
        given = rows.x if rows.table is None else rows.table.decode(rows.x)
        out = call(given if preprocess is None else preprocess(given))
        return as_outputs(out if output is None else output(out), len(rows))

    if gradient is not None and gives != "values":
        raise InputError(f"gradient is the derivative of the one value; this function gives {gives}. Wrap a torch module instead.")
    label = name or getattr(call, "__name__", type(call).__name__)
    code = getattr(call, "__code__", None)
    return Model(
        forward=forward,
        name=label,
        mark=mark or digest(label, code.co_code if code else "", repr(code.co_consts) if code else ""),
        gives=gives,
        classes=tuple(classes or ()),
        slope=gradient,
        columns=tuple(columns) if columns is not None else None,
        batch=batch,
        default_target={"values": "value", "logits": "logit", "margin": "margin"}.get(gives, "probability"),
    )


def as_outputs(out: Any, rows: int) -> Floats:
    """Outputs as (row, out) float64; raises ``InputError`` on another number of rows."""
    out = np.asarray(out, dtype=np.float64)
    out = out[:, None] if out.ndim == 1 else out
    if out.ndim != 2 or len(out) != rows:
        raise InputError(f"the model returned shape {out.shape} for {rows} rows; needed is ({rows},) or ({rows}, outputs).")
    return out
