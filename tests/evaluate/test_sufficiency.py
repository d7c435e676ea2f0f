from numpy.testing import assert_allclose
from tests.evaluate.settings import ROWS, curved, curved_value, normalised
from tests.oracles import ordered_removal as oracle

from assay import Constant, evaluate, examples, explain

ZERO = Constant(0.0)

SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)


def test_it_equals_the_literal_mean_row_by_row() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    expected = [oracle.sufficiency(curved_value, x, v, 0.5, SHARES) for x, v in zip(ROWS, e.values)]
    assert_allclose(evaluate.sufficiency(e, case, remove=Constant(0.5)).values, expected, atol=1e-12)


def test_one_part_that_is_everything_suffices() -> None:
    case = examples.additive((0.0, 3.0, 0.0))
    assert_allclose(evaluate.sufficiency(explain.integrated_gradients(case), case, remove=ZERO).values, [0.0])


def test_truth_beats_chance_beats_reversal() -> None:
    case, true, shuffled, reversed_ = normalised()
    scores = [evaluate.sufficiency(e, case, remove=ZERO).mean for e in (true, shuffled, reversed_)]
    assert scores[0] < scores[1] < scores[2]


def test_keeping_all_parts_loses_nothing() -> None:
    case = curved()
    assert_allclose(evaluate.sufficiency(explain.saliency(case), case, shares=(1.0,), remove=ZERO).values, 0.0)
