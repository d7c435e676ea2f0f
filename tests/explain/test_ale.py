"""Accumulated local effects."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import assay
from assay import examples, explain
from assay.basics.errors import CapabilityError, InputError
from assay.cases.removals import Marginal
from assay.model.adapters.function import function
from assay.nouns.inputs.features import groups

GENERATOR = np.random.default_rng(6)
OTHERS = GENERATOR.normal(size=(200, 3))
X = OTHERS[:5] * 0.9


def test_on_a_linear_model_the_slope_is_the_coefficient_and_values_those_of_shapley() -> None:
    case = examples.linear((2.0, -1.0, 0.5), x=X)
    result = explain.ale(case, background=OTHERS)
    slope = np.diff(result.extra["curve"][0]) / np.diff(result.extra["grid"])
    assert_allclose(slope, np.repeat([[2.0], [-1.0], [0.5]], 20, axis=1), atol=1e-9)
    assert_allclose(result.values, explain.shapley(case, remove=Marginal(OTHERS)).values, atol=1e-12)
    assert_allclose(result.residual, 0.0, atol=1e-12)
    assert_allclose(result.extra["stderr"], 0.0, atol=1e-7)


def literal(f, x: np.ndarray, column: int, edges: np.ndarray) -> np.ndarray:
    """The sum of mean local effects, one row at a time; centred by the mean over rows of the interpolated curve."""
    curve = [0.0]
    for low, high in pairwise(edges):
        effects = []
        for row in x:
            if low < row[column] <= high or (low == edges[0] == row[column]):
                up, down = row.copy(), row.copy()
                up[column], down[column] = high, low
                effects.append(float(f(up[None])[0] - f(down[None])[0]))
        curve.append(curve[-1] + np.mean(effects))
    return np.array(curve) - np.interp(x[:, column], edges, curve).mean()


def curved(x: np.ndarray) -> np.ndarray:
    return np.sin(2 * x[:, 0]) * x[:, 1] + x[:, 2] ** 2


def test_it_is_the_paper_transcribed() -> None:
    result = explain.ale(assay.case(function(curved, fingerprint="curved"), X), background=OTHERS, bins=8)
    for column in range(3):
        edges = result.extra["grid"][column]
        expected = literal(curved, OTHERS, column, edges)
        assert_allclose(result.extra["curve"][0, column], expected, atol=1e-12)
        assert_allclose(result.values[:, column], np.interp(X[:, column], edges, expected), atol=1e-12)
    assert_array_equal(result.extra["counts"].sum(axis=1), 200)


def test_with_correlated_columns_it_stays_on_the_data_and_partial_dependence_does_not() -> None:
    """f = x₀ wherever x₀ ≈ x₁, as in all the data, and far from it where they part (Apley and Zhu, section 1)."""
    line = np.linspace(0, 1, 100)
    together = np.stack([line, line], axis=1)
    model = function(lambda x: np.where(np.abs(x[:, 0] - x[:, 1]) < 0.2, x[:, 0], 50.0), fingerprint="torn")
    case = assay.case(model, together[[10, 90]])
    ours = explain.ale(case, background=together, bins=10).values[:, 0]
    assert_allclose(ours, line[[10, 90]] - 0.5, atol=1e-9)
    assert np.abs(explain.partial_dependence(case, background=together).values[:, 0]).max() > 2


def test_the_error_is_that_of_the_bins_means() -> None:
    result = explain.ale(
        assay.case(function(lambda x: x[:, 0] * x[:, 1], fingerprint="product"), X), background=OTHERS, bins=1
    )
    low, high = OTHERS[:, 0].min(), OTHERS[:, 0].max()
    effect = (high - low) * OTHERS[:, 1]
    share = ((OTHERS[:, 0] - low) / (high - low)).mean()
    error = effect.std(ddof=1) / np.sqrt(200)
    assert_allclose(result.extra["stderr"][0, 0], [share * error, (1 - share) * error])


def test_a_pair_of_a_product_is_the_product_of_distances_from_the_means() -> None:
    side = np.linspace(-1, 2, 31)
    grid = np.array([[a, b] for a in side for b in side])
    case = assay.case(
        function(lambda x: x[:, 0] * x[:, 1] + 3 * x[:, 0], fingerprint="product"), grid[[5, 400]], names=["a", "b"]
    )
    result = explain.ale(case, background=grid, bins=30, pairs=[("a", "b")])
    assert_allclose(result.extra["joint"][:, 0], np.prod(grid[[5, 400]] - 0.5, axis=1), atol=1e-9)
    surface = result.extra["pair_curve"][0, 0]
    assert_allclose(np.diff(np.diff(surface, axis=0), axis=1), 0.01, atol=1e-9)


def test_an_empty_cell_gets_the_effect_of_the_nearest_cell_in_units_of_the_bins() -> None:
    """f = a b²: the effect of a cell with b between j and j + 1 is (j + 1)² − j² = 2j + 1."""
    every = [(a, b) for a in range(4) for b in range(7)]
    background = np.array([row for row in every if row[0] < 3 or row[1] > 1], dtype=float)  # none with a = 3 and b < 2
    case = assay.case(function(lambda x: x[:, 0] * x[:, 1] ** 2, fingerprint="cubic"), background[:2], names=["a", "b"])
    result = explain.ale(case, background=background, bins=100, pairs=[("a", "b")])
    effects = np.diff(np.diff(result.extra["pair_curve"][0, 0], axis=0), axis=1)
    expected = np.tile(2.0 * np.arange(6) + 1, (3, 1))
    expected[2, 0] = 3.0  # from the cell beside it along b, a sixth of the range away; along a it is a third
    assert_allclose(effects, expected, atol=1e-9)


def test_an_additive_model_has_no_second_order_effects() -> None:
    case = assay.case(function(lambda x: np.exp(x[:, 0]) - x[:, 1] ** 2, fingerprint="sum"), X, names=["a", "b", "c"])
    result = explain.ale(case, background=OTHERS, bins=6, pairs=[("a", "b"), ("b", "c")])
    assert_allclose(result.extra["pair_curve"], 0.0, atol=1e-9)


def test_rows_outside_the_background_are_extrapolated_with_a_note() -> None:
    case = examples.linear((2.0, 1.0), x=[[5.0, 0.5], [0.5, 0.5]])
    result = explain.ale(case, background=np.array([[0.0, 0.0], [1.0, 1.0]]))
    assert_allclose(result.values, [[9.0, 0.0], [0.0, 0.0]], atol=1e-12)
    assert [(note.code, note.rows) for note in result.notes] == [("beyond", ("0",))]


def test_a_column_that_is_constant_in_the_background_gets_0_and_a_note() -> None:
    case = examples.linear((2.0, 1.0), x=[[0.5, 0.5]], names=["a", "b"])
    result = explain.ale(case, background=np.array([[0.0, 0.5], [1.0, 0.5]]), pairs=[("a", "b")])
    assert_allclose(result.values, 0.0, atol=1e-12)
    assert [note.code for note in result.notes] == ["constant"]
    assert_allclose(result.extra["joint"], 0.0)


def test_repeated_values_make_fewer_bins_none_of_them_empty() -> None:
    background = np.array([[0.0], [0.0], [0.0], [0.0], [1.0], [3.0]])
    result = explain.ale(examples.linear((1.0,), x=[[1.0]]), background=background, bins=4)
    assert_array_equal(result.extra["grid"][0], [0.0, 1.0, 3.0])
    assert_array_equal(result.extra["counts"][0], [5.0, 1.0])


def test_groups_are_refused() -> None:
    case = examples.linear((2.0, 1.0, 1.0), features=groups({"g": ["a", "b"]}, ["a", "b", "c"]))
    with pytest.raises(CapabilityError, match=r"explain\.ale needs single columns as features"):
        explain.ale(case, background=OTHERS)


def test_no_bins_are_refused() -> None:
    with pytest.raises(InputError, match="bins=0"):
        explain.ale(examples.linear((2.0, 1.0, 1.0), x=X), background=OTHERS, bins=0)
