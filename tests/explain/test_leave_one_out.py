"""Leaving one part out."""

from collections.abc import Callable

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from tests.oracles.games import value_of

from assay import examples, explain
from assay.cases.case import Case
from assay.cases.removals import Constant, Marginal


def test_it_is_the_gain_of_the_last_to_join() -> None:
    case, _ = examples.random_game(6, seed=3)
    v, whole = value_of(case), frozenset(range(6))
    expected = [v(whole) - v(whole - {i}) for i in range(6)]
    assert_allclose(explain.leave_one_out(case, remove=Constant(0.0)).values, [expected], atol=1e-12)


def test_it_is_occlusion_of_single_parts(tissue: Callable[..., Case], forest: tuple[object, np.ndarray]) -> None:
    remove = Marginal(forest[1][100:110])
    one = explain.leave_one_out(tissue(), remove=remove)
    assert_array_equal(one.values, explain.occlusion(tissue(), remove=remove).values)
    assert np.abs(one.values).max() > 0.01
