import numpy as np
from numpy.testing import assert_allclose
from tests.evaluate.settings import ROWS, curved, curved_value, normalised, replace_values
from tests.oracles import ordered_removal as oracle

from assay import Constant, evaluate, examples, explain

ZERO = Constant(0.0)


def test_it_equals_the_literal_curve_row_by_row() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    expected = [oracle.deletion(curved_value, x, v, 0.5) for x, v in zip(ROWS, e.values)]
    assert_allclose(evaluate.deletion(e, case, remove=Constant(0.5)).values, expected, atol=1e-12)


def test_the_intact_input_and_the_empty_one_are_both_on_the_curve() -> None:
    case = examples.linear((2.0,))
    assert_allclose(evaluate.deletion(explain.saliency(case), case, remove=ZERO).values, [1.0])


def test_truth_beats_chance_beats_reversal() -> None:
    case, true, shuffled, reversed_ = normalised()
    scores = [evaluate.deletion(e, case, remove=ZERO).mean for e in (true, shuffled, reversed_)]
    assert scores[0] < scores[1] < scores[2]


def test_fewer_steps_are_the_trapezium_rule_over_fewer_points() -> None:
    case = examples.additive((4.0, 3.0, 2.0, 1.0))  # v = 10, 3, 0 in two steps
    e = explain.integrated_gradients(case)
    assert_allclose(evaluate.deletion(e, case, steps=2, remove=ZERO).values, [(10 + 3) / 4 + (3 + 0) / 4])


def test_negative_values_are_as_good_as_any() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    lowered = replace_values(e, e.values - 100)
    assert_allclose(
        evaluate.deletion(lowered, case, remove=ZERO).values, evaluate.deletion(e, case, remove=ZERO).values
    )


def test_a_row_without_an_explanation_has_no_score() -> None:
    case = curved()
    values = np.array(explain.saliency(case).values)
    values[2, 1] = np.nan
    score = evaluate.deletion(replace_values(explain.saliency(case), values), case, remove=ZERO)
    assert score.defined.tolist() == [True, True, False, True]
    assert score.notes[-1].rows == ("2",)
