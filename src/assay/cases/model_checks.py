# SPDX-License-Identifier: Apache-2.0
"""Checks that a model is a function of each row alone, and that its outputs are what they are said to be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from assay.basics.errors import AssayError, CapabilityError, InputError
from assay.basics.types import Floats
from assay.model.layer_slices import CARRIED
from assay.model.model import Model
from assay.model.nets.net_outputs import draws_masks
from assay.nouns.inputs.frames import list_first
from assay.nouns.inputs.rows import Rows, to_floats
from assay.nouns.inputs.target import class_scores, decisions, is_single_score
from assay.nouns.results.result import Note

ROWS_CHECKED = 3
"""Rows that a model is checked on: together, once more, in reverse order, and the first alone."""

ROWS_DECIDED = 64
"""Rows on which decisions are compared with those of ``predict``."""

TOLERANCE = {"float64": 1e-6, "float32": 1e-3, "float16": 0.1, "bfloat16": 0.3}
"""Relative difference, by the number type, that the order of summation may cause."""

FULL = ("out of memory", "allocate memory")
"""Texts of torch's errors when memory runs out, on a GPU and on a CPU."""

PROBABILITY_SLACK = 1e-3
"""How far probabilities may lie outside [0, 1], and their sum from 1, by rounding."""


def check_function(model: Model, rows: Rows) -> None:
    """Raise ``CapabilityError`` unless the outputs of a row depend on that row alone; checked once for each model.

    A model that was checked on a single row is checked again where there are more. The passes are not counted. A model
    that draws random numbers, keeps a state, normalises over the batch, depends on the order of rows, or writes into
    its input is refused, since no explanation of one row could be right.
    """
    if model.meter.checked >= min(2, len(rows)):
        return
    few = rows.take(np.arange(min(ROWS_CHECKED, len(rows))))
    before = _copy(few.x)
    try:
        together = to_floats(model.values(few))
    except Exception as error:
        if is_full(error):
            return  # the first batch is halved until it fits
        if model.namespace != "torch" or isinstance(error, AssayError):  # a function's own errors are told as they are
            raise
        raise rows_refused(model, few, error) from error
    if not _equal(_copy(few.x), before):
        raise CapabilityError(
            f"{model.name} writes into its input: the rows differ after a call. Work on a copy of the input."
        )
    if not _close(together, to_floats(model.values(few)), model) or draws_masks(model, few):
        raise CapabilityError(
            f"{model.name} gives other outputs for the same rows in a second call: dropout that is always active, "
            f"random numbers, or a state. Make it deterministic in evaluation mode (dropout: training=self.training)."
        )
    if len(few) < 2:
        company = _in_company(model, few)
        if company is not None and not _close(together, company, model):
            raise CapabilityError(_dependent(model))
        model.meter.checked = len(few)
        return
    order = np.arange(len(few))[::-1].copy()
    backwards = to_floats(model.values(few.take(order)))[order]
    try:
        alone = to_floats(model.values(few.take(np.array([0]))))
    except (ValueError, RuntimeError):  # batch normalisation without statistics refuses a single row
        alone = np.full_like(together[:1], np.nan)
    if not _close(together, backwards, model) or not _close(together[:1], alone, model):
        raise CapabilityError(_dependent(model))
    model.meter.checked = len(few)


def _dependent(model: Model) -> str:
    return (
        f"the outputs of {model.name} for a row depend on the other rows of the batch or on their order (batch "
        f"normalisation without running statistics, ranks, padding that is not masked). Give a function of each row "
        f"alone."
    )


def _in_company(model: Model, row: Rows) -> Floats | None:
    """The outputs of one row between two others: its elements in reverse order, else every other one set to 0.

    ``None`` for models that are no nets and read no texts, for rows of a table or of several inputs, and where the
    model cannot evaluate the other rows.
    """
    if row.table is not None or row.layout is not None or not (model.namespace == "torch" or row.text is not None):
        return None
    three = row.take(np.array([0, 0, 0]))
    x = _copy(three.x)
    flat = x[1].reshape(-1)
    other = flat[::-1] if isinstance(flat, np.ndarray) else flat.flip(0)
    if bool((other == flat).all()):
        other = flat.copy() if isinstance(flat, np.ndarray) else flat.clone()
        other[::2] = 0
    x[0] = x[2] = other.reshape(x[1].shape)
    try:
        return to_floats(model.values(replace(three, x=x)))[1:2]
    except Exception:  # noqa: BLE001  # the other rows may be none that the model takes
        return None


def is_full(error: Exception) -> bool:
    """Whether memory ran out."""
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in FULL)


