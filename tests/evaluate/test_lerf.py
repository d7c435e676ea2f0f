from numpy.testing import assert_allclose
from tests.evaluate.settings import ROWS, curved, curved_value, normalised, replace_values
from tests.oracles import ordered_removal as oracle

from assay import Constant, evaluate, explain

ZERO = Constant(0.0)

HALF = Constant(0.5)


def test_it_equals_the_literal_curve_row_by_row() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    expected = [sum(oracle.path(curved_value, x, v, 0.5, oracle.ranking(v)[::-1])) / 7 for x, v in zip(ROWS, e.values)]
    assert_allclose(evaluate.lerf(e, case, remove=HALF).values, expected, atol=1e-12)


def test_truth_beats_chance_beats_reversal() -> None:
    case, true, shuffled, reversed_ = normalised()
    scores = [evaluate.lerf(e, case, remove=ZERO).mean for e in (true, shuffled, reversed_)]
    assert scores[0] > scores[1] > scores[2]


def test_it_is_free_after_insertion_whatever_the_steps() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    for steps in (0, 4, 5):
        evaluate.insertion(e, case, steps=steps, remove=ZERO)
        assert evaluate.lerf(e, case, steps=steps, remove=ZERO).provenance.cost == {}


def test_it_is_the_mean_over_the_most_relevant_first_of_the_opposite() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    assert_allclose(
        evaluate.lerf(e, case, remove=ZERO).values,
        evaluate.morf(replace_values(e, -e.values), case, remove=ZERO).values,
    )
