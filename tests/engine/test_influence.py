"""Gradients averaged over distributions of points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.oracles.paths import integrated

from assay import examples
from assay.basics.errors import InputError
from assay.engine.gradients.distributions import Gaussian, Line, Lines, Node, Point, Uniform, draw_noise
from assay.engine.gradients.influence import influence
from assay.engine.gradients.quadrature import gauss_legendre
from assay.examples import analytic


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8])
def test_quadrature_is_exact_for_polynomials_of_its_degree(steps: int) -> None:
    for power in range(2 * steps):
        assert sum(w * node**power for node, w in gauss_legendre(steps)) == pytest.approx(1 / (power + 1), abs=1e-13)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_quadrature_is_not_exact_one_degree_further(steps: int) -> None:
    power = 2 * steps
    assert abs(sum(w * node**power for node, w in gauss_legendre(steps)) - 1 / (power + 1)) > 1e-5


def test_quadrature_needs_a_node() -> None:
    with pytest.raises(InputError, match="steps=0"):
        gauss_legendre(0)


def test_a_line_agrees_with_a_fine_midpoint_sum() -> None:
    case = analytic(
        lambda x: np.sin(x[:, 0] * x[:, 1]), lambda x: np.cos(x[:, :1] * x[:, 1:]) * x[:, ::-1], [[1.2, 0.7]], "sine"
    )
    assert_allclose(influence(case, Line(0.3, 16)).values, integrated(case, 0.3), atol=1e-6)


def test_a_point_is_the_gradient() -> None:
    assert_allclose(influence(examples.quadratic([[1, 2], [0, 3]], [1.0, -1.0]), Point()).values, [[0.0, -4.0]])


def test_starts_may_be_a_number_a_row_or_a_row_each() -> None:
    case = examples.linear((2, -1), x=np.array([[1.0, 2.0], [3.0, 4.0]]))
    each = np.array([[0.5, 0.5], [0.5, 0.5]])
    expected = [[1.0, -1.5], [5.0, -3.5]]
    for start in (0.5, each[0], each):
        assert_allclose(influence(case, Line(start)).values, expected)


def test_a_start_may_be_one_token_for_all_positions() -> None:
    weights = np.arange(1.0, 7.0).reshape(3, 2)
    x = np.random.default_rng(0).normal(size=(2, 3, 2))
    case = analytic(lambda x: (x * weights).sum(axis=(1, 2)), lambda x: np.tile(weights, (len(x), 1, 1)), x, "tokens")
    token = np.array([0.5, -2.0])
    found = influence(case, Line(token))
    assert_allclose(found.values, weights * (x - token))
    assert_allclose(found.base, np.full(2, (weights * token).sum()))


def test_a_start_with_one_value_for_each_position_is_no_token() -> None:
    from tests.contract.subjects import textual

    case = textual()
    positions, width = case.rows.shape
    assert positions != width
    with pytest.raises(InputError, match=rf"start has shape \({positions},\)"):
        influence(case, Line(np.zeros(positions)))
    token = np.arange(width) / 10
    assert_allclose(
        influence(case, Line(token)).values, influence(case, Line(np.tile(token, (positions, 1)))).values, atol=1e-12
    )


def test_a_start_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"start has shape \(3,\)"):
        influence(examples.linear((2, -1)), Line(np.zeros(3)))


def test_lines_are_the_mean_of_their_single_lines() -> None:
    case, background = examples.product(), np.array([[0.0, 0.0], [1.0, 2.0], [-1.0, 4.0]])
    single = np.mean([influence(case, Line(row, 4)).values for row in background], axis=0)
    together = influence(case, Lines(background, 4))
    assert_allclose(together.values, single)
    assert_allclose(together.base, [(0 + 2 - 4) / 3])


def test_noise_of_no_size_gives_the_gradient_without_error() -> None:
    case = examples.product()
    result = influence(case, Gaussian(0.0, 5))
    assert_allclose(result.values, [[3.0, 2.0]])
    assert_array_equal(result.stderr, 0.0)


def test_equal_draws_leave_an_error_of_exactly_zero() -> None:
    result = influence(examples.linear((1 / 3, 1e8)), Gaussian(1.0, 7))
    assert result.stderr.max() <= 1e-7 * 1e-8


def test_the_error_is_that_of_a_mean() -> None:
    case = examples.additive((1.0,), seed=4)
    draws = np.stack(
        [
            2 * (case.rows.x + 0.5 * noise)
            for noise in draw_noise(case, "gaussian", 9, lambda g, s: g.standard_normal(s))
        ]
    )
    result = influence(case, Gaussian(0.5, 9))
    assert_allclose(result.values, draws.mean(axis=0))
    assert_allclose(result.stderr, draws.std(axis=0, ddof=1) / 3)


def test_two_draws_have_an_error_and_one_has_none() -> None:
    case = examples.additive((1.0,), seed=4)
    one, other = (2 * node.point for node in Gaussian(0.5, 2).nodes(case))
    assert_allclose(influence(case, Gaussian(0.5, 2)).stderr, np.abs(one - other) / 2)
    assert influence(case, Gaussian(0.5, 1)).stderr is None


def test_the_error_of_a_part_is_that_of_its_sum() -> None:
    from assay.nouns.inputs.features import integer_map

    case = examples.additive((1.0, 1.0), features=integer_map([0, 0]))
    draws = np.stack(
        [
            2 * (case.rows.x + 0.5 * noise).sum(axis=1)
            for noise in draw_noise(case, "gaussian", 9, lambda g, s: g.standard_normal(s))
        ]
    )
    assert_allclose(influence(case, Gaussian(0.5, 9)).stderr[:, 0], draws.std(axis=0, ddof=1) / 3)


def test_noise_may_have_a_size_for_each_row() -> None:
    case = examples.linear((1.0, 1.0), x=np.array([[1.0, 1.0], [1.0, 1.0]]))
    points = [node.point for node in Gaussian(np.array([[0.0], [2.0]]), 3).nodes(case)]
    assert all((point[0] == 1.0).all() and (point[1] != 1.0).all() for point in points)


def test_uniform_points_stay_in_the_cube() -> None:
    case = examples.linear((1.0, 1.0))
    points = np.stack([node.point for node in Uniform(0.1, 50).nodes(case)])
    assert 0.05 < np.abs(points - 1.0).max() <= 0.1


def test_draws_below_one_are_refused() -> None:
    with pytest.raises(InputError, match="draws=0"):
        influence(examples.product(), Gaussian(1.0, 0))


@dataclass(frozen=True)
class Two:
    """Two nodes of different measure."""

    draws: int = 0

    def nodes(self, case: Any) -> Iterator[Node]:
        yield Node(case.rows.x, 1.0)
        yield Node(2 * case.rows.x, 10.0)

    def base(self, case: Any) -> None:
        return None


@pytest.mark.parametrize("batch", [1, 2, 3, 4096])
def test_nodes_in_one_batch_keep_their_own_weights_and_rows(batch: int) -> None:
    case = examples.product()
    case = case.at(np.array([[2.0, 3.0], [5.0, 7.0]]))
    case = replace(
        case,
        rows=replace(case.rows, ids=("a", "b")),
        label=np.zeros(2, dtype=int),
        model=replace(case.model, batch=batch),
    )
    assert_allclose(influence(case, Two()).values, [[63.0, 42.0], [147.0, 105.0]])


def test_a_line_costs_one_backward_a_node_and_row() -> None:
    case = examples.product()
    influence(case, Line(0.0, 6))
    assert (case.model.meter.backwards, case.model.meter.forwards) == (6, 7)


@pytest.mark.parametrize("start", [0.0, np.full((3, 8, 8), 0.3)])
def test_elements_of_no_part_keep_their_value_at_the_start(start):
    from tests.contract.subjects import ragged

    from assay.engine.gradients.distributions import broadcast_start

    case = ragged()
    begun = broadcast_start(case, start)
    held = case.features.index < 0
    assert held.any()
    assert np.array_equal(begun.numpy()[held], case.rows.x.numpy()[held])
    assert np.array_equal(begun.numpy()[~held], np.broadcast_to(start, begun.shape)[~held])
