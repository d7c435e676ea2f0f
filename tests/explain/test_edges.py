"""Edges as a reference."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.oracles.paths import sobel

import assay
from assay import examples, explain
from assay.basics.errors import CapabilityError
from assay.cases.case import Case
from assay.model.adapters.function import function


def picture(x: np.ndarray, **options: object) -> Case:
    return assay.case(function(lambda x: x.sum(axis=(1, 2, 3)), name="sum", fingerprint="sum"), x, **options)  # type: ignore[arg-type]  # options pass through


def test_it_is_sobels_magnitude_of_the_mean_channel() -> None:
    x = np.random.default_rng(0).random((2, 3, 5, 7))
    found = explain.edges(picture(x)).map()
    for row in range(2):
        assert_allclose(found[row].sum(axis=0), sobel(x[row].mean(axis=0)), atol=1e-12)


def test_a_constant_image_has_no_edges() -> None:
    assert not explain.edges(picture(np.full((1, 1, 4, 4), 3.0))).values.any()


def test_a_step_of_height_one_measures_four_on_both_sides() -> None:
    x = np.zeros((1, 1, 4, 6))
    x[..., 3:] = 1.0
    assert_allclose(explain.edges(picture(x)).map()[0, 0], np.tile([0, 0, 4, 4, 0, 0], (4, 1)))


def test_patches_get_the_sum_of_their_pixels(digits: Callable[..., Case]) -> None:
    case = digits()
    result = explain.edges(case)
    assert_allclose(result.values, case.features.pool(result.map()))


def test_a_table_is_refused() -> None:
    with pytest.raises(CapabilityError, match="needs images"):
        explain.edges(examples.product())
