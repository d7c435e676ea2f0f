import pytest
from numpy.testing import assert_allclose
from tests.evaluate.settings import ROWS, curved, curved_value, normalised
from tests.oracles import ordered_removal as oracle

from assay import Constant, evaluate, explain
from assay.basics.errors import InputError

ZERO = Constant(0.0)

HALF = Constant(0.5)


def test_it_equals_the_literal_curve_row_by_row() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    expected = [oracle.aopc(curved_value, x, v, 0.5, 6) for x, v in zip(ROWS, e.values)]
    assert_allclose(evaluate.region_perturbation(e, case, remove=HALF).values, expected, atol=1e-12)


def test_truth_beats_chance_beats_reversal() -> None:
    case, true, shuffled, reversed_ = normalised()
    scores = [evaluate.region_perturbation(e, case, remove=ZERO).mean for e in (true, shuffled, reversed_)]
    assert scores[0] > scores[1] > scores[2]


def test_it_stops_after_the_regions_it_is_given() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    expected = [oracle.aopc(curved_value, x, v, 0.5, 2) for x, v in zip(ROWS, e.values)]
    score = evaluate.region_perturbation(e, case, remove=HALF, regions=2)
    assert_allclose(score.values, expected, atol=1e-12)
    assert score.provenance.cost == {"forwards": 8}


def test_q7_a_high_score_is_a_good_one_and_said_to_be() -> None:
    case, true, _, reversed_ = normalised()
    good, bad = (
        evaluate.region_perturbation(true, case, remove=ZERO),
        evaluate.region_perturbation(reversed_, case, remove=ZERO),
    )
    assert good.mean > bad.mean
    assert good.better == "higher"


def test_no_regions_are_refused() -> None:
    case = curved()
    with pytest.raises(InputError, match="regions=0; at least 1"):
        evaluate.region_perturbation(explain.saliency(case), case, regions=0, remove=ZERO)
