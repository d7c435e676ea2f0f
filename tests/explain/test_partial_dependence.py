"""Partial dependence."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.contract.subjects import loan_pipeline

import assay
from assay import examples, explain
from assay.basics.errors import InputError
from assay.cases.removals import Marginal
from assay.model.adapters.function import function
from assay.nouns.inputs.features import groups

GENERATOR = np.random.default_rng(6)
X, OTHERS = GENERATOR.normal(size=(5, 3)), GENERATOR.normal(size=(60, 3))


def additive(x):
    return np.sin(x[:, 0]) + x[:, 1] ** 3 - 2 * x[:, 2] + 1


def test_on_a_linear_model_the_curves_slope_is_the_coefficient() -> None:
    result = explain.partial_dependence(examples.linear((2.0, -1.0, 0.5), x=X), background=OTHERS)
    slope = np.diff(result.extra["curve"][0]) / np.diff(result.extra["grid"])
    assert_allclose(slope, np.repeat([[2.0], [-1.0], [0.5]], 19, axis=1), atol=1e-9)
    assert_allclose(result.values, np.array([2.0, -1.0, 0.5]) * (X - OTHERS.mean(axis=0)), atol=1e-12)


def test_on_an_additive_model_it_is_the_shapley_value_without_residual() -> None:
    case = assay.case(function(additive, fingerprint="additive"), X)
    result = explain.partial_dependence(case, background=OTHERS)
    assert_allclose(result.values, explain.shapley(case, remove=Marginal(OTHERS)).values, atol=1e-12)
    assert_allclose(result.residual, 0.0, atol=1e-12)


def test_a_curve_is_the_mean_of_other_rows_set_to_the_point() -> None:
    case = assay.case(function(lambda x: x[:, 0] * x[:, 1] + x[:, 2], fingerprint="product"), X)
    result = explain.partial_dependence(case, background=OTHERS, points=7)
    for place, point in enumerate(result.extra["grid"][1]):
        line = OTHERS[:, 0] * point + OTHERS[:, 2]
        assert_allclose(result.extra["curve"][0, 1, place], line.mean())
        assert_allclose(result.extra["stderr"][0, 1, place], line.std(ddof=1) / np.sqrt(60))
    assert set(result.extra["grid"][1]) <= set(OTHERS[:, 1])


def test_a_pair_of_a_product_has_the_interaction() -> None:
    """PD_ij − PD_i − PD_j + base of x₀x₁ is (x₀ − mean)(x₁ − mean) where background columns are uncorrelated."""
    grid = np.array([[a, b, 1.0] for a in (-1.0, 0.0, 4.0) for b in (2.0, 5.0)])
    case = assay.case(function(lambda x: x[:, 0] * x[:, 1] + x[:, 2], fingerprint="product"), X, names=["a", "b", "c"])
    result = explain.partial_dependence(case, background=grid, pairs=[("a", "b"), ("c", "a")])
    assert_allclose(result.extra["joint"], np.stack([(X[:, 0] - 1) * (X[:, 1] - 3.5), np.zeros(5)], axis=1), atol=1e-12)
    surface = result.extra["pair_curve"]
    assert surface.shape == (1, 2, 3, 3)
    assert_allclose(surface[0, 0, :, :2], np.outer([-1.0, 0.0, 4.0], [2.0, 5.0]) + 1.0)
    assert np.isnan(surface[0, 0, :, 2]).all()


def test_scikit_learn_draws_the_same_curve() -> None:
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import partial_dependence

    forest = RandomForestRegressor(10, random_state=0).fit(OTHERS, additive(OTHERS) + OTHERS[:, 0] * OTHERS[:, 1])
    result = explain.partial_dependence(assay.case(assay.wrap(forest), X), background=OTHERS)
    for column in range(3):
        points = result.extra["grid"][column]
        theirs = partial_dependence(forest, OTHERS, [column], method="brute", custom_values={column: points})
        assert_allclose(result.extra["curve"][0, column], theirs["average"][0], atol=1e-12)


def test_levels_are_points_and_are_described() -> None:
    frame, pipeline = loan_pipeline()
    case = assay.case(assay.wrap(pipeline), frame.iloc[:3], label=1)
    result = explain.partial_dependence(case, background=frame.iloc[20:50])
    place = list(frame.columns).index("purpose")
    means = []
    for level in ("car", "house", "study"):
        means.append(pipeline.predict_proba(frame.iloc[20:50].assign(purpose=level))[:, 1].mean())
    curve = result.extra["curve"][0, place]
    assert_allclose(sorted(curve[:3]), sorted(means))
    assert np.isnan(curve[3:]).all()
    codes = dict(part.split(" = ") for part in result.description[0].removeprefix("purpose: ").split(", "))
    assert [codes[f"{code:g}"] for code in result.extra["grid"][place, :3]] == [
        ("car", "house", "study")[int(np.argmin(np.abs(np.array(means) - height)))] for height in curve[:3]
    ]


def test_with_more_levels_than_points_the_rarest_are_omitted_with_a_note() -> None:
    frame, pipeline = loan_pipeline()
    case = assay.case(assay.wrap(pipeline), frame.iloc[:3], label=1)
    result = explain.partial_dependence(case, background=frame.iloc[20:50], points=2)
    assert [note.code for note in result.notes] == ["levels"]
    rarest = frame.iloc[20:50]["purpose"].value_counts().index[-1]
    assert rarest not in result.description[0]


def test_a_group_takes_rows_of_the_background_jointly() -> None:
    cut = groups({"both": ["a", "b"]}, ["a", "b", "c"])
    case = assay.case(function(lambda x: x[:, 0] * x[:, 1] + x[:, 2], fingerprint="product"), X, features=cut)
    result = explain.partial_dependence(case, background=OTHERS, points=4)
    assert_array_equal(result.extra["grid"][0], [0, 20, 39, 59])
    rows = OTHERS[[0, 20, 39, 59]]
    assert_allclose(result.extra["curve"][0, 0], rows[:, 0] * rows[:, 1] + OTHERS[:, 2].mean())
    assert_allclose(result.values[:, 0], X[:, 0] * X[:, 1] - (OTHERS[:, 0] * OTHERS[:, 1]).mean(), atol=1e-12)


def test_each_label_has_its_own_curve() -> None:
    frame, pipeline = loan_pipeline()
    case = assay.case(assay.wrap(pipeline), frame.iloc[:3], label=[1, 0, 1])
    result = explain.partial_dependence(case, background=frame.iloc[20:50])
    assert_array_equal(result.extra["label"], [0.0, 1.0])
    assert_allclose(
        result.extra["curve"][0] + result.extra["curve"][1], np.where(np.isnan(result.extra["grid"]), np.nan, 1)
    )


@pytest.mark.parametrize("pair", [("a", "z"), ("a", "a")])
def test_invalid_pairs_are_refused(pair: tuple[str, ...]) -> None:
    case = assay.case(function(additive, fingerprint="additive"), X, names=["a", "b", "c"])
    with pytest.raises(InputError, match="a pair is two different features"):
        explain.partial_dependence(case, background=OTHERS, pairs=[pair])


def test_frames_of_whole_numbers_stay_whole() -> None:
    frame = pd.DataFrame({"n": [1, 2, 3, 7], "x": [0.5, 0.1, 0.9, 0.4]})
    seen = []

    def f(rows: pd.DataFrame) -> np.ndarray:
        seen.append(str(rows["n"].dtype))
        return rows["n"].to_numpy() * rows["x"].to_numpy()

    case = assay.case(function(f, fingerprint="whole", columns=["n", "x"]), frame)
    result = explain.partial_dependence(case, background=frame, points=3)
    assert set(seen) == {"int64"}
    assert_allclose(result.extra["curve"][0, 0], result.extra["grid"][0] * frame["x"].mean())
