"""RISE."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.oracles import games

from assay import Constant, examples, explain
from assay.basics.errors import InputError
from assay.cases.case import Case

ZERO = Constant(0.0)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_with_all_coalitions_it_is_the_expected_target_given_the_part(share: float) -> None:
    case, _ = examples.random_game(5, seed=2)
    assert_allclose(
        explain.rise(case, share=share, remove=ZERO).values[0], games.rise(games.value_of(case), 5, share), atol=1e-10
    )


def test_on_a_linear_model_it_is_half_the_rest_and_the_part_whole() -> None:
    assert_allclose(explain.rise(examples.linear((2.0, -1.0, 4.0)), remove=ZERO).values, [[3.5, 2.0, 4.5]])


def test_a_feature_without_effect_gets_the_mean_target() -> None:
    assert_allclose(explain.rise(examples.linear((2.0, 0.0, 4.0)), remove=ZERO).values[0, 1], 3.0)


def test_sampled_it_is_the_literal_mean_over_masks_that_keep_the_part(digits: Callable[..., Case]) -> None:
    case = digits(rows=2)
    masks = case.seed.child("design", "bernoulli 0.5").generator().random((70, 16)) < 0.5
    cut = case.features.index[0]
    totals, counts = np.zeros((2, 16)), np.zeros(16)
    for mask in masks:
        kept = np.asarray(case.rows.x) * mask[cut]
        answer = case.value(case.rows.convert(kept))
        for i in np.flatnonzero(mask):
            totals[:, i] += answer
            counts[i] += 1
    assert_allclose(explain.rise(case, budget=70, remove=ZERO).values, totals / counts, atol=1e-5)


def test_its_budget_is_spent_exactly() -> None:
    case, _ = examples.random_game(18)
    provenance = explain.rise(case, budget=200, remove=ZERO).provenance
    assert provenance.cost["forwards"] in (199, 200, 201)


def test_listed_it_has_no_error_and_sampled_it_has_one() -> None:
    case, _ = examples.random_game(8)
    assert_array_equal(explain.rise(case, budget=256, remove=ZERO).stderr, 0.0)
    assert explain.rise(case, budget=255, remove=ZERO).stderr.min() > 0


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_0_or_1_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="share="):
        explain.rise(examples.product(), share=share, remove=ZERO)
