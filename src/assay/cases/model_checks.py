# SPDX-License-Identifier: Apache-2.0
"""Checks that a model is a function of each row alone, and that its outputs are what they are said to be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats
from assay.model.model import Model
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
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or any(sign in str(error) for sign in FULL):
            return  # the first batch is halved until it fits
        raise
    if not _equal(_copy(few.x), before):
        raise CapabilityError(
            f"{model.name} writes into its input: the rows differ after a call. Work on a copy of the input."
        )
    if not _close(together, to_floats(model.values(few)), model):
        raise CapabilityError(
            f"{model.name} gives other outputs for the same rows in a second call: dropout that is always active, "
            f"random numbers, or a state. Make it deterministic in evaluation mode (dropout: training=self.training)."
        )
    if len(few) < 2:
        model.meter.checked = len(few)
        return
    order = np.arange(len(few))[::-1].copy()
    backwards = to_floats(model.values(few.take(order)))[order]
    try:
        alone = to_floats(model.values(few.take(np.array([0]))))
    except (ValueError, RuntimeError):  # batch normalisation without statistics refuses a single row
        alone = np.full_like(together[:1], np.nan)
    if not _close(together, backwards, model) or not _close(together[:1], alone, model):
        raise CapabilityError(
            f"the outputs of {model.name} for a row depend on the other rows of the batch or on their order (batch "
            f"normalisation without running statistics, ranks, padding that is not masked). Give a function of each "
            f"row alone."
        )
    model.meter.checked = len(few)


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
