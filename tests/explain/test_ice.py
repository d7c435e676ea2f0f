"""Individual conditional expectation."""

import numpy as np
from numpy.testing import assert_allclose

import assay
from assay import examples, explain
from assay.cases.case import Case
from assay.cases.removals import Marginal
from assay.model.adapters.function import function

GENERATOR = np.random.default_rng(6)
X, OTHERS = GENERATOR.normal(size=(30, 3)), GENERATOR.normal(size=(20, 3))


def product() -> Case:
    return assay.case(function(lambda x: x[:, 0] * x[:, 1] + x[:, 2] ** 2, fingerprint="product"), X)


def test_a_line_is_the_row_with_the_column_moved() -> None:
    result = explain.ice(product(), background=OTHERS, points=6)
    grid, lines = result.extra["grid"], result.extra["lines"]
    assert_allclose(lines[:, 0], X[:, 1:2] * grid[0] + X[:, 2:] ** 2)
    assert_allclose(lines[:, 2], (X[:, :1] * X[:, 1:2]) + grid[2] ** 2)


def test_the_mean_of_the_rows_own_lines_is_partial_dependence() -> None:
    lines = explain.ice(product(), background=X).extra["lines"]
    assert_allclose(lines.mean(axis=0), explain.partial_dependence(product(), background=X).extra["curve"][0])


def test_values_are_the_line_at_the_rows_own_value_above_its_mean() -> None:
    result = explain.ice(product(), background=OTHERS)
    assert_allclose(result.values[:, 0], X[:, 0] * X[:, 1] - OTHERS[:, 0].mean() * X[:, 1], atol=1e-12)
    assert_allclose(result.values, explain.leave_one_out(product(), remove=Marginal(OTHERS)).values, atol=1e-12)


def test_on_a_linear_model_lines_are_parallel_and_values_those_of_shapley() -> None:
    case = examples.linear((2.0, -1.0, 0.5), x=X)
    result = explain.ice(case, background=OTHERS)
    slope = np.diff(result.extra["lines"]) / np.diff(result.extra["grid"])
    assert_allclose(slope, np.broadcast_to(np.array([[2.0], [-1.0], [0.5]]), slope.shape), atol=1e-8)
    assert_allclose(result.values, explain.shapley(case, remove=Marginal(OTHERS)).values, atol=1e-12)
