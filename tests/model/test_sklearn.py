"""scikit-learn estimators and pipelines as models."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from catboost import CatBoostClassifier
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, OneClassSVM

import assay
from assay import Marginal, explain
from assay.basics.errors import CapabilityError, InputError

generator = np.random.default_rng(0)
ROWS = 60
DATA: dict[str, Any] = {
    "age": generator.integers(20, 70, ROWS),
    "income": generator.normal(3.0, 1.0, ROWS),
    "purpose": generator.choice(["car", "tv", "boat"], ROWS).tolist(),
}
GOOD = np.where(DATA["income"] + (np.array(DATA["purpose"]) == "car") > 3.2, "yes", "no")
X = generator.normal(size=(ROWS, 3))
Y = (X[:, 0] - X[:, 1] > 0).astype(int) + (X[:, 2] > 1)
FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame}


def pipeline(frame: Any, last: Any = None) -> Pipeline:
    columns = ColumnTransformer([("text", OneHotEncoder(), ["purpose"]), ("rest", StandardScaler(), ["age", "income"])])
    return make_pipeline(columns, LogisticRegression() if last is None else last).fit(frame, GOOD)


@pytest.mark.parametrize("kind", FRAMES)
def test_a_pipeline_is_explained_in_raw_columns_one_player_each(kind: str) -> None:
    frame = FRAMES[kind](DATA)
    fitted = pipeline(frame)
    case = assay.case(assay.wrap(fitted), frame[:5], label="yes")
    assert case.features.names == ("age", "income", "purpose")
    assert case.target.name == "probability"
    assert_allclose(case.output, fitted.predict_proba(frame[:5])[:, 1])
    result = explain.shapley(case, remove=Marginal(frame[:20]))
    assert_allclose(result.residual, 0.0, atol=1e-12)
    assert result.part_texts[0] == (str(DATA["age"][0]), f"{DATA['income'][0]:.6g}", DATA["purpose"][0])


def test_a_pandas_and_a_polars_frame_give_the_same_shapley_values() -> None:
    values = []
    for make in FRAMES.values():
        frame = make(DATA)
        case = assay.case(assay.wrap(pipeline(frame)), frame[:5], label="yes")
        values.append(explain.shapley(case, remove=Marginal(frame[:20])).values)
    assert_array_equal(values[0], values[1])


@pytest.mark.parametrize("fit_on", ["frame", "array"])
@pytest.mark.parametrize("ask_with", ["frame", "array"])
def test_frames_and_arrays_may_be_mixed_without_warnings(fit_on: str, ask_with: str) -> None:
    forms = {"frame": pd.DataFrame(X, columns=list("abc")), "array": X}
    estimator = RandomForestClassifier(5, random_state=0).fit(forms[fit_on], Y)
    case = assay.case(assay.wrap(estimator), forms[ask_with])
    assert_array_equal(case.prediction, estimator.predict_proba(forms[fit_on]))


def test_classifiers_give_probabilities_and_name_their_classes() -> None:
    model = assay.wrap(RandomForestClassifier(5, random_state=0).fit(X, np.array(["a", "b", "c"])[Y]))
    assert (model.gives, model.classes) == ("probabilities", ("a", "b", "c"))


def test_regressors_give_values() -> None:
    estimator = LinearRegression().fit(X, X @ [1.0, 2.0, 3.0] + 4)
    case = assay.case(assay.wrap(estimator), X[:3])
    assert case.model.gives == "values"
    assert case.target.name == "value"
    assert_allclose(explain.shapley(case, remove=assay.Constant(0.0)).values, X[:3] * [1, 2, 3], atol=1e-9)


@pytest.mark.parametrize(
    "estimator",
    [
        GradientBoostingClassifier(n_estimators=5, random_state=0),
        HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5),
        SVC(),
    ],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.parametrize("classes", [2, 3])
def test_boosted_trees_and_support_vectors_give_their_raw_scores(estimator: Any, classes: int) -> None:
    y = np.minimum(Y, classes - 1)
    case = assay.case(assay.wrap(estimator.fit(X, y)), X, label="predicted")
    assert case.target.name == "margin"
    raw = estimator.decision_function(X).reshape(ROWS, -1)
    signed = np.hstack([-raw, raw]) if classes == 2 else raw
    assert_array_equal(case.label, signed.argmax(axis=1))
    assert_allclose(case.output, signed.max(axis=1))


def test_a_boosted_pipeline_gives_its_raw_score() -> None:
    frame = pd.DataFrame(DATA)
    fitted = pipeline(frame, GradientBoostingClassifier(n_estimators=5, random_state=0))
    case = assay.case(assay.wrap(fitted), frame[:4], label="yes")
    assert case.target.name == "margin"
    assert_allclose(case.output, fitted.decision_function(frame[:4]))


def test_the_caller_may_choose_the_scores() -> None:
    estimator = LogisticRegression().fit(X, Y > 0)
    chosen = assay.case(assay.wrap(estimator, output="margin"), X, label=1)
    assert_allclose(chosen.output, estimator.decision_function(X))
    boosted = GradientBoostingClassifier(n_estimators=3).fit(X, Y)
    assert assay.wrap(boosted, output="probabilities").default_target == "probability"


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (KMeans(2, n_init=1, random_state=0).fit(X), CapabilityError, "KMeans is neither a classifier, a regressor"),
        (StandardScaler().fit(X), CapabilityError, "StandardScaler is neither"),
        (SVC(decision_function_shape="ovo").fit(X, Y), CapabilityError, "decision_function_shape='ovr'"),
        (LogisticRegression(), InputError, "LogisticRegression is not fitted yet"),
    ],
    ids=lambda thing: "" if isinstance(thing, str) else str(thing),
)
def test_an_estimator_that_answers_no_such_question_is_refused(
    estimator: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        assay.wrap(estimator)


def test_scores_that_do_not_exist_are_refused() -> None:
    with pytest.raises(InputError, match="a classifier gives 'probabilities', 'margin' or 'decisions'"):
        assay.wrap(LogisticRegression().fit(X, Y), output="logits")
    with pytest.raises(InputError, match="a regressor gives 'values'"):
        assay.wrap(LinearRegression().fit(X, Y), output="margin")
    with pytest.raises(CapabilityError, match="no method that gives margin"):
        assay.wrap(RandomForestClassifier(2).fit(X, Y), output="margin")


def test_too_few_class_names_are_refused() -> None:
    with pytest.raises(InputError, match="2 class names for 3 classes"):
        assay.wrap(LogisticRegression().fit(X, Y), classes=["a", "b"])


def test_the_mark_follows_the_fit() -> None:
    marks = [assay.wrap(RandomForestClassifier(3, random_state=root).fit(X, Y)).fingerprint for root in (0, 0, 1)]
    assert marks[0] == marks[1] != marks[2]
    estimator = LogisticRegression().fit(X, Y)
    assert assay.wrap(estimator).fingerprint != assay.wrap(estimator, output="margin").fingerprint


def reader_of_columns(kind: str) -> Any:
    """An estimator whose ``predict`` takes frames with further columns, and one of which does not."""
    if kind == "catboost":
        return CatBoostClassifier(iterations=3, verbose=0, allow_writing_files=False)
    if kind == "column transformer":
        return make_pipeline(make_column_transformer((StandardScaler(), ["a", "b"])), LogisticRegression())
    return {"line": LogisticRegression, "histograms": HistGradientBoostingClassifier}[kind]()


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("kind", ["catboost", "column transformer", "line", "histograms"])
def test_further_columns_are_left_out_with_a_note_where_predict_ignores_them(kind: str, library: str) -> None:
    own = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 2)), columns=["a", "b"])
    fitted = reader_of_columns(kind).fit(own, own["a"] > 0)
    wide: Any = own.assign(id=[f"r{i}" for i in range(30)], when=pd.Timestamp(2024, 1, 1))[["id", "b", "when", "a"]]
    wide = wide if library == "pandas" else pl.from_pandas(wide)
    model = assay.wrap(fitted)
    if kind in ("line", "histograms"):
        with pytest.raises(InputError, match="unexpected 'id', 'when'"):
            assay.case(model, wide)
        return
    case = assay.case(model, wide[:3])
    assert case.features.names == ("a", "b")
    assert [note.code for note in case.notes] == ["unread-columns"]
    assert_allclose(case.with_target("probability").output, fitted.predict_proba(own[:3])[:, 1], rtol=1e-9)
    narrow = assay.case(model, own[:3])
    expected = explain.shapley(narrow, remove=Marginal(own[10:])).values
    assert_allclose(explain.shapley(case, remove=Marginal(wide[10:])).values, expected, rtol=1e-12)
    with pytest.raises(InputError, match="unexpected 'other'"):
        explain.shapley(narrow, remove=Marginal(own[10:].assign(other=1)))


def test_a_function_that_reads_further_columns_is_not_asked_without_them() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    model = assay.model.function(lambda rows: rows["a"] + rows.get("b", 0), columns=["a"])
    with pytest.raises(InputError, match="unexpected 'b'"):
        assay.case(model, frame)


@pytest.mark.parametrize(
    "detector", [IsolationForest(n_estimators=5, random_state=0), OneClassSVM(), LocalOutlierFactor(novelty=True)]
)
def test_which_score_of_an_outlier_detector_is_meant_has_to_be_stated(detector):
    x = np.random.default_rng(0).normal(size=(60, 3))
    fitted = detector.fit(x)
    with pytest.raises(CapabilityError, match=r"output='decision_function'.*output='score_samples'"):
        assay.wrap(fitted)
    for score in ("decision_function", "score_samples"):
        model = assay.wrap(fitted, output=score)
        assert model.about["explained score"].startswith(score)
        assert_allclose(assay.case(model, x).output, getattr(fitted, score)(x))
    with pytest.raises(InputError, match="an outlier detector gives"):
        assay.wrap(fitted, output="probabilities")
