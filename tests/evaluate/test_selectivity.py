import itertools

from numpy.testing import assert_allclose
from tests.evaluate.settings import ROWS, curved, curved_value, normalised
from tests.oracles import ordered_removal as oracle

from assay import Constant, evaluate, examples, explain

ZERO = Constant(0.0)

HALF = Constant(0.5)


def test_it_equals_the_literal_curve_row_by_row() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    expected = []
    for x, v in zip(ROWS, e.values):
        curve = oracle.path(curved_value, x, v, 0.5)[1:]
        expected.append(sum((a + b) / 2 for a, b in itertools.pairwise(curve)) / 5)
    assert_allclose(evaluate.selectivity(e, case, remove=HALF).values, expected, atol=1e-12)


def test_truth_beats_chance_beats_reversal() -> None:
    case, true, shuffled, reversed_ = normalised()
    scores = [evaluate.selectivity(e, case, remove=ZERO).mean for e in (true, shuffled, reversed_)]
    assert scores[0] < scores[1] < scores[2]


def test_where_one_removal_takes_all_it_is_the_target_without_anything() -> None:
    case = examples.linear((2.0,))
    assert_allclose(evaluate.selectivity(explain.saliency(case), case, remove=ZERO).values, [0.0])
