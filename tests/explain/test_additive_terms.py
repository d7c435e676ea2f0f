"""The terms of additive models against the models' own scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import assay
from assay.basics.errors import CapabilityError
from assay.explain.additive_terms import additive_terms
from assay.interpretable import RiskScore


def people() -> tuple[pd.DataFrame, np.ndarray]:
    draws = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"a": draws.normal(size=200), "b": draws.normal(size=200), "town": draws.choice(["A", "B", "C"], 200)}
    )
    return frame, (frame.a * frame.b + (frame.town == "A") > 0.3).to_numpy().astype(int)


def pipeline(model: Any) -> Any:
    codes = make_column_transformer((OneHotEncoder(sparse_output=False), ["town"]), (StandardScaler(), ["a", "b"]))
    return make_pipeline(codes, model)


def boosted(kind: str, **options: Any) -> Any:
    glassbox = pytest.importorskip("interpret.glassbox", reason="interpret-core (extra glassbox) is not installed")
    return getattr(glassbox, kind)(outer_bags=1, max_rounds=30, n_jobs=1, random_state=0, **options)


MODELS: dict[str, tuple[Callable[[], Any], str, str | None, str | None]] = {
    "logistic regression": (lambda: pipeline(LogisticRegression()), "two", None, "log_odds"),
    "three classes": (lambda: pipeline(LogisticRegression()), "three", "margin", "margin"),
    "ridge classifier": (lambda: pipeline(RidgeClassifier()), "two", None, None),
    "linear regression": (lambda: pipeline(LinearRegression()), "number", None, None),
    "risk score": (lambda: RiskScore(0.002, multiplier="search"), "two", None, "log_odds"),
    "boosted terms with pairs": (
        lambda: boosted("ExplainableBoostingClassifier", interactions=2), "two", "margin", "margin",
    ),
    "boosted terms, probabilities": (
        lambda: boosted("ExplainableBoostingClassifier", interactions=1), "two", None, "log_odds",
    ),
    "boosted terms, three classes": (
        lambda: boosted("ExplainableBoostingClassifier", interactions=0), "three", "margin", "margin",
    ),
    "boosted terms, regression": (
        lambda: boosted("ExplainableBoostingRegressor", interactions=1), "number", None, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "labels", "output", "target"), MODELS.values(), ids=MODELS)
def test_terms_and_base_add_up_to_the_score(
    make: Callable[[], Any], labels: str, output: str | None, target: str | None
) -> None:
    frame, two = people()
    y = {"two": two, "three": np.arange(200) % 3, "number": 2 * frame.a - frame.b + 3 * (frame.town == "B")}[labels]
    model = assay.wrap(make().fit(frame, y), output=output)
    assert not model.partial_fingerprint
    rows = frame.iloc[:20]
    case = assay.case(model, rows, target=target) if target else assay.case(model, rows)
    found = additive_terms(case)
    assert found.output.std() > 0.01
    assert_allclose(found.values.sum(axis=1) + found.base, found.output, atol=1e-12)
    assert_allclose(found.extra["terms"].sum(axis=1) + found.base, found.output, atol=1e-12)


def test_terms_of_a_linear_model_are_coefficient_times_column() -> None:
    x = np.random.default_rng(0).normal(size=(50, 3))
    model = LinearRegression().fit(x, x @ [1.0, -2.0, 0.5] + 4)
    found = additive_terms(assay.case(assay.wrap(model), x[:5]))
    assert_allclose(found.values, x[:5] * model.coef_, atol=1e-12)
    assert_allclose(found.base, 4.0, atol=1e-12)


def test_a_pair_is_split_equally_between_its_columns() -> None:
    frame, y = people()
    model = boosted("ExplainableBoostingClassifier", interactions=[("a", "b")]).fit(frame, y)
    found = additive_terms(assay.case(assay.wrap(model, output="margin"), frame.iloc[:6], target="margin"))
    terms = model.eval_terms(frame.iloc[:6])
    assert model.term_features_ == [(0,), (1,), (2,), (0, 1)]
    assert "a & b" in found.description[0]
    sign = found.output / model.decision_function(frame.iloc[:6])  # the margin is that of the row's class
    own = terms[:, :3] + terms[:, 3:] * [0.5, 0.5, 0.0]
    assert_allclose(found.values, own * sign[:, None], atol=1e-12)


def test_points_of_a_risk_score_belong_to_their_columns() -> None:
    frame, y = people()
    model = RiskScore(0.002).fit(frame, y)
    found = additive_terms(assay.case(assay.wrap(model), frame.iloc[:6], target="log_odds", label=1))
    masks = model.binariser_(frame.iloc[:6])
    for part, name in enumerate(frame.columns):
        own = np.array([one.column == name for one in model.binariser_.conditions])
        assert_allclose(found.values[:, part], masks[:, own] @ model.points_[own], atol=1e-12)


@pytest.mark.parametrize("target", ["probability", "decision", "brier"])
def test_for_another_target_the_terms_of_the_score_are_given_and_a_note(target: str) -> None:
    frame, y = people()
    fitted = pipeline(LogisticRegression()).fit(frame, y)
    found = additive_terms(assay.case(assay.wrap(fitted), frame.iloc[:9], target=target, label=0))
    assert [note.code for note in found.notes] == ["other_target"]
    assert_allclose(found.output, -fitted.decision_function(frame.iloc[:9]), atol=1e-12)
    assert_allclose(found.values.sum(axis=1) + found.base, found.output, atol=1e-12)


def test_a_regression_behind_a_logarithm_is_read_as_its_logarithm() -> None:
    frame, y = people()
    fitted = pipeline(PoissonRegressor()).fit(frame, y)
    found = additive_terms(assay.case(assay.wrap(fitted), frame.iloc[:9]))
    assert [note.code for note in found.notes] == ["other_target"]
    assert_allclose(np.exp(found.values.sum(axis=1) + found.base), fitted.predict(frame.iloc[:9]), rtol=1e-12)


def test_three_classes_are_read_by_the_score_of_the_label() -> None:
    frame, _ = people()
    fitted = pipeline(LogisticRegression()).fit(frame, np.arange(200) % 3)
    found = additive_terms(assay.case(assay.wrap(fitted), frame.iloc[:9], target="probability", label=2))
    assert_allclose(found.output, fitted.decision_function(frame.iloc[:9])[:, 2], atol=1e-12)


def test_a_forest_is_refused_by_name() -> None:
    frame, y = people()
    model = pipeline(RandomForestClassifier(3)).fit(frame, y)
    with pytest.raises(CapabilityError, match="RandomForestClassifier is not known to be one"):
        additive_terms(assay.case(assay.wrap(model), frame.iloc[:4]))
