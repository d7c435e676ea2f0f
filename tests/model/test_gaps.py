"""Estimators on rows with gaps, in every type of column that their own ``predict`` takes: the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from xgboost import XGBClassifier

import assay
from assay import explain
from assay.basics.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore")

N, TRAIN = 200, 160
DRAW = np.random.default_rng(0)
NUM, COUNT = DRAW.normal(size=N), DRAW.integers(0, 9, N)
JOB, FLAG = DRAW.choice(["u", "v", "w"], N), DRAW.random(N) > 0.5
Y = ((NUM > 0) ^ (JOB == "u")).astype(int)
GAPS = {name: DRAW.random(N) < 0.15 for name in ("num", "count", "job", "flag")}


def values(name: str, column: np.ndarray, marker: Any = None) -> list[Any]:
    """A column as a list with its gaps."""
    return [marker if gap else value for gap, value in zip(GAPS[name], column.tolist())]


def pandas_frame(
    job: Any, flag: Any, *, marker: Any = None, numbers: str = "float64", counts: str = "float64"
) -> pd.DataFrame:
    """The table with these types of text and flag; numbers are missing as the type has it."""
    flags = FLAG.tolist() if flag in ("bool", "int64") else values("flag", FLAG, marker)
    return pd.DataFrame(
        {
            "num": pd.Series(values("num", NUM), dtype=numbers),
            "count": pd.Series(values("count", COUNT), dtype=counts),
            "job": pd.Series(values("job", JOB, marker), dtype=job),
            "flag": pd.Series(
                flags if flag != "float64" else [x if x is None else float(x) for x in flags], dtype=flag
            ),
        }
    )


def polars_frame(job: Any) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "num": values("num", NUM),
            "count": pl.Series(values("count", COUNT), dtype=pl.Int64),
            "job": pl.Series(values("job", JOB), dtype=job),
            "flag": values("flag", FLAG),
        }
    )


FRAMES: dict[str, Callable[[], Any]] = {
    "object, None": lambda: pandas_frame("object", "object"),
    "object, NaN": lambda: pandas_frame("object", "object", marker=np.nan),
    "str": lambda: pandas_frame("str", "bool"),
    "category, float flag": lambda: pandas_frame("category", "float64"),
    "category, whole flag": lambda: pandas_frame("category", "int64"),
    "category, bool": lambda: pandas_frame("category", "bool"),
    "category, boolean": lambda: pandas_frame("category", "boolean"),
    "category, category": lambda: pandas_frame("category", "category"),
    "nullable": lambda: pandas_frame("category", "boolean", numbers="Float64", counts="Int64"),
    "arrow": lambda: pandas_frame("category", "bool[pyarrow]", numbers="double[pyarrow]", counts="int64[pyarrow]"),
    "polars String": lambda: polars_frame(pl.String),
    "polars Categorical": lambda: polars_frame(pl.Categorical),
    "polars Enum": lambda: polars_frame(pl.Enum(["u", "v", "w"])),
}


def pipeline() -> Any:
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    encoder = OneHotEncoder(handle_unknown="ignore")
    return make_pipeline(
        make_column_transformer((numbers, ["num", "count"]), (encoder, ["job", "flag"])), LogisticRegression()
    )


MODELS: dict[str, Callable[[], Any]] = {
    "pipeline": pipeline,
    "hist": lambda: HistGradientBoostingClassifier(max_iter=6, categorical_features="from_dtype"),
    "xgboost": lambda: XGBClassifier(n_estimators=5, enable_categorical=True, n_jobs=1),
    "lightgbm": lambda: LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1),
}
CATEGORIES = {name for name in FRAMES if name.startswith("category")}
TYPED = {"nullable", "arrow", "polars Categorical", "polars Enum"}
TAKES = {
    "pipeline": set(FRAMES),
    "hist": CATEGORIES | TYPED,
    "xgboost": CATEGORIES - {"category, category"} | TYPED,
    "lightgbm": CATEGORIES | {"nullable"},
}
"""The frames that each library itself fits and predicts."""


def assert_as_the_library(
    estimator: Any, rows: Any, background: Any, taken: Any = None, taken_background: Any = None
) -> None:
    """The output, the base and the sum of the Shapley values are the library's own predictions."""
    right = estimator.predict_proba(rows if taken is None else taken)[:, 1]
    base = estimator.predict_proba(background if taken_background is None else taken_background)[:, 1].mean()
    case = assay.case(assay.wrap(estimator, output="probabilities"), rows, label=1)
    e = explain.shapley(case, remove=assay.Marginal(background))
    np.testing.assert_allclose(case.output, right, atol=1e-6)
    np.testing.assert_allclose(e.base, base, atol=1e-6)
    np.testing.assert_allclose(e.base + e.values.sum(axis=1), right, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "frame"), [(model, frame) for model in MODELS for frame in FRAMES if frame in TAKES[model]]
)
def test_rows_with_gaps_get_the_library_s_own_predictions(model: str, frame: str) -> None:
    x = FRAMES[frame]()
    try:
        estimator = MODELS[model]().fit(x[:TRAIN], Y[:TRAIN])
    except ValueError as error:
        if (model, frame) != ("xgboost", "polars Categorical"):  # which XGBoost 3.4 refuses
            raise
        pytest.skip(f"the library itself refuses such a frame: {error}"[:120])
    assert_as_the_library(estimator, x[TRAIN : TRAIN + 15], x[:15])
    if model != "pipeline":
        case = assay.case(assay.wrap(estimator), x[TRAIN : TRAIN + 15], label=1)
        np.testing.assert_allclose(explain.tree_shapley(case).residual, 0.0, atol=1e-5)


