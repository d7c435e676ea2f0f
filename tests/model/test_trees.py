"""The adapters for XGBoost and LightGBM."""

from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xgboost
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import assay
from assay import Marginal, explain
from assay.basics.errors import CapabilityError, InputError

generator = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "age": generator.integers(20, 70, 80),
        "income": generator.normal(size=80),
        "purpose": pd.Categorical(generator.choice(["car", "tv", "boat"], 80), ["boat", "car", "tv", "never"]),
        "band": pd.Categorical(generator.integers(1, 4, 80), [3, 2, 1]),
    }
)
SCORE = FRAME["income"] + (FRAME["purpose"] == "car") + (FRAME["band"] == 2)
TWO, THREE = (SCORE > 0.5).to_numpy().astype(int), np.digitize(SCORE, [0.0, 1.0])


def boosted(kind: str, task: str, **options: Any) -> Any:
    if kind == "xgboost":
        make = xgboost.XGBClassifier if task == "classes" else xgboost.XGBRegressor
        return make(n_estimators=5, n_jobs=1, enable_categorical=True, **options)
    make = lightgbm.LGBMClassifier if task == "classes" else lightgbm.LGBMRegressor
    return make(n_estimators=5, n_jobs=1, verbose=-1, min_child_samples=3, **options)


def raw(estimator: Any, x: Any) -> np.ndarray:
    options = {"output_margin": True} if "XGB" in type(estimator).__name__ else {"raw_score": True}
    return np.asarray(estimator.predict(x, **options), dtype=float).reshape(len(x), -1)


BOTH = pytest.mark.parametrize("kind", ["xgboost", "lightgbm"])


@BOTH
@pytest.mark.parametrize("labels", [TWO, THREE], ids=["two", "three"])
def test_a_classifier_gives_its_raw_score_on_raw_categorical_columns(kind: str, labels: np.ndarray) -> None:
    estimator = boosted(kind, "classes").fit(FRAME, labels)
    case = assay.case(assay.wrap(estimator), FRAME[FRAME.columns[::-1]], label="predicted")
    margins = raw(estimator, FRAME)
    assert case.target.name == "margin"
    assert case.features.names == tuple(FRAME.columns)
    assert_allclose(case.prediction, margins)
    assert_array_equal(case.label, estimator.predict(FRAME))
    assert_allclose(case.with_target("probability").output, estimator.predict_proba(FRAME).max(axis=1), atol=1e-6)


@BOTH
def test_a_regressor_gives_its_prediction(kind: str) -> None:
    estimator = boosted(kind, "values").fit(FRAME, SCORE)
    assert_allclose(assay.case(assay.wrap(estimator), FRAME).output, estimator.predict(FRAME))


@BOTH
def test_a_regressor_with_a_link_gives_its_prediction_and_not_the_links_argument(kind: str) -> None:
    objective = "count:poisson" if kind == "xgboost" else "poisson"
    estimator = boosted(kind, "values", objective=objective).fit(FRAME, THREE)
    assert_allclose(assay.case(assay.wrap(estimator), FRAME).output, estimator.predict(FRAME))


@BOTH
def test_categories_survive_a_game(kind: str) -> None:
    estimator = boosted(kind, "classes").fit(FRAME, TWO)
    case = assay.case(assay.wrap(estimator), FRAME[:3], label=1)
    mixed = pd.concat([FRAME[:1]] * 3, ignore_index=True).assign(purpose=FRAME["purpose"][10:13].to_numpy())
    mixed["purpose"] = mixed["purpose"].astype(FRAME["purpose"].dtype)
    keep = np.array([[True, True, False, True]])
    assert_allclose(case.game(Marginal(FRAME[10:13])).table(keep)[0, 0], raw(estimator, mixed).mean())
    assert_allclose(explain.shapley(case, remove=Marginal(FRAME[10:13])).residual, 0.0, atol=1e-6)


@BOTH
@pytest.mark.parametrize("fit_on", ["pandas", "array"])
@pytest.mark.parametrize("ask_with", ["pandas", "polars", "array"])
def test_frames_and_arrays_may_be_mixed_without_warnings(kind: str, fit_on: str, ask_with: str) -> None:
    plain = FRAME[["age", "income"]].astype(float)
    forms = {"pandas": plain, "polars": pl.DataFrame(plain.to_dict("list")), "array": plain.to_numpy()}
    estimator = boosted(kind, "classes").fit(forms[fit_on], TWO)
    assert_allclose(assay.case(assay.wrap(estimator), forms[ask_with]).prediction, raw(estimator, forms[fit_on]))


@BOTH
def test_the_raw_score_is_read_at_the_end_of_a_pipeline(kind: str) -> None:
    columns = ColumnTransformer([("text", OneHotEncoder(), ["purpose"])], remainder="passthrough")
    frame = FRAME.astype({"purpose": str, "band": int})
    last = boosted(kind, "classes")
    fitted = make_pipeline(columns, last).fit(frame, TWO)
    case = assay.case(assay.wrap(fitted), frame)
    assert case.target.name == "margin"
    assert_allclose(case.prediction, raw(last, columns.transform(frame)))


@BOTH
def test_the_fingerprint_depends_on_the_fit_and_not_on_use(kind: str) -> None:
    one, same = (boosted(kind, "classes").fit(FRAME, TWO) for _ in range(2))
    fingerprint = assay.wrap(one).fingerprint
    one.predict(FRAME)
    assert assay.wrap(one).fingerprint == assay.wrap(same).fingerprint == fingerprint
    assert assay.wrap(boosted(kind, "classes").fit(FRAME, 1 - TWO)).fingerprint != fingerprint


