import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import spearmanr
from tests.evaluate.settings import ROWS, curved, curved_value, digits, forest, normalised, replace_values
from tests.oracles import random_removal as oracle

from assay import Constant, Marginal, evaluate, examples, explain

ZERO = Constant(0.0)


def test_with_one_filling_it_equals_the_literal_rank_correlation_after_occlusion_for_nothing() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    explain.occlusion(case, remove=ZERO)
    score = evaluate.monotonicity_correlation(e, case, remove=ZERO)
    assert score.provenance.cost == {}
    for row, (x, values) in enumerate(zip(ROWS, e.values)):
        moved = [(curved_value(x) - curved_value(oracle.without(x, [i], 0.0))) ** 2 for i in range(6)]
        assert_allclose(score.values[row], spearmanr(np.abs(values), moved).statistic)


def test_with_several_fillings_each_is_squared_by_itself() -> None:
    case, background = curved(), np.random.default_rng(1).normal(size=(5, 6))
    e = explain.saliency(case)
    score = evaluate.monotonicity_correlation(e, case, remove=Marginal(background))
    squared_mean = []
    for row, (x, values) in enumerate(zip(ROWS, e.values)):
        falls = [
            [curved_value(x) - curved_value(oracle.without(x, [i], other[i])) for other in background] for i in range(6)
        ]
        assert_allclose(score.values[row], spearmanr(values, np.mean(np.square(falls), axis=1)).statistic)
        squared_mean.append(spearmanr(values, np.mean(falls, axis=1) ** 2).statistic)
    assert np.abs(score.values - squared_mean).max() > 0.05


@pytest.mark.parametrize("level", [0.0, 1e-9, -1e-9])
def test_an_output_near_zero_is_no_special_case_q11(level: float) -> None:
    weights = np.array([3.0, -1.0, 2.0, -4.0])
    case = examples.linear(weights, intercept=level)  # f(1, 1, 1, 1) = 0 + level
    score = evaluate.monotonicity_correlation(explain.integrated_gradients(case), case, remove=ZERO)
    assert_allclose(score.values, 1.0)


def test_features_that_change_nothing_tie_despite_rounding() -> None:
    case = examples.analytic(
        lambda x: (0.1 + x[:, 1] + 0.6) - x[:, 1] + x[:, 0] / 4 + x[:, 3] / 8,
        lambda x: np.ones(x.shape),
        [[1.0, 1.0, 1.0, 1.0]],
        "rounded",
    )
    fall = explain.occlusion(case, remove=ZERO).values[0]
    assert 0 < abs(fall[1]) < 1e-15
    assert fall[2] == 0
    e = replace_values(explain.saliency(case), [[4.0, 2.0, 1.0, 3.0]])
    expected = spearmanr([4, 2, 1, 3], [2, 0, 0, 1]).statistic
    assert_allclose(evaluate.monotonicity_correlation(e, case, remove=ZERO).values, expected)


def test_nothing_that_moves_and_equal_sizes_have_none() -> None:
    still = examples.linear((0.0, 0.0, 0.0), intercept=0.1)
    given = replace_values(explain.saliency(still), [[1.0, 2.0, 3.0]])
    assert np.isnan(evaluate.monotonicity_correlation(given, still, remove=ZERO).values).all()
    case = examples.additive((1.0, 2.0, 3.0))
    same = replace_values(explain.saliency(case), [[2.0, -2.0, 2.0]])
    assert np.isnan(evaluate.monotonicity_correlation(same, case, remove=ZERO).values).all()


def test_all_explanations_are_evaluated_on_the_same_inputs() -> None:
    case, background = forest()
    one, other = explain.shapley(case, budget=128, remove=ZERO), explain.random(case)
    remove = Marginal(background[:2])
    first = evaluate.monotonicity_correlation(one, case, remove=remove)
    again = evaluate.monotonicity_correlation(other, case, remove=remove)
    assert first.provenance.cost == again.provenance.cost == {"forwards": 3 * 30 * 2}
    picture = digits(2)
    evaluate.monotonicity_correlation(explain.saliency(picture), picture, remove=ZERO)
    assert evaluate.monotonicity_correlation(explain.edges(picture), picture, remove=ZERO).provenance.cost == {}


def test_truth_beats_chance() -> None:
    case, true, shuffled, _ = normalised()
    scores = [evaluate.monotonicity_correlation(e, case, remove=ZERO).mean for e in (true, shuffled)]
    assert scores[0] == pytest.approx(1.0)
    assert scores[1] < 0.9
