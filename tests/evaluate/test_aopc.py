from numpy.testing import assert_allclose
from tests.evaluate.settings import ROWS, curved, curved_value, normalised
from tests.oracles import ordered_removal as oracle

from assay import Constant, evaluate, explain

ZERO = Constant(0.0)

HALF = Constant(0.5)


def test_it_equals_the_literal_curve_row_by_row() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    expected = [oracle.aopc(curved_value, x, v, 0.5, 6) for x, v in zip(ROWS, e.values)]
    assert_allclose(evaluate.aopc(e, case, remove=HALF).values, expected, atol=1e-12)


def test_truth_beats_chance_beats_reversal() -> None:
    case, true, shuffled, reversed_ = normalised()
    scores = [evaluate.aopc(e, case, remove=ZERO).mean for e in (true, shuffled, reversed_)]
    assert scores[0] > scores[1] > scores[2]


def test_it_is_what_the_mean_of_the_curve_leaves_of_the_target() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    assert_allclose(
        evaluate.aopc(e, case, remove=ZERO).values, case.output - evaluate.morf(e, case, remove=ZERO).values
    )