@pytest.mark.parametrize("frame", ["polars String", "polars Categorical", "polars Enum", "str", "object, None"])
@pytest.mark.parametrize("model", ["lightgbm", "catboost"])
def test_libraries_that_do_not_read_these_gaps_get_their_own_form_of_the_rows(model: str, frame: str) -> None:
    own = pandas_frame("category", "float64")
    if model == "catboost":
        own = own.assign(job=values("job", JOB, "nan"))
        estimator = CatBoostClassifier(5, cat_features=["job"], verbose=0, thread_count=1, allow_writing_files=False)
    else:
        estimator = MODELS[model]()
    estimator.fit(own[:TRAIN], Y[:TRAIN])
    x = FRAMES[frame]()
    if frame == "str":  # whose flags have no gaps
        own["flag"] = FLAG.astype(float)
    if frame == "object, None":
        x["flag"] = x["flag"].astype("boolean")
    rows, background = slice(TRAIN, TRAIN + 15), slice(0, 15)
    assert_as_the_library(estimator, x[rows], x[background], own[rows], own[background])


@pytest.mark.parametrize("gaps_in", ["rows", "background"])
@pytest.mark.parametrize("model", MODELS)
def test_gaps_may_be_in_the_rows_or_the_background_only(model: str, gaps_in: str) -> None:
    x = pandas_frame("category", "boolean")
    estimator = MODELS[model]().fit(x[:TRAIN], Y[:TRAIN])
    complete, broken = x.dropna()[:12], x[x.isna().any(axis=1)][:12]
    rows, background = (broken, complete) if gaps_in == "rows" else (complete, broken)
    assert_as_the_library(estimator, rows, background)
    flags = rows.astype({"flag": bool}) if gaps_in == "background" else rows  # a type that holds no gaps
    assert_as_the_library(estimator, flags, background)


