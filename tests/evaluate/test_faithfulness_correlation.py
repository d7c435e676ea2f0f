from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.evaluate.settings import ROWS, curved, curved_value, forest, normalised, replace_values
from tests.oracles import random_removal as oracle

from assay import Constant, Marginal, evaluate, examples, explain
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.engine.removal.random_removal import fixed_size_coalitions

ZERO = Constant(0.0)


def test_it_equals_the_literal_correlation_over_all_subsets_of_the_size() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    subsets = list(combinations(range(6), 2))
    expected = [oracle.pearson(*oracle.pairs(curved_value, x, v, 0.5, subsets)) for x, v in zip(ROWS, e.values)]
    score = evaluate.faithfulness_correlation(e, case, remove=Constant(0.5), size=0.3, draws=15)
    assert_allclose(score.values, expected, atol=1e-10)
    assert_allclose(score.stderr, 0.0)


def test_drawn_subsets_give_the_literal_correlation_and_jackknife() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    gone = [np.flatnonzero(~mask).tolist() for mask in fixed_size_coalitions(case, 0.5, 12).masks]
    both = [oracle.pairs(curved_value, x, v, 0.0, gone) for x, v in zip(ROWS, e.values)]
    score = evaluate.faithfulness_correlation(e, case, size=0.5, draws=12, remove=ZERO)
    assert_allclose(score.values, [oracle.pearson(*p) for p in both], atol=1e-10)
    assert_allclose(score.stderr, [oracle.jackknife(*p) for p in both], atol=1e-10)


def test_the_standard_error_covers_the_exact_value_about_as_often_as_it_says() -> None:
    case = examples.random_game(10, seed=3)[0]
    e = explain.integrated_gradients(case)
    exact = evaluate.faithfulness_correlation(e, case, size=0.5, draws=252, remove=ZERO)
    inside = 0
    for seed in range(60):
        other = replace(case, seed=Seed(seed))
        drawn = evaluate.faithfulness_correlation(e, other, size=0.5, draws=100, remove=ZERO)
        assert drawn.stderr is not None
        inside += abs(drawn.values[0] - exact.values[0]) < 2 * drawn.stderr[0]
    assert exact.stderr is not None
    assert exact.stderr[0] == 0
    assert 52 <= inside <= 60


def test_effects_of_an_additive_model_correlate_perfectly() -> None:
    case, true, _, _ = normalised()
    assert_allclose(evaluate.faithfulness_correlation(true, case, remove=ZERO).values, [1.0])


def test_truth_beats_chance_beats_reversal() -> None:
    case, true, shuffled, reversed_ = normalised()
    scores = [evaluate.faithfulness_correlation(e, case, remove=ZERO).mean for e in (true, shuffled, reversed_)]
    assert scores[0] > scores[1] > scores[2]


@pytest.mark.parametrize("level", [1.0, 0.1, 1 / 3])
def test_a_constant_explanation_has_no_correlation_not_even_by_rounding(level: float) -> None:
    case = examples.additive(np.arange(1.0, 51.0))  # sums of 10 equal values in many orders
    same = replace_values(explain.saliency(case), np.full((1, 50), level))
    score = evaluate.faithfulness_correlation(same, case, remove=ZERO)
    assert not score.defined.any()
    assert any(note.code == "undefined" for note in score.notes)


def test_a_model_that_never_moves_has_no_correlation() -> None:
    case = examples.linear((0.0, 0.0, 0.0), intercept=0.1)
    score = evaluate.faithfulness_correlation(replace_values(explain.saliency(case), [[1, 2, 3]]), case, remove=ZERO)
    assert np.isnan(score.values).all()
    assert score.stderr is not None
    assert np.isnan(score.stderr).all()


def test_scale_and_sign_of_the_explanation_act_as_in_a_correlation() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    score = evaluate.faithfulness_correlation(e, case, remove=ZERO).values
    assert_allclose(
        evaluate.faithfulness_correlation(replace_values(e, 10 * e.values), case, remove=ZERO).values, score
    )
    assert_allclose(evaluate.faithfulness_correlation(replace_values(e, -e.values), case, remove=ZERO).values, -score)


@pytest.mark.parametrize("options", [{"size": 0.0}, {"size": 1.0}, {"draws": 2}])
def test_sizes_and_draws_that_make_no_correlation_are_refused(options: dict[str, float]) -> None:
    case = curved()
    with pytest.raises(InputError, match=next(iter(options))):
        evaluate.faithfulness_correlation(explain.saliency(case), case, remove=ZERO, **options)  # type: ignore[arg-type]  # one a time


def test_shapley_values_of_a_forest_beat_their_reverse_on_every_patient() -> None:
    case, background = forest()
    remove = Marginal(background[:4])
    e = explain.shapley(case, remove=remove, budget=128)
    good = evaluate.faithfulness_correlation(e, case, remove=remove, draws=60)
    assert good.stderr is not None
    assert (good.values - 2 * good.stderr > 0).all()
