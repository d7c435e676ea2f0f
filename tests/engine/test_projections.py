# SPDX-License-Identifier: Apache-2.0
"""Projections onto l1 and l0 balls inside a box, against slow oracles."""

import itertools

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import assay
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.engine.search.projections import nearest_in_l0, nearest_in_l1
from assay.nouns.inputs.rows import Rows


def by_bisection(move, radius, least, most):
    """The l1 projection with its multiplier found by bisection."""
    cap = np.where(move > 0, most, -least)

    def cut(level):
        return np.minimum(np.maximum(np.abs(move) - level, 0), cap)

    low, high = 0.0, np.abs(move).max()
    if cut(0.0).sum() <= radius:
        return np.sign(move) * cut(0.0)
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if cut(middle).sum() > radius else (low, middle)
    return np.sign(move) * cut(high)


@pytest.mark.parametrize("bounded", [False, True])
def test_the_l1_projection_is_the_nearest_point_of_ball_and_box(bounded):
    generator = np.random.default_rng(0)
    for count in (1, 2, 5, 9):
        move = generator.normal(size=(30, count)) * 2
        least, most = (
            (-generator.random((30, count)), generator.random((30, count)))
            if bounded
            else (
                np.full((30, count), -np.inf),
                np.full((30, count), np.inf),
            )
        )
        radius = generator.random(30) * 2 + 0.01
        found = nearest_in_l1(move, radius, least, most)
        slow = [by_bisection(*row) for row in zip(move, radius, least, most)]
        assert_allclose(found, slow, atol=1e-12)
        tensors = [torch.tensor(array, dtype=torch.float64) for array in (move, radius, least, most)]
        assert_allclose(nearest_in_l1(*tensors).numpy(), slow, atol=1e-12)


def test_the_l0_projection_is_the_nearest_point_of_all_subsets():
    generator = np.random.default_rng(1)
    move = generator.normal(size=(20, 5)) * 2
    least, most = -generator.random((20, 5)), generator.random((20, 5))
    for count in (1, 2, 4):
        found = nearest_in_l0(move, count, least, most)
        assert ((found != 0).sum(axis=1) <= count).all()
        inside = np.clip(move, least, most)
        slow = [
            min(
                ((row - np.where(np.isin(np.arange(5), chosen), clipped, 0)) ** 2).sum()
                for chosen in itertools.combinations(range(5), count)
            )
            for row, clipped in zip(move, inside)
        ]
        assert_allclose(((move - found) ** 2).sum(axis=1), slow, atol=1e-12)


@pytest.mark.parametrize("norm", ["l1", "l0"])
@pytest.mark.parametrize("edge", [False, True])
def test_random_points_of_sparse_balls_lie_inside_them(norm, edge):
    rows = Rows(np.random.default_rng(0).random((12, 8)), tuple(map(str, range(12))))
    ball = assay.Ball(norm, 2.0, 0.0, 1.0)
    points = ball.draw(rows, Seed(0), edge=edge)
    length = ball.length(points - rows.x)
    assert (length <= 2.0 * (1 + 1e-9)).all()
    assert (length > 0).all()
    assert points.min() >= 0.0
    assert points.max() <= 1.0


def test_the_steepest_move_of_l1_is_one_element():
    slope = np.array([[1.0, -3.0, 2.0], [0.0, 0.0, 0.0]])
    assert_allclose(assay.Ball("l1", 1.0).steepest(slope), [[0.0, -1.0, 0.0], [0.0, 0.0, 0.0]])
    assert_allclose(assay.Ball("l1", 1.0, scale=(9.0, 1.0, 1.0)).steepest(slope)[0], [9.0, 0.0, 0.0])
    with pytest.raises(InputError, match="no direction"):
        assay.Ball("l0", 1.0, 0.0, 1.0).steepest(slope)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_points_that_rounding_puts_outside_are_moved_inside(norm):
    rows = torch.tensor(np.random.default_rng(0).uniform(200, 255, (20, 9)), dtype=torch.float32)
    ball = assay.Ball(norm, 0.01)
    x = ball.project(rows + 1.0, rows)
    found = ball.confine(x, rows)
    assert (ball.length(found.double().numpy() - rows.double().numpy()) <= 0.01 * (1 + 1e-6)).all()
