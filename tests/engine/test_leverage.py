"""Paired leverage: which coalitions are drawn, and the least squares on them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.engine.coalitions.estimator import Estimator, as_bytes
from assay.engine.coalitions.leverage import PairRegression, draw_pairs, paired_leverage
from assay.engine.coalitions.permutations import permutations
from assay.engine.coalitions.regression_adjustment import regression_adjusted
from assay.engine.coalitions.sample_reuse import sample_reuse

NESTED = [paired_leverage, permutations, sample_reuse]


def evaluated(estimator: Estimator, parts: int, budget: int, seed: int = 0) -> set[bytes]:
    return set(as_bytes(estimator.design(parts, budget, Seed(seed)).masks).tolist())


@pytest.mark.parametrize("estimator", NESTED, ids=[s.name for s in NESTED])
@pytest.mark.parametrize("parts", [3, 8, 13, 30])
def test_a_larger_budget_evaluates_the_same_and_more(estimator: Estimator, parts: int) -> None:
    sets = [evaluated(estimator, parts, budget) for budget in (4 * parts, 4 * parts + 7, 200, 201, 333, 800, 1600)]
    assert all(small <= large for small, large in pairwise(sets))
    assert len(sets[0]) < len(sets[-1]) or len(sets[0]) == 2**parts


@pytest.mark.parametrize("parts", [5, 10, 30])
def test_no_coalition_is_drawn_twice(parts: int) -> None:
    for budget in (3 * parts, 500):
        masks = draw_pairs(parts, budget, Seed(1)).masks
        assert len(np.unique(as_bytes(masks))) == len(masks)
        assert_array_equal(masks[::2], ~masks[1::2])


def test_sizes_take_turns() -> None:
    sizes = draw_pairs(9, 62, Seed(0)).stratum
    assert_array_equal(np.bincount(sizes)[1:], [8, 8, 7, 7])  # thirty pairs of four sizes


def test_small_sizes_are_exhausted_and_the_rest_goes_to_others() -> None:
    design = draw_pairs(12, 402, Seed(0))
    counts = np.bincount(design.stratum)[1:]
    assert counts[0] == 12
    assert counts.sum() == 200
    assert PairRegression(design).is_exhausted[design.stratum == 1].all()


def test_the_pseudo_inverse_is_that_of_the_literal_weighted_least_squares() -> None:
    design = draw_pairs(7, 60, Seed(2))
    pairs = PairRegression(design)
    values = np.random.default_rng(0).normal(size=(2, len(design.masks)))
    difference = pairs.differences(values)
    root = np.sqrt(design.weight)
    slow = [np.linalg.lstsq(pairs.centred * root[:, None], root * one, rcond=1e-10)[0] for one in difference]
    assert_allclose(difference @ pairs.pseudo_inverse, slow, atol=1e-10)


def test_the_variance_is_that_of_a_stratified_sample_also_where_a_size_has_two_pairs() -> None:
    """Cochran's variance of a stratified total, without replacement, of influences: residual times pseudo-inverse."""
    design = draw_pairs(9, 22, Seed(4))
    pairs = PairRegression(design)
    difference = pairs.differences(np.random.default_rng(0).normal(size=(3, len(design.masks))))
    phi, variance = pairs.solve(difference)
    assert np.bincount(design.stratum)[1:].tolist() == [3, 3, 2, 2]
    influence = (difference - phi @ pairs.centred.T)[:, :, None] * pairs.pseudo_inverse  # (row, pair, part)
    expected = np.zeros((3, 9))
    for size, total in zip((1, 2, 3, 4), (9, 36, 84, 126)):
        inside = influence[:, design.stratum == size]
        count = inside.shape[1]
        expected += (1 - count / total) * count * inside.var(axis=1, ddof=1)
    assert_allclose(variance, expected * 10 / 2)  # ten pairs less eight free values: two degrees of freedom


def test_two_parts_and_one_are_exact() -> None:
    two = paired_leverage.design(2, 4, Seed(0))
    values = two.masks @ [[2.0], [3.0]] + two.masks.all(axis=1)[:, None]
    found = paired_leverage.estimate(two, values.T)
    assert_allclose(found.values, [[2.5, 3.5]])
    assert_allclose(found.stderr, 0.0)
    one = paired_leverage.estimate(paired_leverage.design(1, 2, Seed(0)), np.array([[1.0, 4.0]]))
    assert_allclose((one.values, one.stderr), ([[3.0]], [[0.0]]))


@pytest.mark.parametrize(("parts", "budget"), [(1, 1), (2, 3), (8, 15), (30, 59)])
def test_too_small_a_budget_is_refused(parts: int, budget: int) -> None:
    with pytest.raises(InputError, match=f"budget={budget}"):
        draw_pairs(parts, budget, Seed(0))


@pytest.mark.parametrize("fit", ["linear", "auto"])
def test_a_row_with_a_value_that_is_no_number_has_no_estimate_and_others_do(fit: str) -> None:
    estimator = regression_adjusted(fit)  # type: ignore[arg-type]  # a name of the list, or meant to be none
    design = estimator.design(12, 200, Seed(0))
    values = np.random.default_rng(0).normal(size=(2, len(design.masks)))
    alone = estimator.estimate(design, values[1:])
    values[0, 30] = np.nan
    found = estimator.estimate(design, values)
    assert np.isnan(found.values[0]).all()
    assert np.isnan(found.stderr[0]).all()
    assert_allclose(found.values[1:], alone.values)


def test_a_thousand_parts_have_values() -> None:
    design = paired_leverage.design(1000, 2048, Seed(0))
    found = paired_leverage.estimate(design, np.ones((8, len(design.masks))))
    assert_allclose(found.values, 0.0, atol=1e-12)
