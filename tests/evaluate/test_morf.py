from numpy.testing import assert_allclose
from tests.evaluate.settings import ROWS, curved, curved_value, normalised, replace_values
from tests.oracles import ordered_removal as oracle

from assay import Constant, evaluate, examples, explain

ZERO = Constant(0.0)

HALF = Constant(0.5)


def test_it_equals_the_literal_curve_row_by_row() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    expected = [sum(oracle.path(curved_value, x, v, 0.5)) / 7 for x, v in zip(ROWS, e.values)]
    assert_allclose(evaluate.morf(e, case, remove=HALF).values, expected, atol=1e-12)


def test_truth_beats_chance_beats_reversal() -> None:
    case, true, shuffled, reversed_ = normalised()
    scores = [evaluate.morf(e, case, remove=ZERO).mean for e in (true, shuffled, reversed_)]
    assert scores[0] < scores[1] < scores[2]


def test_fewer_steps_are_the_mean_over_fewer_points() -> None:
    case = examples.additive((4.0, 3.0, 2.0, 1.0))  # v = 10, 3, 0 in two steps
    assert_allclose(evaluate.morf(explain.integrated_gradients(case), case, steps=2, remove=ZERO).values, [13 / 3])


def test_it_is_free_after_deletion_and_so_are_the_others_of_its_curve() -> None:
    case = examples.additive(range(1, 21))
    e = explain.saliency(case)
    assert evaluate.deletion(e, case, remove=ZERO).provenance.cost == {"forwards": 20}
    for score in (evaluate.morf, evaluate.aopc, evaluate.selectivity, evaluate.irof, evaluate.monotonicity):
        assert score(e, case, remove=ZERO).provenance.cost == {}
    assert evaluate.region_perturbation(e, case, remove=ZERO).provenance.cost == {}


def test_a_row_without_an_explanation_has_no_score() -> None:
    case = curved()
    values = explain.saliency(case).values.copy()
    values[2, 1] = float("nan")
    assert evaluate.morf(replace_values(explain.saliency(case), values), case, remove=ZERO).defined.tolist() == [
        True,
        True,
        False,
        True,
    ]
