from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.evaluate.settings import ROWS, curved, curved_value, digits, forest, normalised, replace_values
from tests.oracles import random_removal as oracle

from assay import Constant, Marginal, evaluate, examples, explain
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.engine.removal.random_removal import fixed_size_coalitions

ZERO = Constant(0.0)


def test_it_equals_the_literal_mean_over_all_subsets_of_each_size() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    score = evaluate.sensitivity_n(e, case, remove=Constant(0.5), shares=(1 / 6, 0.5, 0.8), draws=20)
    for size in (1, 3, 5):
        subsets = list(combinations(range(6), size))
        expected = [oracle.pearson(*oracle.pairs(curved_value, x, v, 0.5, subsets)) for x, v in zip(ROWS, e.values)]
        assert_allclose(score.extra[f"without {size}"], expected, atol=1e-10)
    assert_allclose(score.values, np.mean([score.extra[f"without {size}"] for size in (1, 3, 5)], axis=0))
    assert_allclose(score.extra["sizes"], 3.0)
    assert_allclose(score.stderr, 0.0)


def test_a_size_without_a_correlation_is_left_out_of_the_mean() -> None:
    """f = ab + bc + ac: with two of three removed nothing is left of it, whichever two."""
    x = np.array([[1.0, 2.0, 4.0], [3.0, 1.0, -2.0]])
    case = examples.analytic(
        lambda x: x[:, 0] * x[:, 1] + x[:, 1] * x[:, 2] + x[:, 0] * x[:, 2],
        lambda x: x.sum(axis=1, keepdims=True) - x,
        x,
        "pairs",
    )
    phi = np.array([[1.0, 0.5, 3.0], [2.0, -1.0, 0.3]])
    score = evaluate.sensitivity_n(
        replace_values(explain.saliency(case), phi), case, shares=(1 / 3, 2 / 3), remove=ZERO
    )
    falls = x * (x.sum(axis=1, keepdims=True) - x)  # without a: a (b + c)
    expected = [oracle.pearson(one, other) for one, other in zip(phi, falls)]
    assert_allclose(score.extra["without 1"], expected)
    assert np.isnan(score.extra["without 2"]).all()
    assert_allclose(score.values, expected)
    assert_allclose(score.stderr, 0.0)
    assert_allclose(score.extra["sizes"], 1.0)


def test_attributions_and_falls_are_of_the_same_parts_q3() -> None:
    """Sums of all that has gone, not of the last step; across subsets of one row, not across rows."""
    case = examples.additive(np.array([5.0, 1.0, 3.0, 2.0, 4.0, 0.5]))
    right = explain.integrated_gradients(case)
    assert_allclose(evaluate.sensitivity_n(right, case, remove=ZERO).values, 1.0)
    two = curved()
    e = explain.integrated_gradients(two)
    for row in range(4):
        alone = evaluate.sensitivity_n(explain.integrated_gradients(two.take([row])), two.take([row]), remove=ZERO)
        assert_allclose(alone.values, evaluate.sensitivity_n(e, two, remove=ZERO).values[[row]])


def test_every_batch_counts_q2() -> None:
    case = digits(5)
    small = replace(case, model=replace(case.model, batch=2))
    e = explain.integrated_gradients(case, steps=4)
    score = evaluate.sensitivity_n(e, case, draws=20, remove=ZERO)
    assert len(score.values) == 5
    assert np.ptp(score.values) > 0
    assert_allclose(evaluate.sensitivity_n(e, small, draws=20, remove=ZERO).values, score.values, atol=1e-5)


def test_a_size_used_by_the_faithfulness_correlation_needs_no_evaluations() -> None:
    case = digits(2)
    e = explain.saliency(case)
    known = evaluate.faithfulness_correlation(e, case, size=0.2, remove=ZERO)
    score = evaluate.sensitivity_n(e, case, shares=(0.2,), remove=ZERO)
    assert score.provenance.cost == {}
    assert score.values.tolist() == known.values.tolist()
    assert score.stderr is not None
    assert known.stderr is not None
    assert score.stderr.tolist() == known.stderr.tolist()


def test_the_standard_error_covers_the_exact_value_about_as_often_as_it_says() -> None:
    case = examples.random_game(10, seed=3)[0]
    e = explain.integrated_gradients(case)
    exact = evaluate.sensitivity_n(e, case, shares=(0.4, 0.5), draws=252, remove=ZERO)
    inside = 0
    for seed in range(60):
        drawn = evaluate.sensitivity_n(e, replace(case, seed=Seed(seed)), shares=(0.4, 0.5), draws=100, remove=ZERO)
        assert drawn.stderr is not None
        inside += abs(drawn.values[0] - exact.values[0]) < 2 * drawn.stderr[0]
    assert 52 <= inside <= 60


def test_truth_beats_chance_beats_reversal() -> None:
    case, true, shuffled, reversed_ = normalised()
    scores = [evaluate.sensitivity_n(e, case, remove=ZERO).mean for e in (true, shuffled, reversed_)]
    assert scores[0] > scores[1] > scores[2]


def test_sizes_that_several_shares_name_count_once_and_all_parts_are_no_size() -> None:
    case = examples.additive((3.0, 1.0, 2.0, 5.0))
    score = evaluate.sensitivity_n(explain.saliency(case), case, shares=(0.01, 0.05, 0.2, 0.4, 0.6, 0.8), remove=ZERO)
    assert [name for name in score.extra if name != "sizes"] == ["without 1", "without 2", "without 3"]


def test_a_single_part_and_a_constant_explanation_have_none() -> None:
    one = examples.linear((2.0,))
    assert np.isnan(evaluate.sensitivity_n(explain.saliency(one), one, remove=ZERO).values).all()
    case = examples.additive((1.0, 2.0, 3.0))
    same = replace_values(explain.saliency(case), [[0.1, 0.1, 0.1]])
    score = evaluate.sensitivity_n(same, case, remove=ZERO)
    assert np.isnan(score.values).all()
    assert score.extra["sizes"].tolist() == [0.0]


@pytest.mark.parametrize("shares", [(), (0.0,), (1.0,)])
def test_no_sizes_are_refused(shares: tuple[float, ...]) -> None:
    case = curved()
    with pytest.raises(InputError, match="shares"):
        evaluate.sensitivity_n(explain.saliency(case), case, shares=shares, remove=ZERO)


def test_shapley_values_of_a_forest_follow_every_patient() -> None:
    case, background = forest()
    remove = Marginal(background[:4])
    e = explain.shapley(case, remove=remove, budget=128)
    score = evaluate.sensitivity_n(e, case, remove=remove, draws=40)
    assert score.stderr is not None
    assert (score.values - 2 * score.stderr > 0).all()
    assert len(fixed_size_coalitions(case, 0.2, 40).masks) == 40
