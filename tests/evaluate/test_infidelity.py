from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.evaluate.settings import ROWS, curved, curved_value, digits, normalised, replace_values
from tests.oracles import random_removal as oracle

from assay import Constant, evaluate, examples, explain, grid
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.cases.new_case import case as make_case
from assay.engine.removal.random_removal import bernoulli_coalitions

ZERO = Constant(0.0)


def test_it_equals_the_literal_mean_over_all_subsets() -> None:
    case = curved()
    e = explain.integrated_gradients(case)
    subsets = oracle.subsets(6)
    expected = [oracle.infidelity(curved_value, x, v, 0.5, subsets) for x, v in zip(ROWS, e.values)]
    score = evaluate.infidelity(e, case, remove=Constant(0.5), draws=64)
    assert_allclose(score.values, expected, atol=1e-10)
    assert_allclose(score.stderr, 0.0)


def test_drawn_subsets_give_the_literal_mean_and_its_standard_error() -> None:
    case = curved()
    e = explain.integrated_gradients(case)
    gone = [np.flatnonzero(~mask).tolist() for mask in bernoulli_coalitions(case, 20).masks]
    score = evaluate.infidelity(e, case, draws=20, remove=ZERO)
    assert score.stderr is not None
    for row in range(4):
        each = [oracle.infidelity(curved_value, ROWS[row], e.values[row], 0.0, [g]) for g in gone]
        assert_allclose(score.values[row], np.mean(each))
        assert_allclose(score.stderr[row], np.std(each, ddof=1) / np.sqrt(20))


def test_effects_of_an_additive_model_have_none() -> None:
    case, true, _, _ = normalised()
    assert_allclose(evaluate.infidelity(true, case, remove=ZERO).values, 0.0, atol=1e-20)


def test_shapley_values_of_a_product_miss_what_the_pair_does() -> None:
    case = examples.product((2.0, 3.0))  # subsets {1}, {2} each miss by 3
    assert_allclose(evaluate.infidelity(explain.shapley(case, remove=ZERO), case, remove=ZERO).values, [4.5])


def test_truth_beats_chance_beats_reversal() -> None:
    case, true, shuffled, reversed_ = normalised()
    scores = [evaluate.infidelity(e, case, remove=ZERO).mean for e in (true, shuffled, reversed_)]
    assert scores[0] < scores[1] < scores[2]


def test_model_and_explanation_ten_times_as_large_give_a_hundred_times_the_score() -> None:
    weights = np.array([2.0, -1.0, 0.5])
    small, large = examples.linear(weights), examples.linear(10 * weights)
    guess = np.array([[1.0, 1.0, -1.0]])
    one = evaluate.infidelity(replace_values(explain.saliency(small), guess), small, remove=ZERO).values
    ten = evaluate.infidelity(replace_values(explain.saliency(large), 10 * guess), large, remove=ZERO).values
    assert_allclose(ten, 100 * one)


def test_scaled_it_is_blind_to_the_scale_of_the_explanation() -> None:
    case = curved()
    e = explain.saliency(case)
    one = evaluate.infidelity(e, case, scaled=True, remove=ZERO)
    ten = evaluate.infidelity(replace_values(e, 10 * e.values), case, scaled=True, remove=ZERO)
    assert_allclose(ten.values, one.values)
    assert_allclose(10 * ten.extra["scale"], one.extra["scale"])


def test_no_other_factor_fits_better_than_the_scale_it_reports() -> None:
    case = curved()
    e = explain.saliency(case)
    score = evaluate.infidelity(e, case, scaled=True, remove=ZERO)
    for row, (best, beta) in enumerate(zip(score.values, score.extra["scale"])):
        tried = [
            oracle.infidelity(curved_value, ROWS[row], e.values[row], 0.0, oracle.subsets(6), beta + step)
            for step in (-0.01, 0.0, 0.01)
        ]
        assert_allclose(tried[1], best)
        assert min(tried) == tried[1]


def test_an_explanation_of_zeros_leaves_the_whole_fall() -> None:
    case = examples.linear((2.0,))  # falls by 0 or 2
    nothing = replace_values(explain.saliency(case), [[0.0]])
    assert_allclose(evaluate.infidelity(nothing, case, scaled=True, remove=ZERO).values, [2.0])


def test_the_standard_error_covers_the_exact_value_about_as_often_as_it_says() -> None:
    case = curved()
    e = explain.saliency(case)
    exact = evaluate.infidelity(e, case, draws=64, remove=ZERO).values[0]
    drawn = [evaluate.infidelity(e, replace(case, seed=Seed(s)), draws=50, remove=ZERO) for s in range(60)]
    inside = [abs(d.values[0] - exact) < 2 * d.stderr[0] for d in drawn if d.stderr is not None]
    assert 50 <= sum(inside) <= 60


def test_a_single_draw_is_refused() -> None:
    case = curved()
    with pytest.raises(InputError, match="draws=1"):
        evaluate.infidelity(explain.saliency(case), case, draws=1, remove=ZERO)


def test_no_draw_repeats_another_and_none_takes_parts_away_for_the_next_q15() -> None:
    case = digits(2)
    e = explain.saliency(case)
    masks = bernoulli_coalitions(case, 100).masks
    assert (
        evaluate.infidelity(e, case, draws=100, remove=ZERO).provenance.cost["forwards"]
        == len(np.unique(masks, axis=0)) * 2
        == 200
    )
    assert abs(masks.mean() - 0.5) < 0.02
    assert np.abs(np.corrcoef(masks[:-1].ravel(), masks[1:].ravel())[0, 1]) < 0.05


def test_patches_need_not_divide_the_picture_q15() -> None:
    case = digits(2)
    uneven = make_case(case.model, case.rows.x, features=grid((1, 8, 8), 3))
    score = evaluate.infidelity(explain.occlusion(uneven, remove=ZERO), uneven, remove=ZERO)
    assert np.isfinite(score.values).all()