def rows_refused(model: Model, rows: Rows, error: Exception) -> InputError:
    """The ``InputError`` for rows, or further inputs, that a net cannot take."""
    text = " ".join(str(error).split())[:200]
    if "Long" in text and "Int" in text and not rows.whole:
        text += ". Pass ids as whole numbers (an array of int64)"
    further = [name for name in rows.carried if not name.startswith(CARRIED)]
    if further:
        text += f". The further inputs are passed by name (carried=): {', '.join(further)}"
    return InputError(
        f"{model.name} cannot take rows of shape {rows.shape}: {type(error).__name__}: {text}. Give rows of the shape, "
        f"and further inputs of the names, that its forward takes."
    )


def check_decisions(model: Model, rows: Rows) -> Model:
    """The model; where ``predict`` decides otherwise than its outputs say, a note and a kind that refuses decisions.

    An estimator of scikit-learn's interface may decide by anything. It is compared on the first rows of its first case,
    in passes that are not counted; rows whose two highest scores are equal do not count. A threshold that is known is
    not compared.
    """
    predict = getattr(model.forward, "decisions", None)
    if predict is None or model.kind.threshold is not None:
        return model
    if model.kind.decides:
        key = (model.fingerprint, "decisions")
        if key not in model.meter.heads:
            few = rows.take(np.arange(min(ROWS_DECIDED, len(rows))))
            model.meter.heads[key] = _decides(to_floats(model.values(few)), predict(few), model)
        if model.meter.heads[key]:
            return model
    text = (
        f"predict of {model.name} decides otherwise than by the outputs that are explained here: a target 'decision' "
        f"is refused, and the class called predicted is that of the highest output"
    )
    return replace(model, gives=model.kind.but(decides=False), notes=(*model.notes, Note("decisions", text)))


def _decides(outputs: Floats, expected: Floats | None, model: Model) -> bool:
    """Whether decisions read from the outputs are those expected, up to ties."""
    if expected is None:
        return True
    found = to_floats(decisions(outputs, model.kind))
    if found.shape != expected.shape:
        return True
    differs = (found != expected).any(axis=1)
    if model.kind.exclusive:
        best = np.sort(class_scores(outputs, model.kind), axis=1)[:, -2:]
        differs &= ~np.isclose(best[:, 0], best[:, -1], rtol=1e-6, atol=1e-9)
    return not differs.any()


def _copy(x: Any) -> Any:
    return x.detach().clone() if is_torch_array(x) else np.array(x)


def _equal(one: Any, other: Any) -> bool:
    return bool(np.array_equal(to_floats(one), to_floats(other), equal_nan=True))


def _close(one: Floats, other: Floats, model: Model) -> bool:
    """Whether two outputs agree up to rounding, relative to the largest output."""
    if one.shape != other.shape:
        return False
    finite = one[np.isfinite(one)]
    scale = max(float(np.abs(finite).max()) if len(finite) else 1.0, 1e-6)
    tolerance = TOLERANCE.get(model.dtype, 1e-6) * scale
    return bool(np.allclose(one, other, rtol=0, atol=tolerance, equal_nan=True))


def check_outputs(outputs: Floats, model: Model, ids: tuple[str, ...]) -> Floats:
    """The outputs unchanged; ``InputError`` for NaN, and for probabilities that are none."""
    broken = np.flatnonzero(np.isnan(outputs).reshape(len(outputs), -1).any(axis=1))
    if len(broken):
        named = ", ".join(ids[i] for i in broken[:8])
        raise InputError(
            f"{model.name} gives NaN for {len(broken)} of {len(outputs)} rows: {named}. Leave these rows out, or "
            f"repair the model."
        )
    kind = model.kind
    if kind != "probabilities":
        return outputs
    outside = (outputs < -PROBABILITY_SLACK) | (outputs > 1 + PROBABILITY_SLACK)
    if outside.any():
        rows = np.flatnonzero(outside.any(axis=1))
        raise InputError(
            f"{model.name} is said to give probabilities, but row {list_first(rows)} has {outputs[outside][0]:.4g}. "
            f"State what it returns: output='logits', 'margin' or 'values'."
        )
    off = np.abs(outputs.sum(axis=1) - 1) > PROBABILITY_SLACK * max(1, outputs.shape[1] ** 0.5)
    if kind.link == "softmax" and not is_single_score(outputs, kind) and off.any():
        row = int(np.flatnonzero(off)[0])
        raise InputError(
            f"{model.name} is said to give probabilities of classes, but those of row {ids[row]} sum to "
            f"{outputs[row].sum():.4g}. For labels that do not exclude each other: output='multilabel probabilities'."
        )
    return outputs
