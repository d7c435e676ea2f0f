# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from assay.basics.errors import InputError, NumericalError
from assay.engine.search.ascent import ascend
from assay.engine.search.ball import Ball


def anywhere(x):
    return np.ones(len(x), dtype=bool)


def height_of(weights):
    return lambda x: (np.asarray(x) * weights).sum(axis=1)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_linear_objective_is_maximised_at_the_edge(norm, momentum):
    w = np.array([3.0, -1.0, 0.5])
    x0, ball = np.zeros((2, 3)), Ball(norm, 0.5)
    found = ascend(x0, lambda x: np.broadcast_to(w, x.shape), height_of(w), anywhere, ball, steps=15, momentum=momentum)
    dual = np.abs(w).sum() if norm == "linf" else np.sqrt((w**2).sum())
    np.testing.assert_allclose(found.objective, 0.5 * dual)
    np.testing.assert_array_equal(x0, 0.0)


def test_a_maximum_inside_the_ball_is_kept_when_later_steps_leave_it():
    top = np.array([[0.31, -0.2]])
    found = ascend(
        np.zeros((1, 2)),
        lambda x: top - x,
        lambda x: -((x - top) ** 2).sum(axis=1),
        anywhere,
        Ball("linf", 1.0),
        steps=30,
        step=0.1,
    )
    np.testing.assert_allclose(found.x, [[0.3, -0.2]], atol=0.011)


def test_points_that_are_not_accepted_are_never_kept():
    w = np.array([1.0, 1.0])
    found = ascend(
        np.zeros((2, 2)),
        lambda x: np.broadcast_to(w, x.shape),
        height_of(w),
        lambda x: np.array([x[0, 0] <= 0.45, False]),
        Ball("linf", 1.0),
        steps=20,
    )
    np.testing.assert_allclose(found.x, [[0.4, 0.4], [0.0, 0.0]])
    np.testing.assert_allclose(found.objective, [0.8, 0.0])


def test_rows_stay_where_nothing_is_better():
    found = ascend(
        np.ones((1, 2)), np.ones_like, lambda x: -np.abs(x - 1).sum(axis=1), anywhere, Ball("l2", 1.0), steps=5
    )
    np.testing.assert_array_equal(found.x, 1.0)


def test_several_starts_find_the_higher_of_two_maxima():
    def height(x):
        return np.where(x[:, 0] < 0, 0.5 * np.abs(x[:, 0]), x[:, 0])

    def slope(x):
        return np.sign(x + (x == 0) * -1.0)

    x0, ball = np.zeros((1, 1)), Ball("linf", 1.0)
    alone = ascend(x0, slope, height, anywhere, ball, steps=12)
    both = ascend(x0, slope, height, anywhere, ball, starts=[x0, x0 + 0.5], steps=12)
    assert alone.objective[0] == pytest.approx(0.5)
    assert both.objective[0] == pytest.approx(1.0)


def test_rows_with_zero_gradient_are_reported():
    slopes = np.array([[0.0, 0.0], [0.0, 1.0]])
    found = ascend(np.zeros((2, 2)), lambda x: slopes, height_of(np.ones(2)), anywhere, Ball("linf", 1.0), steps=2)
    assert found.has_zero_gradient.tolist() == [True, False]
    np.testing.assert_array_equal(found.x[0], 0.0)


def test_tensors_stay_tensors():
    w = torch.tensor([1.0, -2.0])
    x0 = torch.zeros(3, 2)
    found = ascend(
        x0, lambda x: w.expand_as(x), lambda x: (x @ w).double().numpy(), anywhere, Ball("l2", 1.0), steps=12
    )
    assert found.x.dtype == torch.float32
    np.testing.assert_allclose(found.objective, np.sqrt(5), rtol=1e-6)
    assert not x0.any()


def test_gradients_that_are_not_finite_are_an_error_that_names_rows():
    with pytest.raises(NumericalError, match=r"row\(s\) 1"):
        ascend(
            np.zeros((2, 1)),
            lambda x: np.array([[1.0], [np.nan]]),
            height_of(1.0),
            anywhere,
            Ball("linf", 1.0),
            steps=1,
        )


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"step": 0.0}, {"momentum": 1.0}])
def test_impossible_options_are_refused(wrong):
    with pytest.raises(InputError, match="needed are steps"):
        ascend(np.zeros((1, 1)), np.ones_like, height_of(1.0), anywhere, Ball("linf", 1.0), **wrong)


def test_rows_outside_the_bounds_are_refused():
    with pytest.raises(InputError, match="bounds"):
        ascend(np.full((1, 1), 5.0), np.ones_like, height_of(1.0), anywhere, Ball("linf", 1.0, 0.0, 1.0))
