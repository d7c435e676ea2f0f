# SPDX-License-Identifier: Apache-2.0
"""Models whose score is a sum of terms of one or two columns: linear models, additive models, risk scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Floats
from assay.model.adapters.estimator_outputs import EstimatorForward, margin_link, regression_kind
from assay.model.forests.pipeline import pipeline_columns, transform, unwrap
from assay.model.linear_scores import LINEAR, estimator_of, read_linear
from assay.model.model import Model
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.rows import Rows, to_floats

LINEAR_REGRESSORS = {
    "LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "LassoLars", "LassoLarsCV", "ElasticNet",
    "ElasticNetCV", "BayesianRidge", "ARDRegression", "HuberRegressor", "SGDRegressor", "LinearSVR", "Lars",
    "TheilSenRegressor", "QuantileRegressor", "PoissonRegressor", "GammaRegressor",
}  # fmt: skip
"""Regressors of scikit-learn whose score is ``coef_`` · columns + ``intercept_``."""

BOOSTED_TERMS = {"ExplainableBoostingClassifier", "ExplainableBoostingRegressor"}
"""Additive models of interpret-core, whose ``eval_terms`` gives the terms of rows."""


@dataclass(frozen=True, eq=False)
class AdditiveScores:
    """Scores (row, out) = ``intercept`` (out,) + Σ over terms of ``terms(rows)`` (row, term, out).

    ``origin`` are the input columns of each term: one, or the two or more that interact. ``kind`` says what the scores
    are: a margin, with its link, or values.
    """

    names: tuple[str, ...]
    origin: tuple[tuple[int, ...], ...]
    intercept: Floats
    kind: OutputKind
    terms: Callable[[Rows], Floats] = field(repr=False)


def is_additive(model: Model) -> bool:
    """Whether ``read_additive`` knows the kind of model."""
    found = estimator_of(model)
    if found is None:
        return False
    name = type(unwrap(found)[1]).__name__
    return name in LINEAR | LINEAR_REGRESSORS | BOOSTED_TERMS or name == "RiskScore"


def read_additive(model: Model) -> AdditiveScores:
    """The terms of the model; ``CapabilityError`` where a step before it mixes columns, or it is of another kind."""
    if not is_additive(model):
        raise CapabilityError(f"{model.name} is not known to be a sum of terms.")
    steps, last = unwrap(estimator_of(model))
    assert isinstance(model.forward, EstimatorForward)
    prepare = model.forward.prepare
    name = type(last).__name__
    if name in BOOSTED_TERMS:
        columns = pipeline_columns(steps, int(last.n_features_in_)).tolist()
        origin = tuple(tuple(dict.fromkeys(columns[i] for i in term)) for term in last.term_features_)

        def boosted(rows: Rows) -> Floats:
            found = to_floats(last.eval_terms(transform(steps, prepare(rows))))
            return found if found.ndim == 3 else found[:, :, None]

        return AdditiveScores(
            tuple(map(str, last.term_names_)), origin, to_floats(np.atleast_1d(last.intercept_)), _kind(last), boosted
        )
    if name == "RiskScore":
        return _points(steps, last, prepare)
    found = read_linear(model)
    used = np.unique(found.origin).tolist()
    names = _column_names(model, used)

    def linear(rows: Rows) -> Floats:
        matrix = found.matrix(rows)
        parts = [matrix[:, found.origin == one] @ found.coef[:, found.origin == one].T for one in used]
        return to_floats(np.stack(parts, axis=1))

    return AdditiveScores(names, tuple((one,) for one in used), to_floats(found.intercept), _kind(last), linear)


def _points(steps: list[Any], last: Any, prepare: Callable[[Rows], Any]) -> AdditiveScores:
    """The items of a risk score, in units of the log odds."""
    used = np.flatnonzero(last.points_)
    binariser = last.binariser_
    columns = pipeline_columns(steps, binariser.width).tolist()
    names = list(binariser.columns) or [f"x{j}" for j in range(binariser.width)]
    origin = tuple((columns[names.index(binariser.conditions[j].column)],) for j in used)

    def terms(rows: Rows) -> Floats:
        masks = binariser(transform(steps, prepare(rows)))[:, used]
        return to_floats((masks * (last.points_[used] / last.multiplier_))[:, :, None])

    intercept = np.array([last.intercept_ / last.multiplier_])
    return AdditiveScores(tuple(binariser.names[j] for j in used), origin, intercept, OutputKind("margin"), terms)


def _kind(last: Any) -> OutputKind:
    """What the sum of the terms is."""
    if hasattr(last, "classes_"):
        return OutputKind("margin", link=margin_link(last))
    kind = regression_kind(last)
    return kind if kind.link in (None, "identity") else OutputKind("margin", link="none")


def _column_names(model: Model, used: list[int]) -> tuple[str, ...]:
    return tuple(model.columns[one] if model.columns else f"x{one}" for one in used)
