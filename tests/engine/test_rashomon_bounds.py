"""The two bounds of Rashomon sets: binomials against simulation and exact fractions, coverage, closed forms."""

import math
from fractions import Fraction

import numpy as np
import pytest

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.engine.distinct.rashomon_bounds import (
    ComplexityBy,
    chance_of_meeting,
    complexity_by_signs,
    complexity_of_finite,
    complexity_of_norm,
    finite_bound,
    grid_cover,
    grid_points,
    linear_bound,
    linear_rashomon_set,
    lipschitz_bound,
)


@pytest.mark.parametrize(("inside", "drawn", "value"), [(10, 100, 0.653), (10, 10, 0.096), (1000, 5, 1.0), (0, 5, 0.0)])
def test_the_chance_of_meeting_the_set_is_that_of_the_stored_values(inside: int, drawn: int, value: float) -> None:
    assert chance_of_meeting(1000, inside, drawn) == pytest.approx(value, abs=5e-4)


@pytest.mark.parametrize(("size", "inside", "drawn"), [(30, 4, 7), (200, 50, 3), (60, 20, 41), (10**6, 3, 10**5)])
def test_the_chance_is_one_minus_a_ratio_of_binomials(size: int, inside: int, drawn: int) -> None:
    exact = 1 - Fraction(math.comb(size - inside, drawn), math.comb(size, drawn)) if size < 10**5 else None
    expected = 1 - 0.9**3 if exact is None else float(exact)
    assert chance_of_meeting(size, inside, drawn) == pytest.approx(expected, abs=1e-5 if exact is None else 1e-12)
    assert chance_of_meeting(size, drawn, inside) == pytest.approx(chance_of_meeting(size, inside, drawn))


def test_the_chance_is_that_of_simulated_draws() -> None:
    generator = np.random.default_rng(0)
    met = [(generator.permutation(1000)[:100] < 10).any() for _ in range(4000)]
    assert abs(np.mean(met) - chance_of_meeting(1000, 10, 100)) < 4 * 0.5 / math.sqrt(4000)


def test_classes_of_any_size_have_a_chance() -> None:
    assert chance_of_meeting(10**15, 10**9, 10**6) == pytest.approx(-math.expm1(-1.0), rel=1e-3)
    assert 0 < chance_of_meeting(10**30, 1, 10) < 1e-28
    assert chance_of_meeting(10**9, 2 * 10**6, 3 * 10**6) == 1.0
    assert chance_of_meeting(10**15, 2 * 10**7, 10**8) == pytest.approx(-math.expm1(-2.0), rel=1e-5)


def test_theorem_one_covers_at_least_as_often_as_it_says() -> None:
    """A class of 400 random decision functions on ten equally likely points, of which 40 are drawn."""
    generator = np.random.default_rng(1)
    points, rows, epsilon = 10, 200, 0.2
    large = generator.integers(0, 2, (400, points))
    rate = generator.random(points)
    true = np.where(large == 1, 1 - rate, rate).mean(axis=1)
    limit = float(np.quantile(true, 0.02))
    held, found = [], None
    for _ in range(1000):
        x = generator.integers(0, points, rows)
        y = generator.random(rows) < rate[x]
        small = generator.permutation(400)[:40]
        losses = (large[small][:, x] != y).mean(axis=1)
        found = finite_bound(limit, size=400, inside=int((true <= limit).sum()), drawn=40, rows=rows, epsilon=epsilon)
        held.append(abs(true.min() - losses.min()) <= found.bound)
    assert found is not None
    assert np.mean(held) >= found.probability > 0.3
    assert found.bound == pytest.approx(limit + 2 * math.sqrt((math.log(40) + math.log(10)) / 400))
    tight = finite_bound(limit, size=400, inside=8, drawn=40, rows=rows, epsilon=epsilon, least=float(true.min()))
    assert tight.tight == pytest.approx(found.bound - true.min())
    assert math.isnan(found.tight)


