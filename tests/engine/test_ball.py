# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

import assay
from assay import Ball
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.nouns.inputs.rows import Rows

NORMS = st.sampled_from(["linf", "l2"])
POINTS = arrays(np.float64, (3, 2, 2), elements=st.floats(-5, 5, width=32))
CENTRES = arrays(np.float64, (3, 2, 2), elements=st.floats(-1, 1, width=32))
RADII = st.floats(0.01, 4.0)
BOUNDS = st.sampled_from([(-np.inf, np.inf), (-1.0, 1.0), (-1.0, np.inf), (-2.5, 1.5)])


def rows_of(x):
    return Rows(x, tuple(map(str, range(len(x)))))


@given(NORMS, POINTS, CENTRES, RADII, BOUNDS)
@settings(max_examples=60, deadline=None)
def test_projected_points_are_inside_the_ball_and_the_bounds(norm, x, centre, radius, bounds):
    ball = assay.Ball(norm, radius, *bounds)
    there = ball.project(x, centre)
    assert (ball.length(there - centre) <= radius * (1 + 1e-9)).all()
    assert there.min() >= ball.low
    assert there.max() <= ball.high


@given(NORMS, POINTS, CENTRES, RADII, BOUNDS)
@settings(max_examples=60, deadline=None)
def test_projecting_twice_is_projecting_once(norm, x, centre, radius, bounds):
    ball = assay.Ball(norm, radius, *bounds)
    once = ball.project(x, centre)
    np.testing.assert_allclose(ball.project(once, centre), once, rtol=1e-12, atol=1e-12)


@given(NORMS, CENTRES, RADII)
@settings(max_examples=40, deadline=None)
def test_points_inside_stay_where_they_are(norm, centre, radius):
    ball = assay.Ball(norm, radius)
    x = centre + 0.4 * radius  # length 0.4 and 0.8 of the radius
    np.testing.assert_allclose(ball.project(x, centre), x, rtol=1e-12, atol=1e-12)


@given(POINTS, CENTRES, RADII)
@settings(max_examples=40, deadline=None)
def test_without_bounds_the_l2_projection_is_the_nearest_point(x, centre, radius):
    """Optimality: the rest of the move is perpendicular to the sphere, so no other point of the ball is nearer."""
    there = assay.Ball("l2", radius).project(x, centre)
    others = centre + assay.Ball("l2", radius).draw(rows_of(np.zeros_like(x)), Seed(0))
    inner = ((x - there) * (others - there)).reshape(3, -1).sum(axis=1)
    assert (inner <= 1e-9).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_and_arrays_are_projected_equally(norm, dtype):
    generator = np.random.default_rng(0)
    x, centre = generator.normal(size=(2, 4, 3, 3)).astype("float32") * [[[[[3.0]]]], [[[[0.5]]]]]
    ball = assay.Ball(norm, 0.7, -1.0, 1.5)
    there = ball.project(torch.tensor(x, dtype=dtype), torch.tensor(centre, dtype=dtype))
    assert there.dtype == dtype
    np.testing.assert_allclose(there.numpy(), ball.project(x, centre), atol=1e-6)


def test_the_steepest_move_has_length_one_and_the_dual_norms_rise():
    slope = np.random.default_rng(1).normal(size=(5, 2, 3))
    for norm, dual in (("linf", np.abs(slope).sum((1, 2))), ("l2", np.sqrt((slope**2).sum((1, 2))))):
        ball = assay.Ball(norm, 1.0)
        move = ball.steepest(slope)
        np.testing.assert_allclose(ball.length(move), 1.0)
        np.testing.assert_allclose((slope * move).sum((1, 2)), dual)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_zero_gradient_gives_no_direction(norm):
    np.testing.assert_array_equal(assay.Ball(norm, 1.0).steepest(np.zeros((2, 3))), 0.0)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_draws_depend_on_ids_not_positions(norm):
    x = np.random.default_rng(0).normal(size=(4, 6))
    ball, seed = assay.Ball(norm, 0.5), Seed(7)
    together = ball.draw(Rows(x, tuple("abcd")), seed)
    np.testing.assert_array_equal(ball.draw(Rows(x[[2, 0]], ("c", "a")), seed), together[[2, 0]])
    assert not np.allclose(together[0] - x[0], together[1] - x[1])


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_edge_draws_lie_on_the_edge_and_others_within(norm):
    x = np.zeros((300, 3))
    ball = assay.Ball(norm, 2.0)
    np.testing.assert_allclose(ball.length(ball.draw(rows_of(x), Seed(0), edge=True)), 2.0)
    lengths = ball.length(ball.draw(rows_of(x), Seed(0)))
    assert lengths.max() <= 2.0
    assert np.mean(lengths <= 2.0 * 0.5 ** (1 / 3)) == pytest.approx(0.5, abs=0.1)  # half the volume


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_draws_respect_the_bounds(norm):
    x = np.array([[0.0, 1.0, 0.5]] * 50)
    there = assay.Ball(norm, 0.8, 0.0, 1.0).draw(rows_of(x), Seed(0), edge=True)
    assert there.min() >= 0.0
    assert there.max() <= 1.0


