"""Occlusion."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.oracles.games import value_of

from assay import examples, explain
from assay.basics.errors import CapabilityError, InputError
from assay.cases.case import Case
from assay.cases.removals import Constant, Marginal
from assay.nouns.inputs.features import Features, grid
from assay.nouns.inputs.rows import to_floats

ZERO = Constant(0.0)


def test_what_needs_a_part_is_lost_with_it() -> None:
    case = examples.unanimity({(0, 1): 2.0, (1,): 3.0, (2,): -1.0}, 4)
    assert_allclose(explain.occlusion(case, remove=ZERO).values, [[2.0, 5.0, -1.0, 0.0]])


def test_on_a_linear_model_it_is_weight_times_what_was_removed() -> None:
    case = examples.linear((2, -1), x=[3.0, 5.0])
    assert_allclose(explain.occlusion(case, remove=Constant(1.0)).values, [[4.0, -4.0]])


def test_stand_ins_hide_one_another() -> None:
    case = examples.analytic(lambda x: x.max(axis=1), lambda x: x, [[1.0, 1.0]], "either")
    assert_allclose(explain.occlusion(case, remove=ZERO).values, [[0.0, 0.0]])


def test_it_asks_each_part_once_and_the_row_once() -> None:
    case, _ = examples.random_game(7)
    explain.occlusion(case, remove=ZERO)
    assert case.model.meter.forwards == 8


def test_it_has_no_base_and_no_error() -> None:
    result = explain.occlusion(examples.product(), remove=ZERO)
    assert np.isnan(result.base).all()
    assert result.stderr is None


def test_on_a_forest_it_is_the_fall_asked_one_part_at_a_time(tissue: Callable[..., Case]) -> None:
    case = tissue(rows=2)
    v = value_of(case, row=1)
    whole = frozenset(range(10))
    assert_allclose(
        explain.occlusion(case, remove=ZERO).values[1], [v(whole) - v(whole - {i}) for i in range(10)], atol=1e-12
    )


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
    assert_allclose(explain.occlusion(case, remove=ZERO).values, [[2.0, 1.0], [3.0, 0.0]])


def test_windows_in_a_row_are_averaged_over_those_that_cover_a_part() -> None:
    case, _ = examples.random_game(5, seed=2)
    v, whole = value_of(case), frozenset(range(5))
    falls = [v(whole) - v(whole - {i, i + 1, i + 2}) for i in range(3)]
    covering = [[0], [0, 1], [0, 1, 2], [1, 2], [2]]
    expected = [np.mean([falls[w] for w in some]) for some in covering]
    assert_allclose(explain.occlusion(case, together=3, remove=ZERO).values, [expected], atol=1e-12)


@pytest.mark.parametrize("patch", [1, 2, 3])
def test_windows_on_a_grid_are_squares(digits: Callable[..., Case], patch: int) -> None:
    case = digits(rows=1, features=grid((1, 8, 8), patch))
    side = -(-8 // patch)
    fall, covered = np.zeros((side, side)), np.zeros((side, side))
    for top in range(side - 1):
        for left in range(side - 1):
            moved = to_floats(case.rows.x).copy()
            moved[:, :, top * patch : (top + 2) * patch, left * patch : (left + 2) * patch] = 0.0
            fall[top : top + 2, left : left + 2] += case.output - case.value(moved_like(case, moved))
            covered[top : top + 2, left : left + 2] += 1
    result = explain.occlusion(case, together=2, remove=ZERO)
    assert_allclose(result.values[0], (fall / covered).ravel(), atol=1e-5)
    assert np.abs(result.values).max() > 0.1


def moved_like(case: Case, x: np.ndarray) -> object:
    import torch

    return torch.as_tensor(x, dtype=case.rows.x.dtype)


def test_one_window_over_everything_gives_all_features_the_whole_decrease(digits: Callable[..., Case]) -> None:
    case = digits(rows=2)
    bare = case.game(Constant(0.0)).table(np.zeros((1, 16), dtype=bool))
    values = explain.occlusion(case, together=99, remove=ZERO).values
    assert_allclose(values, np.repeat(case.output[:, None] - bare, 16, axis=1), atol=1e-6)


def test_windows_on_superpixels_are_refused(digits: Callable[..., Case]) -> None:
    index = np.zeros((3, 1, 8, 8), dtype=int)
    index[:, :, 3:, 2:] = 1
    case = digits(features=Features(index, ("a", "b"), per_row=True))
    assert explain.occlusion(case, remove=ZERO).values.shape == (3, 2)
    with pytest.raises(CapabilityError, match="features on a grid"):
        explain.occlusion(case, together=2, remove=ZERO)


def test_a_window_without_parts_is_refused() -> None:
    with pytest.raises(InputError, match="together=0"):
        explain.occlusion(examples.product(), together=0, remove=ZERO)