def test_theorem_two_covers_at_least_as_often_as_it_says() -> None:
    generator = np.random.default_rng(2)
    step, norm, rows, epsilon = 0.4, 1.0, 60, 0.1
    grid = grid_points(step, norm, 2)
    assert grid_cover(step, 2) == pytest.approx(0.4 * math.sqrt(2) / 2)
    held, bounds = [], []
    for _ in range(300):
        x = generator.uniform(-1, 1, (rows, 2))
        y = np.clip(x @ [0.5, -0.3] + generator.uniform(-0.2, 0.2, rows), -1, 1)
        population_loss = ((grid - [0.5, -0.3]) ** 2).sum(axis=1) / 3 + 0.04 / 3
        empirical = ((x @ grid.T - y[:, None]) ** 2).mean(axis=0)
        inside, bound = linear_bound(x, y, 0.3, step=step, norm=norm, epsilon=epsilon)
        assert bound.holds
        assert inside.contains(grid).any()
        held.append((np.abs(population_loss - empirical)[inside.contains(grid)] <= bound.bound).all())
        bounds.append(bound.bound)
    assert np.mean(held) >= 1 - epsilon
    assert np.ptp(bounds) > 0


def test_the_linear_set_is_an_ellipsoid_whose_inner_ball_touches_it() -> None:
    generator = np.random.default_rng(3)
    x = generator.normal(size=(200, 3)) * [1.0, 2.0, 0.5]
    y = x @ [1.0, -1.0, 0.5] + generator.normal(size=200)
    least = linear_rashomon_set(x, y, 10.0).least
    found = linear_rashomon_set(x, y, least + 0.3)
    directions = generator.normal(size=(3000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    assert found.contains(found.weights + 0.999 * found.radius * directions).all()
    steepest = np.linalg.eigh(found.hessian)[1][:, -1]
    assert not found.contains(found.weights + 1.001 * found.radius * steepest).any()
    losses = ((x @ (found.weights + 0.2 * directions).T - y[:, None]) ** 2).mean(axis=0)
    assert (found.contains(found.weights + 0.2 * directions) == (losses <= least + 0.3)).all()
    box = 4 * np.sqrt(0.6 / np.linalg.eigvalsh(found.hessian)[0])
    uniform = found.weights + generator.uniform(-box / 2, box / 2, (400_000, 3))
    assert found.log_volume == pytest.approx(math.log(box**3 * found.contains(uniform).mean()), abs=0.05)
    assert math.isnan(linear_rashomon_set(x, y, 0.0).radius)
    assert linear_rashomon_set(np.c_[x, x[:, :1]], y, 10.0).log_volume == math.inf


def test_the_three_complexities_are_ordered_and_the_drawn_one_is_unbiased() -> None:
    x = np.random.default_rng(4).normal(size=(8, 2))
    grid = grid_points(0.25, 1.0, 2)
    signs = np.array([[1 if number >> bit & 1 else -1 for bit in range(8)] for number in range(256)])
    exact = (signs @ (x @ grid.T) / 8).max(axis=1).mean()
    drawn, interval = complexity_by_signs(grid @ x.T, Seed(0), draws=2000)
    assert interval.low <= exact <= interval.high
    assert drawn == pytest.approx(exact, rel=0.05)
    assert exact <= complexity_of_norm(1.0, x)
    assert exact <= complexity_of_finite(grid @ x.T)


@pytest.mark.parametrize("by", ["norm", "finite", "signs"])
def test_a_cover_that_is_too_coarse_promises_nothing(by: ComplexityBy) -> None:
    x = np.random.default_rng(5).normal(size=(50, 2))
    fine = linear_bound(x, x[:, 0], 0.5, step=0.2, norm=1.5, by=by)[1]
    coarse = linear_bound(x, x[:, 0], 1e-6, step=0.2, norm=1.5, by=by)[1]
    assert fine.holds
    assert not coarse.holds
    assert fine.complexity_by.startswith(by)
    assert fine.bound == pytest.approx(fine.complexity_term + fine.deviation)


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="inside"):
        chance_of_meeting(10, 11, 1)
    with pytest.raises(InputError, match="epsilon"):
        finite_bound(0.1, size=10, inside=1, drawn=2, rows=10, epsilon=1.5)
    with pytest.raises(InputError, match="cover"):
        lipschitz_bound(radius=1.0, cover=-1.0, lipschitz=1.0, largest_loss=1.0, complexity=0.1, rows=10)
    with pytest.raises(InputError, match="grid"):
        grid_points(0.01, 10.0, 4)
