"""Shapley values from random orders."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from assay import Constant, examples, explain
from assay.basics.errors import InputError

ZERO = Constant(0.0)


def test_it_is_the_literal_mean_gain_over_its_orders() -> None:
    case, _ = examples.random_game(6, seed=1)
    generator = case.seed.child("design", "permutations").generator()
    gains = []
    for _ in range((100 - 2) // 10):
        order = generator.permutation(6)
        for way in (order, order[::-1]):
            x, gain = np.zeros(6), np.zeros(6)
            for i in way:
                before = case.value(x[None])[0]
                x[i] = 1.0
                gain[i] = case.value(x[None])[0] - before
            gains.append(gain)
    result = explain.permutation_shapley(case, budget=100, remove=ZERO)
    assert_allclose(result.values[0], np.mean(gains, axis=0))
    pairs = np.array(gains).reshape(-1, 2, 6).mean(axis=1)
    assert_allclose(result.stderr[0], pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs)))


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 9), st.integers(0, 10_000))
def test_it_is_complete_whatever_is_drawn(parts: int, seed: int) -> None:
    case, _ = examples.random_game(parts, seed=seed)
    assert_allclose(explain.permutation_shapley(case, budget=60, remove=ZERO).residual, 0.0, atol=1e-9)


def test_games_of_pairs_are_exact_at_once() -> None:
    case = examples.unanimity({(0, 1): 2.0, (2, 3): -4.0, (4,): 1.0}, 6)
    result = explain.permutation_shapley(case, budget=50, remove=ZERO)
    assert_allclose(result.values, [[1.0, 1.0, -2.0, -2.0, 1.0, 0.0]], atol=1e-12)
    assert_allclose(result.stderr, 0.0, atol=1e-12)


def test_it_agrees_with_the_exact_values_within_its_error() -> None:
    case, truth = examples.random_game(10, seed=5)
    result = explain.permutation_shapley(case, budget=1000, remove=ZERO)
    assert np.abs((result.values - truth) / result.stderr).max() < 4.5


def test_orders_for_less_than_two_pairs_are_refused() -> None:
    with pytest.raises(InputError, match="38 evaluations"):
        explain.permutation_shapley(examples.random_game(10)[0], budget=37, remove=ZERO)
