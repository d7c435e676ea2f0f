"""Occlusion."""

from collections.abc import Callable

import numpy as np
from numpy.testing import assert_allclose
from tests.oracles.games import value_of

from assay import examples, explain
from assay.cases.case import Case
from assay.cases.removals import Constant, Marginal
from assay.nouns.features import Features


def test_what_needs_a_part_is_lost_with_it() -> None:
    case = examples.unanimity({(0, 1): 2.0, (1,): 3.0, (2,): -1.0}, 4)
    assert_allclose(explain.occlusion(case).values, [[2.0, 5.0, -1.0, 0.0]])


def test_on_a_linear_model_it_is_weight_times_what_was_removed() -> None:
    case = examples.linear((2, -1), x=[3.0, 5.0])
    assert_allclose(explain.occlusion(case, remove=Constant(1.0)).values, [[4.0, -4.0]])


def test_stand_ins_hide_one_another() -> None:
    case = examples.analytic(lambda x: x.max(axis=1), lambda x: x, [[1.0, 1.0]], "either")
    assert_allclose(explain.occlusion(case).values, [[0.0, 0.0]])


def test_it_asks_each_part_once_and_the_row_once() -> None:
    case, _ = examples.random_game(7)
    explain.occlusion(case)
    assert case.model.meter.forwards == 8


def test_it_has_no_base_and_no_error() -> None:
    result = explain.occlusion(examples.product())
    assert np.isnan(result.base).all()
    assert result.stderr is None


def test_on_a_forest_it_is_the_fall_asked_one_part_at_a_time(tissue: Callable[..., Case]) -> None:
    case = tissue(rows=2)
    v = value_of(case, row=1)
    whole = frozenset(range(10))
    assert_allclose(explain.occlusion(case).values[1], [v(whole) - v(whole - {i}) for i in range(10)], atol=1e-12)


def test_with_a_background_it_is_the_mean_fall(forest: tuple[object, np.ndarray], tissue: Callable[..., Case]) -> None:
    case, background = tissue(rows=1), forest[1][100:105]
    falls = []
    for other in background:
        x = np.array(case.rows.x[0])
        x[3] = other[3]
        falls.append(case.output[0] - case.value(x[None])[0])
    assert_allclose(explain.occlusion(case, remove=Marginal(background)).values[0, 3], np.mean(falls), atol=1e-12)


def test_a_part_that_a_row_lacks_gets_zero() -> None:
    cut = Features(np.array([[0, 1], [0, 0]]), ("a", "b"), per_row=True)
    case = examples.linear((2.0, 1.0), x=np.ones((2, 2)), features=cut)
    assert_allclose(explain.occlusion(case).values, [[2.0, 1.0], [3.0, 0.0]])
