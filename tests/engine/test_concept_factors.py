"""Factors of activations: planted ones are found, and what the codes, the stability and the null say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.engine.concepts.directions import is_one_direction, magnitude, positive_share
from assay.engine.concepts.factors import find_factors, in_halves

WIDTH, PARTS = 6, 4


def planted(rows: int = 80) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A = U W with parts of disjoint supports, and rows that hold one part each."""
    rng = np.random.default_rng(0)
    parts = np.kron(np.eye(PARTS), np.ones(WIDTH)) * rng.uniform(0.5, 1.5, PARTS * WIDTH)
    parts /= np.linalg.norm(parts, axis=1, keepdims=True)
    codes = np.eye(PARTS)[np.arange(rows) % PARTS] * rng.uniform(1.0, 2.0, (rows, 1))
    return codes @ parts, codes, parts


def test_planted_parts_of_disjoint_supports_are_recovered() -> None:
    activations, codes, parts = planted()
    found = find_factors(activations, PARTS, False, 3, "layer", Seed(0))
    order = [int(np.argmax(parts @ one)) for one in found.parts]
    assert sorted(order) == list(range(PARTS))
    np.testing.assert_allclose(found.parts, parts[order], atol=1e-6)
    np.testing.assert_allclose(found.codes(activations), codes[:, order], atol=1e-5)
    assert found.explained == pytest.approx(1.0, abs=1e-9)
    assert found.stability.min() > 0.999
    assert found.shuffled < 0.5


def test_more_parts_than_there_are_do_not_all_come_back_from_other_starts() -> None:
    noise = np.random.default_rng(1).uniform(0, 1, (60, 30))
    found = find_factors(noise, 20, False, 3, "layer", Seed(0))
    assert found.stability.min() < 0.9
    assert abs(found.explained - found.shuffled) < 0.1  # noise is described as well as its shuffles


def test_codes_are_the_least_squares_of_each_row_by_itself() -> None:
    rng = np.random.default_rng(2)
    found = find_factors(rng.uniform(0, 1, (40, 12)), 5, False, 0, "layer", Seed(0))
    new = rng.uniform(0, 2, (7, 12))
    expected = np.stack([nnls(found.parts.T, row)[0] for row in new])
    np.testing.assert_allclose(found.codes(new), expected, atol=1e-6)
    np.testing.assert_allclose(found.codes(new[3:4])[0], found.codes(new)[3], atol=1e-12)
    assert np.isnan(found.stability).all()


def test_activations_below_zero_are_refused_by_name_or_split_and_never_clipped() -> None:
    signed = np.random.default_rng(3).normal(size=(50, 4))
    with pytest.raises(CapabilityError, match=r"layer 'block' gives activations down to -.*halves=True"):
        find_factors(signed, 2, False, 1, "block", Seed(0))
    np.testing.assert_array_equal(np.subtract(*np.split(in_halves(signed), 2, axis=1)), signed)
    whole = find_factors(signed, 8, True, 0, "block", Seed(0))
    np.testing.assert_allclose(whole.codes(signed) @ whole.directions, signed, atol=0.05)


def test_more_parts_than_rows_or_units_are_refused() -> None:
    with pytest.raises(InputError, match="at most 4"):
        find_factors(np.ones((10, 4)), 5, False, 0, "layer", Seed(0))


def test_a_smooth_step_tends_to_the_share_above_zero() -> None:
    values = np.random.default_rng(4).normal(0.3, 1.0, (500, 3))
    np.testing.assert_allclose(positive_share(values, 1e-6), (values > 0).mean(axis=0), atol=1e-9)
    assert positive_share(np.zeros((5, 1)), 0.5)[0] == 0.5
    assert positive_share(np.zeros((5, 1)), 0.0)[0] == 0.0


def test_magnitude_is_the_mean_over_the_mean_size() -> None:
    np.testing.assert_allclose(magnitude(np.array([[1.0, 2.0], [-1.0, 2.0], [2.0, 2.0]])), [0.5, 1.0])
    assert np.isnan(magnitude(np.zeros((3, 1)))[0])


def test_gradients_of_one_direction_are_recognised_whatever_their_size() -> None:
    one = np.random.default_rng(5).normal(size=7)
    assert is_one_direction(np.outer([1.0, 3.0, 0.0, 1e-9], one))
    assert not is_one_direction(np.outer([1.0, -1.0], one))
