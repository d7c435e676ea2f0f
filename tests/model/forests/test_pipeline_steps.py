"""Tree Shapley values through every step that keeps columns apart: those of the pipeline's own prediction."""

from __future__ import annotations

import functools
import re
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import scipy.special
import xgboost
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import preprocessing as prepare
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import SelectKBest, VarianceThreshold, f_regression
from sklearn.frozen import FrozenEstimator
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from tests.model.forests.checks import CLASSES, FRAME, SCORE, TWO

import assay
from assay import explain
from assay.basics.errors import CapabilityError
from assay.model.forests.pipeline import source_columns

TEXT, NUMBERS = ["purpose"], ["age", "income", "band", "old"]
GAPS = FRAME[NUMBERS].astype(float).mask(np.random.default_rng(3).random((len(FRAME), 4)) < 0.2)
FOREST = RandomForestRegressor(6, max_depth=7, random_state=0)


class Resampler(BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """Has the methods of imbalanced-learn's resamplers, and drops every third row."""

    def fit_resample(self, x: Any, y: Any) -> Any:
        self.n_features_in_ = x.shape[1]
        chosen = np.arange(len(y)) % 3 > 0
        return x[chosen], np.asarray(y)[chosen]


class ResamplingPipeline(Pipeline):  # type: ignore[misc]  # scikit-learn is not typed
    """Resamples when it fits and only then, as imbalanced-learn's Pipeline does."""

    def _validate_steps(self) -> None:
        """Steps may be resamplers."""

    def _iter(self, with_final: bool = True, filter_passthrough: bool = True) -> Any:
        steps = super()._iter(with_final, filter_passthrough)
        return ((i, name, step) for i, name, step in steps if not hasattr(step, "fit_resample"))

    def fit(self, x: Any, y: Any) -> Any:
        for _, step in self.steps[:-1]:
            if hasattr(step, "fit_resample"):
                x, y = step.fit_resample(x, y)
            else:
                x = step.fit_transform(x, y)
        self.steps[-1][1].fit(x, y)
        return self


ResamplingPipeline.__name__ = "Pipeline"


class Relation:
    """Stands for the enumeration of category_encoders."""

    def __init__(self, name: str) -> None:
        self.name = name


class MeanCodes(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """An encoder with the attributes of those of category_encoders: one column of means for each text column."""

    encoding_relation = Relation("ONE_TO_ONE")
    mapping = None

    def fit(self, x: Any, y: Any) -> Any:
        self.feature_names_in_, self.n_features_in_ = list(x.columns), x.shape[1]
        self.means_ = {
            name: pd.Series(np.asarray(y)).groupby(x[name].to_numpy()).mean()
            for name in x.columns
            if x[name].dtype == object or str(x[name].dtype) in ("str", "category")
        }
        return self

    def transform(self, x: Any) -> Any:
        return pd.DataFrame({n: x[n].map(self.means_[n]) if n in self.means_ else x[n] for n in x.columns}).astype(
            float
        )

    def get_feature_names_out(self, _: Any = None) -> Any:
        return np.array(self.feature_names_in_)


class Levels(MeanCodes):
    """An encoder with the attributes of category_encoders' OneHotEncoder: k_1, k_2, …, listed in ``mapping``."""

    encoding_relation = Relation("ONE_TO_N_UNIQUE")

    def fit(self, x: Any, y: Any) -> Any:
        super().fit(x, y)
        self.known_ = {name: list(means.index) for name, means in self.means_.items()}
        self.mapping = [
            {"col": name, "mapping": pd.DataFrame(columns=[f"{name}_{i + 1}" for i in range(len(levels))])}
            for name, levels in self.known_.items()
        ]
        return self

    def transform(self, x: Any) -> Any:
        out = {}
        for name in x.columns:
            if name in self.known_:
                out |= {f"{name}_{i + 1}": x[name] == level for i, level in enumerate(self.known_[name])}
            else:
                out[name] = x[name]
        return pd.DataFrame(out).astype(float)

    def get_feature_names_out(self, _: Any = None) -> Any:
        return self.transform(pd.DataFrame(columns=self.feature_names_in_)).columns.to_numpy()


class Hashed(MeanCodes):
    """An encoder that mixes all columns."""

    encoding_relation = Relation("N_TO_M")


for one in (MeanCodes, Levels, Hashed):
    one.__module__ = "category_encoders.made_up"


def by_text(encoder: Any, **options: Any) -> ColumnTransformer:
    return ColumnTransformer([("text", encoder, TEXT)], remainder="passthrough", **options)


def on_numbers(step: Any) -> Pipeline:
    return make_pipeline(ColumnTransformer([("numbers", prepare.StandardScaler(), NUMBERS)]), step)


def agrees(fitted: Any, frame: Any, tolerance: float = 1e-9, **options: Any) -> Any:
    """Values with a background are those of all coalitions of the pipeline's prediction; the others add up to it."""
    case = assay.case(assay.wrap(fitted), frame[:4], **options)
    background = frame[20:32]
    found = explain.tree_shapley(case, background=background)
    exact = explain.shapley(case, remove=assay.Marginal(background))
    assert_allclose(found.values, exact.values, atol=tolerance)
    assert_allclose(found.base, exact.base, atol=tolerance)
    assert np.abs(found.values).max() > 1e-3
    assert case.model.forest is not None
    assert_allclose(explain.tree_shapley(case).residual, 0.0, atol=tolerance)
    return case.model.forest()


STEPS: dict[str, Any] = {
    "target codes of two classes": (by_text(prepare.TargetEncoder()), TWO),
    "target codes of values": (by_text(prepare.TargetEncoder()), SCORE),
    "target codes of all columns": (prepare.TargetEncoder(), SCORE),
    "ordinal codes": (by_text(prepare.OrdinalEncoder()), SCORE),
    "ordinal codes with strangers": (
        by_text(prepare.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, min_frequency=40)),
        SCORE,
    ),
    "one-hot codes": (by_text(prepare.OneHotEncoder()), SCORE),
    "one-hot codes of every column": (prepare.OneHotEncoder(max_categories=6, handle_unknown="ignore"), SCORE),
    "imputed text": (by_text(make_pipeline(SimpleImputer(strategy="most_frequent"), prepare.OrdinalEncoder())), SCORE),
    "bins": (on_numbers(prepare.KBinsDiscretizer(4, encode="ordinal", quantile_method="linear")), SCORE),
    "one-hot bins": (on_numbers(prepare.KBinsDiscretizer([2, 3, 4, 2], quantile_method="linear")), SCORE),
    "splines": (on_numbers(prepare.SplineTransformer(3, include_bias=False)), SCORE),
    "sparse splines": (on_numbers(prepare.SplineTransformer(4, degree=2, sparse_output=True)), SCORE),
    "scalers": (
        make_column_transformer(
            (prepare.StandardScaler(), ["age"]),
            (prepare.RobustScaler(), ["band"]),
            (prepare.QuantileTransformer(n_quantiles=20), ["income"]),
            (prepare.PowerTransformer(), ["age", "band"]),
            ("drop", ["purpose"]),
            remainder="passthrough",
        ),
        SCORE,
    ),
    "a ufunc": (on_numbers(prepare.FunctionTransformer(np.arctan)), SCORE),
    "an option": (on_numbers(prepare.FunctionTransformer(np.clip, kw_args={"a_min": -1, "a_max": 0.5})), SCORE),
    "a partial function": (on_numbers(prepare.FunctionTransformer(functools.partial(np.round, decimals=1))), SCORE),
    "any function of one column": (
        make_column_transformer(
            (prepare.FunctionTransformer(lambda x: np.column_stack([x, np.sin(x), x > 0])), ["income"]),
            (CountVectorizer(analyzer="char"), "purpose"),
            (PCA(1), ["age"]),
            remainder="passthrough",
        ),
        SCORE,
    ),
    "a union": (
        on_numbers(FeatureUnion([("a", prepare.StandardScaler()), ("b", VarianceThreshold()), ("c", "drop")])),
        SCORE,
    ),
    "a frozen step": (by_text(FrozenEstimator(prepare.OrdinalEncoder().fit(FRAME[TEXT]))), SCORE),
    "nested": (
        make_pipeline(
            by_text(prepare.OrdinalEncoder(), verbose_feature_names_out=False).set_output(transform="pandas"),
            make_column_transformer(
                (make_pipeline(prepare.StandardScaler(), prepare.Binarizer()), ["income", "age"]),
                (make_column_transformer((prepare.MinMaxScaler(), [1]), remainder="passthrough"), ["purpose", "band"]),
            ),
            "passthrough",
            SelectKBest(f_regression, k=3),
        ),
        SCORE,
    ),
    "category_encoders, one to one": (MeanCodes(), SCORE),
    "category_encoders, one to many": (Levels(), SCORE),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Bins whose width are too small")
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("name", STEPS)
def test_values_are_those_of_the_pipelines_prediction(name: str) -> None:
    head, y = STEPS[name]
    last = RandomForestClassifier(6, random_state=0) if y is TWO else FOREST
    agrees(make_pipeline(head, last).fit(FRAME, y), FRAME)


@pytest.mark.parametrize("name", ["one-hot codes", "target codes of values", "nested"])
@pytest.mark.parametrize("library", ["lightgbm", "xgboost", "histogram"])
def test_every_library_is_read_behind_steps(name: str, library: str) -> None:
    last, tolerance = {
        "lightgbm": (lightgbm.LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1), 1e-9),
        "xgboost": (xgboost.XGBClassifier(n_estimators=5, max_depth=4, n_jobs=1), 1e-5),
        "histogram": (HistGradientBoostingClassifier(max_iter=5, random_state=0), 1e-9),
    }[library]
    head = STEPS[name][0]
    if name == "one-hot codes":
        head = by_text(prepare.OneHotEncoder(sparse_output=False))
    agrees(make_pipeline(head, last).fit(FRAME, CLASSES), FRAME, tolerance, label=1)


@pytest.mark.parametrize(
    "imputer",
    [
        SimpleImputer(),
        SimpleImputer(strategy="median", add_indicator=True),
        make_pipeline(prepare.StandardScaler(), SimpleImputer(strategy="constant", fill_value=-1.0)),
        FeatureUnion([("filled", SimpleImputer()), ("gap", MissingIndicator(features="all"))]),
        make_column_transformer((KNNImputer(), ["age"]), (SimpleImputer(), ["income", "band", "old"])),
    ],
    ids=lambda value: re.sub(r" at 0x\w+", "", str(value)),
)
def test_imputed_gaps_are_followed(imputer: Any) -> None:
    agrees(make_pipeline(imputer, FOREST).fit(GAPS, SCORE), GAPS)


def test_target_codes_of_several_classes_are_several_columns_of_one() -> None:
    fitted = make_pipeline(by_text(prepare.TargetEncoder()), RandomForestClassifier(6, random_state=0))
    forest = agrees(fitted.fit(FRAME, CLASSES), FRAME, label=1)
    assert_array_equal(forest.origin, [2, 2, 2, 0, 1, 3, 4])


def test_target_codes_of_several_classes_stand_next_to_each_other() -> None:
    head = make_column_transformer((prepare.TargetEncoder(), ["purpose", "band"]), ("passthrough", ["income"]))
    fitted = make_pipeline(head, RandomForestClassifier(6, random_state=0)).fit(FRAME, CLASSES)
    assert_array_equal(agrees(fitted, FRAME, label=1).origin, [2, 2, 2, 3, 3, 3, 1])


@pytest.mark.parametrize(
    ("func", "options", "known"),
    [
        (np.exp, None, True),
        (scipy.special.expit, {}, True),
        (np.clip, {"a_min": 0.0, "a_max": [1.0, 2.0]}, True),
        (np.nan_to_num, {"nan": -1.0}, True),
        (functools.partial(np.round, decimals=2), None, True),
        (functools.partial(np.clip, a_min=0.0), {"a_max": 1.0}, True),
        (np.exp, {"where": [True, False]}, False),
        (np.clip, {"a_min": 0.0, "a_max": 1.0, "out": np.zeros(2)}, False),
        (functools.partial(np.power, 2), None, False),
        (np.add, None, False),  # of two arguments
        (np.modf, None, False),  # gives two arrays
        (np.matmul, None, False),
        (np.sort, None, False),
        (np.exp.__call__, None, False),
    ],
    ids=lambda value: re.sub(r" at 0x\w+", "", str(value)),
)
def test_functions_that_map_each_number_by_itself_are_known(func: Any, options: Any, known: bool) -> None:
    step = prepare.FunctionTransformer(func, kw_args=options)
    if known:
        assert_array_equal(source_columns(step, np.array([4, 2]), 2), [4, 2])
    else:
        with pytest.raises(CapabilityError, match="or use a function of numpy"):
            source_columns(step, np.array([4, 2]), 2)


def test_two_levels_of_one_column_exclude_each_other() -> None:
    """The path a ∧ b of two one-hot codes of one column is reached by no row: its leaf has no effect on any value."""
    x = pd.DataFrame({"k": list("abc") * 40, "a": np.tile(np.arange(4.0), 30)})
    fitted = make_pipeline(make_column_transformer((prepare.OneHotEncoder(), ["k"]), remainder="passthrough"), FOREST)
    fitted.fit(x, (x["k"] == "a") * x["a"] + 2.0 * (x["k"] == "b"))
    assert_array_equal(agrees(fitted, x).origin, [0, 0, 0, 1])


@pytest.mark.parametrize("resampled", ["first", "between"])
def test_resamplers_do_nothing_when_the_pipeline_predicts(resampled: str) -> None:
    steps = [("scale", prepare.StandardScaler()), ("last", RandomForestClassifier(6, random_state=0))]
    steps.insert(0 if resampled == "first" else 1, ("resample", Resampler()))
    x = FRAME[NUMBERS].astype(float)
    fitted = ResamplingPipeline(steps).fit(x.to_numpy(), TWO)
    agrees(fitted, x.to_numpy())


@pytest.mark.parametrize("wrapper", ["search", "threshold", "pipeline in a pipeline", "search in a pipeline"])
def test_the_estimator_that_predicts_is_found_inside(wrapper: str) -> None:
    inner = make_pipeline(by_text(prepare.OrdinalEncoder()), RandomForestClassifier(6, random_state=0))
    search = {"randomforestclassifier__max_depth": [3]}
    estimator = {
        "search": lambda: GridSearchCV(inner, search, cv=2),
        "threshold": lambda: FixedThresholdClassifier(inner, threshold=0.3),
        "pipeline in a pipeline": lambda: make_pipeline("passthrough", inner),
        "search in a pipeline": lambda: make_pipeline("passthrough", GridSearchCV(inner, search, cv=2)),
    }[wrapper]()
    agrees(estimator.fit(FRAME, TWO), FRAME, label=1)


def test_columns_may_come_in_another_order() -> None:
    fitted = make_pipeline(by_text(prepare.TargetEncoder()), FOREST).fit(FRAME, SCORE)
    turned = FRAME[FRAME.columns[::-1]]
    one, other = (
        explain.tree_shapley(assay.case(assay.wrap(fitted), frame[:4]), background=frame[20:30])
        for frame in (FRAME, turned)
    )
    assert_allclose(one.values, other.values, atol=1e-12)


def test_categories_reach_lightgbm_with_the_codes_of_training() -> None:
    """A frame with the same levels in another order: the library compares the levels, not the frame's codes."""
    frame = FRAME.assign(purpose=FRAME["purpose"].astype("category"))
    last = lightgbm.LGBMRegressor(n_estimators=5, n_jobs=1, verbose=-1, min_data_per_group=1, cat_smooth=1)
    fitted = make_pipeline(prepare.FunctionTransformer(), last).fit(frame, 9.0 * FRAME["purpose"].isin(["car", "zoo"]))
    turned = frame.assign(purpose=frame["purpose"].cat.reorder_categories(list(frame["purpose"].cat.categories[::-1])))
    assert (agrees(fitted, turned).levels >= 0).any()


@pytest.mark.parametrize(
    ("step", "count", "expected"),
    [
        ("passthrough", None, [5, 6]),
        (None, None, [5, 6]),
        (Resampler(), None, [5, 6]),
        (prepare.FunctionTransformer(np.vectorize(abs)), None, None),
        (Hashed(), None, None),
        (PCA(1), 1, None),
    ],
    ids=lambda value: re.sub(r" at 0x\w+", "", str(value)),
)
def test_columns_of_single_steps(step: Any, count: Any, expected: Any) -> None:
    if isinstance(step, Hashed):
        step.fit(FRAME[["purpose", "age"]], SCORE)
    if expected is None:
        with pytest.raises(CapabilityError, match="may combine several columns"):
            source_columns(step, np.array([5, 6]), count)
    else:
        assert_array_equal(source_columns(step, np.array([5, 6]), count), expected)
    if isinstance(step, PCA):  # of one column it is a function of that column
        assert_array_equal(source_columns(step, np.array([7, 7]), 2), [7, 7])
