import numpy as np
from numpy.testing import assert_allclose
from tests.evaluate.settings import ROWS, curved, curved_value, digits, normalised, replace_values
from tests.oracles import random_removal as oracle

from assay import Constant, evaluate, examples, explain, grid
from assay.cases.new_case import case as make_case

ZERO = Constant(0.0)


def test_it_equals_the_literal_correlation() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    alone = [(i,) for i in range(6)]
    expected = [oracle.pearson(*oracle.pairs(curved_value, x, v, 0.5, alone)) for x, v in zip(ROWS, e.values)]
    assert_allclose(evaluate.faithfulness_estimate(e, case, remove=Constant(0.5)).values, expected)


def test_after_occlusion_it_costs_nothing_and_occlusion_gets_one() -> None:
    case = digits(3)
    cut = make_case(case.model, case.rows.x, features=grid((1, 8, 8), 2))
    e = explain.occlusion(cut, remove=ZERO)
    score = evaluate.faithfulness_estimate(e, cut, remove=ZERO)
    assert score.provenance.cost == {}
    assert_allclose(score.values, 1.0)


def test_truth_beats_chance_beats_reversal() -> None:
    case, true, shuffled, reversed_ = normalised()
    scores = [evaluate.faithfulness_estimate(e, case, remove=ZERO).mean for e in (true, shuffled, reversed_)]
    assert scores[0] > scores[1] > scores[2]


def test_where_nothing_differs_there_is_no_correlation_not_even_by_rounding() -> None:
    still = examples.linear((0.0, 0.0, 0.0), intercept=0.1)
    given = replace_values(explain.saliency(still), [[1.0, 2.0, 3.0]])
    assert np.isnan(evaluate.faithfulness_estimate(given, still, remove=ZERO).values).all()
    case = examples.additive((1.0, 2.0, 3.0))
    same = replace_values(explain.saliency(case), [[0.3, 0.1 + 0.2, 0.3]])
    assert np.isnan(evaluate.faithfulness_estimate(same, case, remove=ZERO).values).all()


def test_two_redundant_features_lower_the_score() -> None:
    case = examples.analytic(
        lambda x: np.maximum(x[:, 0], x[:, 1]) + x[:, 2], lambda x: np.ones(x.shape), [[2.0, 2.0, 0.5]], "either"
    )
    assert evaluate.faithfulness_estimate(explain.shapley(case, remove=ZERO), case, remove=ZERO).mean < 0
