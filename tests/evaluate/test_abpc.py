from numpy.testing import assert_allclose
from tests.evaluate.settings import ROWS, curved, curved_value, normalised, replace_values
from tests.oracles import ordered_removal as oracle

from assay import Constant, evaluate, examples, explain

ZERO = Constant(0.0)

HALF = Constant(0.5)


def test_it_equals_the_literal_curve_row_by_row() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    expected = [
        oracle.insertion(curved_value, x, v, 0.5) - oracle.deletion(curved_value, x, v, 0.5)
        for x, v in zip(ROWS, e.values)
    ]
    assert_allclose(evaluate.abpc(e, case, remove=HALF).values, expected, atol=1e-12)


def test_truth_beats_chance_beats_reversal() -> None:
    case, true, shuffled, reversed_ = normalised()
    scores = [evaluate.abpc(e, case, remove=ZERO).mean for e in (true, shuffled, reversed_)]
    assert scores[0] > scores[1] > scores[2]


def test_reversal_changes_its_sign() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    assert_allclose(
        evaluate.abpc(replace_values(e, -e.values), case, remove=ZERO).values,
        -evaluate.abpc(e, case, remove=ZERO).values,
        atol=1e-12,
    )


def test_it_is_free_after_insertion_and_deletion() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    evaluate.deletion(e, case, remove=ZERO), evaluate.insertion(e, case, remove=ZERO)
    assert evaluate.abpc(e, case, remove=ZERO).provenance.cost == {}


def test_one_part_that_is_everything_gets_the_whole_range_of_a_probability_but_for_the_slope_of_a_step() -> None:
    case = examples.additive((1.0, *[0.0] * 99))
    assert_allclose(evaluate.abpc(explain.integrated_gradients(case), case, remove=ZERO).values, [0.99])
