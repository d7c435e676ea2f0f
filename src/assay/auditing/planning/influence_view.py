# SPDX-License-Identifier: Apache-2.0
"""The influence of training rows as a view: whether model and depth allow it, its options, and its rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.auditing.planning.profiles import Options
from assay.auditing.planning.scope import AuditScope
from assay.basics.errors import CapabilityError
from assay.cases.case import Case
from assay.engine.audit_inputs import INPUTS
from assay.engine.influence.curvature import EXACT_WEIGHTS
from assay.engine.influence.read_fit import is_linear_fit, weights_of_fit
from assay.engine.influence.weight_gradients import last_linear_layer, weight_count, weight_layers
from assay.nouns.records.jsonable import describe

INFLUENCE = "training_influence"
"""Name of the view."""

FEWEST_ROWS, NUMBERS = 20, 500_000
"""Rows that are explained in any case, and numbers (row, training row) that the result may have for more."""

MOST_ROWS = 20_000
"""Training rows at which a net is evaluated."""

WORK, PASSES = 2e10, 1e10
"""Largest training rows · weights² of a linear layer, and training rows · weights of a large net."""

DAMPING = 1.0
"""Share of the mean curvature that is added to the Hessian of a net's last layer.

It is nearly singular where the net separates its training rows: without damping, amounts are far too large.
"""

FEWER = "fewer training rows"


def influence_options(scope: AuditScope, given: Options) -> tuple[dict[str, Any], str, str]:
    """The options of the view; or why it is left out, and what would enable it.

    Of a net ``given["method"]`` "newton" follows the last linear layer, others all layers; of a net that reads text it
    is always the last. Of a model that is neither linear nor a net the recipe trains others, at most
    ``given["refits"]``.
    """
    if scope.train is None:
        return {}, f"it needs {INPUTS['train'].description}", INPUTS["train"].argument
    model, rows = scope.case.model, len(scope.train[1])
    options = {**given, "train": scope.train}
    if is_linear_fit(model):
        options |= {"method": "newton", "steps": 1}
        return _within(options, rows * float(weights_of_fit(model, rows)) ** 2 <= WORK, rows)
    if model.net is None:
        return _by_refits(scope, options, rows)
    try:
        layers = weight_layers(model)[0]
        last = last_linear_layer(model)
    except CapabilityError as error:
        return {}, str(error), "a model or data with this property"
    if options.get("method") == "newton" or model.encode is not None:
        options = {"damping": DAMPING, **options, "method": "newton", "steps": 1}
        return _within(options, rows <= MOST_ROWS and rows * float(last.size) ** 2 <= WORK, rows)
    weights = weight_count(layers)
    is_cheap = rows <= MOST_ROWS and (weights <= EXACT_WEIGHTS or rows * weights <= PASSES)
    return _within(options, is_cheap, rows)


def _within(options: dict[str, Any], is_cheap: bool, rows: int) -> tuple[dict[str, Any], str, str]:
    if is_cheap:
        return options, "", ""
    return {}, f"{rows:,} training rows and this many weights take too long for a view", FEWER


def _by_refits(scope: AuditScope, options: dict[str, Any], rows: int) -> tuple[dict[str, Any], str, str]:
    refits = int(options.get("refits", 0))
    if not refits:
        return {}, "the model has to be trained again without each training row", "profile='deep' with a recipe"
    if scope.recipe is None:
        return {}, f"it needs {INPUTS['recipe'].description}", INPUTS["recipe"].argument
    if rows + 1 > refits:
        return {}, f"{rows:,} training rows need as many trainings, and at most {refits} are made", FEWER
    return {**options, "method": "refit", "recipe": scope.recipe}, "", ""


def influence_case(scope: AuditScope) -> Case:
    """The rows explained, each for its predicted class; of many training rows the first ones."""
    rows = 1 if scope.train is None else len(scope.train[1])
    return first_rows(scope.case, max(FEWEST_ROWS, NUMBERS // max(rows, 1)))


def first_rows(case: Case, count: int) -> Case:
    """The case of the first rows. Outputs that are known are carried over: a view evaluates what it plans."""
    if len(case) <= count:
        return case
    which = np.arange(count)
    taken = case.take(which)
    known = ("prediction", "output")
    taken.__dict__.update({name: case.__dict__[name][which] for name in known if name in case.__dict__})
    return taken


def described_pair(train: Any) -> list[dict[str, str]]:
    """The training rows and labels by their fingerprints."""
    return [describe(train[0]), describe(np.asarray(train[1]).tolist())]