def test_rows_outside_the_bounds_are_refused_by_number():
    ball = assay.Ball("linf", 8 / 255, 0.0, 1.0)
    with pytest.raises(InputError, match=r"row\(s\) 1.*-2 to 0.5.*units of the rows"):
        ball.check_bounds(np.array([[0.0, 1.0], [-2.0, 0.5]]))
    with pytest.raises(InputError, match="bounds"):
        ball.draw(rows_of(np.array([[3.0]])), Seed(0))


@pytest.mark.parametrize(
    "wrong",
    [
        ("l3", 1.0),
        ("l0", 3.0),
        ("l0", 0.5, 0.0, 1.0),
        ("linf", 0.0),
        ("l2", -1.0),
        ("l2", np.inf),
        ("l2", np.nan),
        ("l2", 1.0, 1.0, 0.0),
    ],
)
def test_impossible_balls_are_refused(wrong):
    with pytest.raises(InputError):
        assay.Ball(*wrong)


SCALES = (2.0, 0.0, 0.5)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("edge", [False, True])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_scaled_ball_is_the_ball_in_units_of_the_scale(norm, edge, library):
    x = np.random.default_rng(0).normal(size=(40, 3))
    x = torch.as_tensor(x) if library == "torch" else x
    ball = Ball(norm, 0.3, scale=SCALES)
    rows = Rows(x, tuple(map(str, range(40))))
    moved = np.asarray(ball.draw(rows, Seed(0), edge=edge)) - np.asarray(x)
    assert (moved[:, 1] == 0).all()
    units = moved[:, [0, 2]] / [2.0, 0.5]
    lengths = np.abs(units).max(axis=1) if norm == "linf" else np.linalg.norm(units, axis=1)
    assert_allclose(np.asarray(ball.length(ball.draw(rows, Seed(0), edge=edge) - x)), lengths)
    assert (lengths <= 0.3 + 1e-12).all()
    assert_allclose(lengths, 0.3) if edge else None
    assert lengths.max() > 0.2


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_steepest_direction_of_a_scaled_ball_raises_a_slope_most(norm):
    generator = np.random.default_rng(0)
    slope = generator.normal(size=(1, 3))
    ball = Ball(norm, 1.0, scale=SCALES)
    best = float((ball.steepest(slope) * slope).sum())
    assert_allclose(ball.length(ball.steepest(slope)), [1.0])
    points = Rows(np.zeros((500, 3)), tuple(map(str, range(500))))
    assert best >= (ball.draw(points, Seed(1), edge=True) * slope).sum(axis=1).max() - 1e-12
    far = ball.project(np.full((1, 3), 9.0), np.zeros((1, 3)))
    assert far[0, 1] == 0
    assert_allclose(ball.length(far), [1.0])
    assert ball.length(np.array([[0.0, 0.1, 0.0]]))[0] == np.inf  # a column that cannot move


def test_a_scale_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="not only zeros"):
        Ball("linf", 0.1, scale=(0.0, 0.0))
    with pytest.raises(InputError, match="scale has 3 numbers for 2 columns"):
        Ball("linf", 0.1, scale=SCALES).check_bounds(np.zeros((1, 2)))
