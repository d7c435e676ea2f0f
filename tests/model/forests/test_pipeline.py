"""Pipelines that end in trees: what stands before must make each column of one."""

from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import preprocessing as prepare
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from tests.model.forests.checks import CLASSES, FRAME, GAPS, THREE, TWO, X, wired

import assay
from assay.basics.errors import CapabilityError
from assay.model.forests.pipeline import source_columns
from assay.nouns.inputs.rows import Rows

FOREST = RandomForestClassifier(5, random_state=0)
TEXT, NUMBERS = ["purpose"], ["age", "income", "band"]


def columns(encoder: Any, **options: Any) -> ColumnTransformer:
    return ColumnTransformer([("text", encoder, TEXT), ("rest", prepare.StandardScaler(), NUMBERS)], **options)


@pytest.mark.parametrize(
    "last",
    [
        FOREST,
        GradientBoostingClassifier(n_estimators=4, random_state=0),
        HistGradientBoostingClassifier(max_iter=4, random_state=0),
        lightgbm.LGBMClassifier(n_estimators=4, n_jobs=1, verbose=-1),
        xgboost.XGBClassifier(n_estimators=4, n_jobs=1),
    ],
    ids=lambda one: type(one).__name__,
)
def test_every_kind_of_tree_is_read_behind_a_column_transformer(last: Any) -> None:
    head = columns(prepare.OneHotEncoder(sparse_output=False), remainder="drop")
    forest = wired(make_pipeline(head, last).fit(FRAME, CLASSES), FRAME, 1e-5)
    assert_array_equal(forest.origin, [2, 2, 2, 2, 2, 0, 1, 3])


@pytest.mark.parametrize(
    ("encoder", "expected"),
    [
        (prepare.OneHotEncoder(drop="first"), [2] * 4),
        (prepare.OneHotEncoder(drop="if_binary"), [2] * 5),
        (prepare.OneHotEncoder(max_categories=3), [2] * 3),
        (prepare.OneHotEncoder(max_categories=3, drop=["boat"]), [2] * 2),
        (prepare.OrdinalEncoder(), [2]),
        (make_pipeline(SimpleImputer(strategy="most_frequent"), prepare.OneHotEncoder()), [2] * 5),
        ("drop", []),
    ],
    ids=str,
)
def test_every_encoding_of_a_column_is_that_column(encoder: Any, expected: list[int]) -> None:
    if isinstance(encoder, prepare.OneHotEncoder) and encoder.drop is not None and not isinstance(encoder.drop, str):
        encoder.set_params(drop=[FRAME["purpose"].value_counts().index[0]])  # one that is not rare
    fitted = make_pipeline(columns(encoder, remainder="passthrough"), FOREST).fit(FRAME, CLASSES)
    assert_array_equal(wired(fitted, FRAME).origin, [*expected, 0, 1, 3, 4])


@pytest.mark.parametrize(
    "chosen",
    [["old", "income"], [4, 1], np.array([False, True, False, False, True]), slice("income", "income"), slice(3, 5),
     make_column_selector(dtype_include=float), "scalar"],
    ids=["names", "places", "mask", "slice of names", "slice of places", "selector", "scalar"],
)  # fmt: skip
def test_columns_may_be_chosen_in_every_way(chosen: Any) -> None:
    head = ColumnTransformer([("some", prepare.MinMaxScaler(), ["age"] if isinstance(chosen, str) else chosen)])
    fitted = make_pipeline(head, FOREST).fit(FRAME, CLASSES)
    origin = wired(fitted, FRAME).origin
    expected = head.fit(FRAME).get_feature_names_out()
    assert [FRAME.columns[i] for i in origin] == [name.partition("__")[2] for name in expected]


@pytest.mark.parametrize(
    "steps",
    [
        (prepare.StandardScaler(), prepare.MinMaxScaler()),
        (prepare.RobustScaler(), "passthrough"),
        (prepare.FunctionTransformer(),),
        (SelectKBest(k=2),),
    ],
    ids=str,
)
def test_steps_column_by_column_are_followed(steps: Any) -> None:
    fitted = make_pipeline(*steps, FOREST).fit(X, THREE)
    forest = wired(fitted, X)
    selected = steps[0].get_support() if isinstance(steps[0], SelectKBest) else np.full(5, True)
    assert_array_equal(forest.origin, np.flatnonzero(selected))


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values")
@pytest.mark.parametrize("keep", [True, False])
def test_an_imputers_missing_indicators_come_from_the_column_that_had_them(keep: bool) -> None:
    x = GAPS.copy()
    x[:, 1], x[:, 4] = np.nan, X[:, 4]
    imputer = SimpleImputer(add_indicator=True, keep_empty_features=keep)
    fitted = make_pipeline(imputer, FOREST).fit(x, THREE)
    expected = [0, 1, 2, 3, 4, 0, 1, 2, 3] if keep else [0, 2, 3, 4, 0, 1, 2, 3]
    assert_array_equal(source_columns(fitted[0], np.arange(5)), expected)
    parsed = assay.wrap(fitted).forest
    assert parsed is not None
    forest, rows = parsed(), Rows(x, tuple(map(str, range(len(x)))))
    assert_array_equal(forest.origin, expected)
    assert_allclose(forest.outputs(forest.matrix(rows)), fitted.predict_proba(x), atol=1e-12)


def test_frames_handed_on_within_the_pipeline_are_read() -> None:
    head = columns(prepare.OneHotEncoder(sparse_output=False)).set_output(transform="pandas")
    last = lightgbm.LGBMClassifier(n_estimators=4, n_jobs=1, verbose=-1)
    wired(make_pipeline(head, last).fit(FRAME, CLASSES), FRAME)


def test_a_sparse_matrix_before_xgboost_leaves_zeros_out() -> None:
    frame = pd.DataFrame({"a": FRAME["purpose"], "b": FRAME["band"].astype(str)})
    last = xgboost.XGBClassifier(n_estimators=4, n_jobs=1)
    wired(make_pipeline(prepare.OneHotEncoder(), last).fit(frame, CLASSES), frame, 1e-5)


@pytest.mark.parametrize(
    ("step", "named"),
    [
        (PCA(2), "PCA"),
        (prepare.PolynomialFeatures(2), "PolynomialFeatures"),
        (prepare.Normalizer(), "Normalizer"),
        (prepare.FunctionTransformer(lambda x: x[:, ::-1]), "FunctionTransformer"),
        (prepare.FunctionTransformer(np.cumsum, kw_args={"axis": 1}), "FunctionTransformer"),
        (prepare.FunctionTransformer(np.add.accumulate), "FunctionTransformer"),
        (FeatureUnion([("one", prepare.StandardScaler()), ("two", PCA(1))]), "PCA"),
        (KNNImputer(), "KNNImputer"),
        (make_pipeline(prepare.StandardScaler(), PCA(2)), "PCA"),
        (ColumnTransformer([("some", PCA(1), [0, 1])]), "PCA"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_step_that_mixes_columns_is_refused(step: Any, named: str) -> None:
    model = assay.wrap(make_pipeline(step, FOREST).fit(X, TWO))
    assert model.forest is not None
    with pytest.raises(CapabilityError, match=f"its step {named} may combine several columns into one"):
        model.forest()


def test_a_pipeline_without_trees_shows_none() -> None:
    assert assay.wrap(make_pipeline(prepare.StandardScaler(), LogisticRegression()).fit(X, TWO)).forest is None