@pytest.mark.parametrize("gaps_in", ["rows", "background"])
@pytest.mark.parametrize("convert", [np.asarray, pd.DataFrame, pl.DataFrame], ids=["array", "pandas", "polars"])
def test_a_function_takes_gaps_where_it_answers_them_with_numbers(convert: Any, gaps_in: str) -> None:
    x = np.stack([NUM, COUNT.astype(float)], axis=1)
    broken = np.where(np.stack([GAPS["num"], GAPS["count"]], axis=1), np.nan, x)
    estimator = XGBClassifier(n_estimators=4, n_jobs=1).fit(broken, Y)

    def probability(rows: Any) -> Any:
        return estimator.predict_proba(np.asarray(rows))[:, 1]

    def linear(rows: Any) -> Any:
        return np.asarray(rows) @ [1.0, 2.0]

    few = broken[np.isnan(broken).any(axis=1)][:8]
    rows, background = (few, x[:8]) if gaps_in == "rows" else (x[:8], few)
    case = assay.case(assay.wrap(probability, output="values"), convert(rows))
    e = explain.shapley(case, remove=assay.Marginal(convert(background)))
    np.testing.assert_allclose(e.base, probability(background).mean(), atol=1e-6)
    np.testing.assert_allclose(e.residual, 0.0, atol=1e-6)
    with pytest.raises(InputError, match="complete"):
        assay.case(assay.wrap(linear, output="values"), convert(rows)).game(assay.Marginal(convert(background)))


