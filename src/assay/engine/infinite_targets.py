# SPDX-License-Identifier: Apache-2.0
"""Targets that are infinite at some outputs: logarithms of probabilities of exactly 0, or of values of 0."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import numpy as np

from assay.basics.errors import NumericalError
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.nouns.inputs.output_kind import OutputKind


def may_be_infinite(case: Case) -> bool:
    """Whether the target is a logarithm of outputs that can be exactly 0 (or 1): a loss, log odds, or a raw score."""
    target, kind = case.target, OutputKind.of(case.model.gives)
    if kind == "probabilities":
        return target.name in ("loss", "log_odds") or target.rival is not None
    return kind == "values" and target.name == "margin" and kind.link in ("log", "logit")


def without_warnings(case: Case) -> AbstractContextManager[object]:
    """Silence numpy about ∞ − ∞ where the target may be infinite; results say it in a note."""
    return np.errstate(divide="ignore", invalid="ignore") if may_be_infinite(case) else nullcontext()


def nan_where_infinite(case: Case, values: Floats) -> Floats:
    """The values of a result, NaN where they are infinite since the target is."""
    return np.where(np.isinf(values), np.nan, values) if may_be_infinite(case) else values


def advice_on_infinite(case: Case) -> str:
    """Why the target of this case can be infinite, and which finite target to use."""
    if not case.model.kind.is_classifier:
        return f"{case.target_text} is infinite where the model gives a value of exactly 0; explain target='value'."
    other = "'brier'" if case.target.name == "loss" else "'probability'"
    return (
        f"{case.target_text} is infinite where the model gives a probability of exactly 0 or 1. Use the target "
        f"{other}, which is finite (--ask {other[1:-1]}), or a model whose probabilities are never 0 or 1 "
        f"(CalibratedClassifierCV, method='sigmoid'); assay does not clip them."
    )


def require_finite(case: Case, values: Floats) -> Floats:
    """Return ``values`` (row, part) unchanged; ``NumericalError`` naming rows where the target is infinite."""
    infinite = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(infinite):
        names = ", ".join(case.rows.ids[i] for i in infinite[:8])
        raise NumericalError(
            f"infinite or undefined at or around {len(infinite)} row(s): {names}. {why_infinite(case)}"
        )
    return values


def why_infinite(case: Case) -> str:
    """The advice where the target may be infinite; else that it is not finite."""
    return advice_on_infinite(case) if may_be_infinite(case) else f"{case.target_text} is not finite there."