def booster_of(estimator: Any) -> Any:
    return estimator.get_booster() if hasattr(estimator, "get_booster") else estimator.booster_


@BOTH
@pytest.mark.parametrize("labels", [TWO, THREE], ids=["two", "three"])
def test_a_booster_gives_the_margins_of_its_estimator(kind: str, labels: np.ndarray) -> None:
    estimator = boosted(kind, "classes").fit(FRAME, labels)
    model = assay.wrap(booster_of(estimator))
    assert len(model.classes) == len(set(labels))
    assert_array_equal(assay.case(model, FRAME).prediction, raw(estimator, FRAME))


@BOTH
def test_a_boosters_objective_decides_between_values_and_margins(kind: str) -> None:
    objective = "count:poisson" if kind == "xgboost" else "poisson"
    estimator = boosted(kind, "values", objective=objective).fit(FRAME, THREE)
    case = assay.case(assay.wrap(booster_of(estimator)), FRAME)
    assert case.model.gives == "values"
    assert_allclose(case.output, estimator.predict(FRAME))


def test_a_regressor_fitted_for_classes_gives_a_booster_of_margins() -> None:
    estimator = boosted("xgboost", "values", objective="binary:logistic").fit(FRAME, TWO)
    case = assay.case(assay.wrap(estimator.get_booster()), FRAME)
    assert case.model.gives == "margin"
    assert_allclose(case.prediction, raw(estimator, FRAME))


@BOTH
def test_a_booster_takes_plain_numbers_in_every_form(kind: str) -> None:
    plain = FRAME[["age", "income"]].astype(float)
    estimator = boosted(kind, "classes").fit(plain, TWO)
    model = assay.wrap(booster_of(estimator))
    for form in (plain, pl.DataFrame(plain.to_dict("list")), plain.to_numpy()):
        assert_array_equal(assay.case(model, form).prediction, raw(estimator, plain))


@BOTH
def test_the_callers_booster_is_unchanged(kind: str) -> None:
    booster = booster_of(boosted(kind, "classes").fit(FRAME, TWO))
    before = booster.save_raw("ubj") if kind == "xgboost" else booster.model_to_string()
    assay.case(assay.wrap(booster), FRAME)
    assert (booster.save_raw("ubj") if kind == "xgboost" else booster.model_to_string()) == before


@BOTH
@pytest.mark.parametrize("kind_of_text", [pl.String, pl.Categorical])
def test_text_and_categories_of_polars_are_those_of_the_pandas_frame_trained_on(kind: str, kind_of_text: Any) -> None:
    trained = FRAME[["age", "income", "purpose"]]
    estimator = boosted(kind, "classes").fit(trained, TWO)
    mixed = pl.from_pandas(trained).reverse()
    text = [name for name, dtype in mixed.schema.items() if not dtype.is_numeric()]
    mixed = mixed.with_columns(pl.col(*text).cast(kind_of_text))
    for given in (estimator, booster_of(estimator)):
        assert_array_equal(assay.case(assay.wrap(given), mixed).prediction[::-1], raw(estimator, trained))


def test_a_lightgbm_model_trained_on_numbers_refuses_text() -> None:
    model = assay.wrap(booster_of(boosted("lightgbm", "classes").fit(FRAME[["age", "income"]].to_numpy(), TWO)))
    frame = pl.DataFrame({"age": [30.0, 40.0], "purpose": ["car", "tv"]})
    with pytest.raises(InputError, match="the model was trained on 0 such columns"):
        _ = assay.case(model, frame).prediction


def test_an_unfitted_estimator_is_refused() -> None:
    with pytest.raises(InputError, match="LGBMClassifier is not fitted yet"):
        assay.wrap(boosted("lightgbm", "classes"))


@BOTH
def test_a_classifier_gives_probabilities_where_they_are_asked_for_and_no_other_scores(kind: str) -> None:
    estimator = boosted(kind, "classes").fit(FRAME, TWO)
    case = assay.case(assay.wrap(estimator, output="probabilities"), FRAME)
    assert case.target.name == "probability"
    assert_allclose(case.output, estimator.predict_proba(FRAME)[:, 1], atol=1e-6)
    with pytest.raises(InputError, match="gives 'margin' or 'probabilities'"):
        assay.wrap(estimator, output="logits")


@pytest.mark.parametrize("kind", ["texts", "embeddings"])
def test_catboosts_trees_of_texts_and_embeddings_are_refused_by_name(kind: str) -> None:
    words = [" ".join(generator.choice(["red", "blue", "green"], 3)) for _ in range(80)]
    frame = FRAME[["income"]].assign(column=words if kind == "texts" else list(generator.normal(size=(80, 2))))
    read = {"text_features" if kind == "texts" else "embedding_features": ["column"]}
    fitted = catboost.CatBoostClassifier(iterations=3, verbose=0, allow_writing_files=False, **read).fit(frame, TWO)
    with pytest.raises(CapabilityError, match=f"this CatBoost model reads {kind}"):
        assay.wrap(fitted).forest()
    if kind == "texts":  # the audit leaves out what reads trees
        run = assay.audit(fitted, frame[:20], TWO[:20], train=(frame[20:], TWO[20:]), profile="quick", select=["PRV"])
        assert run.record.findings