def with_levels(levels: str, background: str = "") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows and background whose column of categories has these levels in its type."""
    frame = pd.DataFrame({"job": JOB, "num": NUM})
    rows, others = frame[TRAIN : TRAIN + 6], frame[:20]
    kept = rows[rows["job"].isin(list(levels))]
    return (
        kept.assign(job=pd.Categorical(kept["job"], list(levels))),
        others.assign(job=pd.Categorical(others["job"], list(background or levels))),
    )


LEVELS = {
    "unused ones last": ("uvwxyz", ""),
    "unused ones first": ("abuvw", ""),
    "another order": ("wvu", ""),
    "another order in the background": ("uvw", "wuv"),
    "fewer in the rows": ("uw", "uvw"),
    "fewer in the background": ("uvw", "uvw"),
}


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("model", ["hist", "xgboost", "lightgbm", "catboost", "encoder"])
def test_levels_are_known_by_name_whatever_the_type_lists(model: str, levels: str, library: str) -> None:
    train = pd.DataFrame({"job": pd.Categorical(JOB, ["u", "v", "w"]), "num": NUM})
    makers: dict[str, Callable[[], Any]] = {
        **MODELS,
        "catboost": lambda: CatBoostClassifier(
            5, cat_features=["job"], verbose=0, thread_count=1, allow_writing_files=False
        ),
        "encoder": lambda: make_pipeline(
            make_column_transformer((OneHotEncoder(), ["job"]), remainder="passthrough"), LogisticRegression()
        ),
    }
    estimator = makers[model]().fit(train[:TRAIN], Y[:TRAIN])
    rows, background = with_levels(*LEVELS[levels])
    known = pd.CategoricalDtype(["u", "v", "w"])
    plain = [part.assign(job=part["job"].astype(str).astype(known)) for part in (rows, background)]
    if library == "polars":
        enums = [pl.Enum(list(part["job"].cat.categories)) for part in (rows, background)]
        rows, background = (
            pl.from_pandas(part.assign(job=part["job"].astype(str))).with_columns(pl.col("job").cast(kind))
            for part, kind in zip((rows, background), enums)
        )
    assert_as_the_library(estimator, rows, background, *plain)


def test_a_level_unseen_in_training_gets_what_the_library_predicts_or_a_typed_refusal() -> None:
    train = pd.DataFrame({"job": pd.Categorical(JOB, ["u", "v", "w"]), "num": NUM})
    rows = pd.DataFrame({"job": pd.Categorical(["new", "u"]), "num": [0.1, 0.2]})
    for model in ("hist", "lightgbm"):
        assert_as_the_library(MODELS[model]().fit(train, Y), rows, train[:10])
    strict = make_pipeline(make_column_transformer((OrdinalEncoder(), ["job"])), LogisticRegression()).fit(train, Y)
    with pytest.raises(InputError, match=r"predict does not take these rows \(ValueError: Found unknown categories"):
        assay.case(assay.wrap(strict), rows, label="predicted")
    late = rows.assign(job=pd.Categorical(["z", "u"]))
    with pytest.raises(InputError, match="Found a category not in the training set"):
        assay.case(assay.wrap(MODELS["xgboost"]().fit(train, Y)), late, label="predicted")


@pytest.mark.parametrize("marker", [None, np.nan])
def test_an_encoder_that_tells_none_from_nan_gets_the_marker_that_was_given(marker: Any) -> None:
    """OneHotEncoder makes a category of each; a gap given in the other form is unknown to it."""
    x = pd.DataFrame({"job": pd.Series(values("job", JOB, marker), dtype=object)})
    estimator = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(x, Y)
    assert_as_the_library(estimator, x[:30], x[30:60])


def test_a_step_that_reads_null_and_not_nan_gets_null() -> None:
    def fill(frame: Any) -> Any:
        return frame.fill_null(5.0).fill_nan(-5.0)

    x = pl.DataFrame({"num": [None, float("nan"), *NUM[2:]]}, strict=False)
    estimator = make_pipeline(FunctionTransformer(fill), LogisticRegression()).fit(x, Y)
    assert_as_the_library(estimator, x[:6], x[:20])
    right = estimator.predict_proba(x[:2])[:, 1]
    assert abs(right[0] - right[1]) > 0.1


@pytest.mark.parametrize("kind", ["object", "text"])
def test_a_matrix_of_texts_goes_to_an_estimator_that_takes_it(kind: str) -> None:
    columns = [JOB.tolist(), values("job", JOB[::-1]) if kind == "object" else JOB[::-1].tolist(), COUNT.tolist()]
    x = np.array(list(zip(*columns)), dtype=object if kind == "object" else str)
    estimator = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(x, Y)
    case = assay.case(assay.wrap(estimator), x[:8], label=1)
    e = explain.shapley(case, remove=assay.Marginal(x[8:20]))
    np.testing.assert_allclose(case.output, estimator.predict_proba(x[:8])[:, 1], atol=1e-12)
    np.testing.assert_allclose(e.base, estimator.predict_proba(x[8:20])[:, 1].mean(), atol=1e-12)


def test_the_index_names_the_rows_where_it_is_unique() -> None:
    x = pandas_frame("category", "bool")
    estimator = MODELS["hist"]().fit(x, Y)
    model = assay.wrap(estimator)
    assert assay.case(model, x[TRAIN : TRAIN + 2]).rows.ids == (str(TRAIN), str(TRAIN + 1))
    named = x[:2].set_axis(["first", "second"])
    assert assay.case(model, named).rows.ids == ("first", "second")
    assert assay.case(model, x[:2].set_axis([7, 7])).rows.ids == ("0", "1")
    frame = explain.shapley(assay.case(model, named, label=1), remove=assay.Marginal(x[5:9])).to_frame()
    assert list(frame.columns) == ["row", "part", "cell", "class", "value", "stderr"]
    assert frame["row"].tolist() == ["first"] * 4 + ["second"] * 4
    shown = frame.pivot(index="row", columns="part", values="cell")
    assert [shown.loc["first", name] == "missing" for name in ("num", "count", "job")] == [
        bool(GAPS[name][0]) for name in ("num", "count", "job")
    ]


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_the_frame_of_an_explanation_shows_missing_cells(backend: str) -> None:
    x = pandas_frame("category", "boolean") if backend == "pandas" else polars_frame(pl.Enum(["u", "v", "w"]))
    estimator = MODELS["hist"]().fit(x[:TRAIN], Y[:TRAIN])
    case = assay.case(assay.wrap(estimator), x[:40], label=1, ids=range(40))
    frame = explain.shapley(case, remove=assay.Marginal(x[100:110])).to_frame()
    cells = np.array(list(frame["cell"])).reshape(40, 4)
    gaps = np.stack([GAPS[name][:40] for name in ("num", "count", "job", "flag")], axis=1)
    np.testing.assert_array_equal(cells == "missing", gaps)
