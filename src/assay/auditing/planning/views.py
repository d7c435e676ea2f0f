# SPDX-License-Identifier: Apache-2.0
"""Views of the model: explanations that are shown and not judged, and the case of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from assay.auditing.planning.scope import AuditScope
from assay.cases.case import Case
from assay.engine.audit_inputs import INPUTS

VIEW = "the model"
"""Subject of an explanation that is shown as a view of the model."""

OF_TRUTH = ("permutation_importance", "sage")
"""Views of the loss, or of the probability of the true class, which need the true labels."""

OF_BALL = ("local_slopes",)
"""Views of points around each row, which need to know how far a row may move."""

FEW = ("interactions", "tree_interactions", "qii", "reason_codes", "local_slopes", "counterfactual")
"""Views that are computed for the first rows only."""

ROWS = 20
"""Rows of these views."""


def view_case(name: str, scope: AuditScope) -> Case:
    """The case of a view: about the true labels, else about one class for all rows, which curves need.

    That class is the last of two, or of several the one that is decided most often. Probabilities may be exactly 0,
    where the loss is infinite; there the target is the probability of the true class.
    """
    case = scope.case
    if name in OF_TRUTH:
        return case.with_target("probability" if case.model.gives == "probabilities" else "loss", scope.truth)
    if case.model.classes:
        most = int(np.bincount(np.asarray(case.label)).argmax())
        case = case.with_target(label=len(case.model.classes) - 1 if len(case.model.classes) == 2 else most)
    return case.take(np.arange(min(ROWS, len(case)))) if name in FEW else case


def view_background(name: str, scope: AuditScope) -> Any:
    """The background rows of a view; surrogates are fitted to up to 500 training rows where they are known.

    Counterfactuals read the ranges and levels of the columns from these, too.
    """
    reads_many = name.startswith("surrogate") or name == "counterfactual"
    return scope.reference if reads_many and scope.reference is not None else scope.background


def why_not_viewed(name: str, scope: AuditScope) -> tuple[str, str]:
    """Why a view is left out, and what would enable it; two empty texts where it is computed."""
    if name in OF_TRUTH and scope.truth is None:
        return "it needs the true labels of the rows", "y=labels"
    if name in OF_BALL and scope.ball is None:
        return f"it needs {INPUTS['ball'].description}", INPUTS["ball"].argument
    return "", ""


def view_dependencies(scope: AuditScope) -> Mapping[str, Any]:
    """What a view depends on that other steps do not."""
    return {"truth": None if scope.truth is None else np.asarray(scope.truth).tolist()}
