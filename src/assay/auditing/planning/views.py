# SPDX-License-Identifier: Apache-2.0
"""Views of the model: explanations that are shown and not judged, and the case of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from assay.auditing.planning.influence_view import (
    INFLUENCE,
    described_pair,
    first_rows,
    influence_case,
    influence_options,
)
from assay.auditing.planning.profiles import Options
from assay.auditing.planning.scope import AuditScope
from assay.cases.case import Case
from assay.cases.removals import Constant
from assay.engine.audit_inputs import INPUTS
from assay.engine.prototypes.network import declared_head
from assay.engine.sensitive_groups import column_values
from assay.nouns.inputs.rows import to_floats

VIEW = "the model"
"""Subject of an explanation that is shown as a view of the model."""

OF_TRUTH = ("permutation_importance", "sage")
"""Views of the loss, or of the probability of the true class, which need the true labels."""

OF_BALL = ("local_slopes",)
"""Views of points around each row, which need to know how far a row may move."""

FEW = (
    "interactions",
    "tree_interactions",
    "qii",
    "reason_codes",
    "local_slopes",
    "counterfactual",
    "influence_paths",
)
"""Views that are computed for the first rows only."""

ROWS = 20
"""Rows of these views."""

OF_TRAINING = ("prototypes",)
"""Views of similar training rows: of each row's own class, for the first rows of these."""

OF_TRAINING_ROWS, MOST_TRAINING_ROWS, MOST_CLASSES = 6, 1000, 100
"""Rows that these explain, training rows that they read of a net without prototypes, and classes that it may have."""


def view_case(name: str, scope: AuditScope) -> Case:
    """The case of a view: about the true labels, else about one class for all rows, which curves need.

    That class is the last of two, or of several the one that is decided most often. Probabilities may be exactly 0,
    where the loss is infinite; there the target is the probability of the true class.
    """
    case = scope.case
    if name in OF_TRAINING:
        return first_rows(case, OF_TRAINING_ROWS)
    if name == INFLUENCE:
        return influence_case(scope)
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


def view_options(name: str, scope: AuditScope, given: Options) -> tuple[Options, str, str]:
    """The options of a view; or why it is left out, and what would enable it (two empty texts where it is computed)."""
    if name == INFLUENCE:
        return influence_options(scope, given)
    if name in OF_TRUTH and scope.truth is None:
        return given, "it needs the true labels of the rows", "y=labels"
    if name in OF_BALL and scope.ball is None:
        return given, f"it needs {INPUTS['ball'].description}", INPUTS["ball"].argument
    if name in OF_TRAINING:
        return prototype_options(scope, given)
    return given, "", ""


def prototype_options(scope: AuditScope, given: Options) -> tuple[Options, str, str]:
    """The options of evidence by prototypes with the training rows, of many as many as the seed draws; or why not.

    Their regions are measured against the mean pixel, as a blurred picture is often as similar as the picture itself.
    """
    if scope.train is None:
        return given, f"it needs {INPUTS['train'].description}", INPUTS["train"].argument
    if len(scope.case.model.classes) > MOST_CLASSES:
        reason = f"a head of prototypes of more than {MOST_CLASSES} classes takes too long for a view"
        return given, reason, "fewer classes"
    rows, labels = scope.train
    known = np.arange(len(labels))
    if declared_head(scope.case.model.net) is None and len(known) > MOST_TRAINING_ROWS:
        generator = scope.case.seed.child("audit", "prototypes").generator()
        known = np.sort(generator.choice(len(known), MOST_TRAINING_ROWS, replace=False))
        form, true = scope.case.rows, column_values(labels, "labels")
        rows, labels = form.in_callers_form(form.convert(rows)[known]), [true[place] for place in known]
    names = tuple(f"training row {place}" for place in known)
    grey = Constant(round(float(to_floats(scope.case.rows.x).mean()), 6))
    return {"remove": grey, **given, "train": (rows, labels), "ids": names}, "", ""


def view_dependencies(scope: AuditScope, options: Options) -> Mapping[str, Any]:
    """What a view depends on; training rows by their fingerprint."""
    known = {name: described_pair(value) if name == "train" else value for name, value in options.items()}
    return {"truth": None if scope.truth is None else np.asarray(scope.truth).tolist(), "options": known}
