from numpy.testing import assert_allclose
from tests.evaluate.settings import ROWS, curved, curved_value, digits, normalised, replace_values
from tests.oracles import ordered_removal as oracle

from assay import Constant, evaluate, examples, explain

ZERO = Constant(0.0)


def test_it_equals_the_literal_curve_row_by_row() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    expected = [oracle.insertion(curved_value, x, v, 0.5) for x, v in zip(ROWS, e.values)]
    assert_allclose(evaluate.insertion(e, case, remove=Constant(0.5)).values, expected, atol=1e-12)


def test_truth_beats_chance_beats_reversal() -> None:
    case, true, shuffled, reversed_ = normalised()
    scores = [evaluate.insertion(e, case, remove=ZERO).mean for e in (true, shuffled, reversed_)]
    assert scores[0] > scores[1] > scores[2]


def test_on_additive_models_it_mirrors_deletion_about_the_middle() -> None:
    case = examples.additive((5.0, 1.0, 2.0))  # v(top k) + v(all but top k) = v(all)
    e = explain.integrated_gradients(case)
    both = evaluate.insertion(e, case, remove=ZERO).values + evaluate.deletion(e, case, remove=ZERO).values
    assert_allclose(both, case.output)


def test_it_evaluates_the_coalitions_of_deletion_of_the_lowest_first(exact_rows: None) -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    evaluate.insertion(e, case, remove=ZERO)
    assert evaluate.deletion(replace_values(e, -e.values), case, remove=ZERO).provenance.cost == {}


def test_a_trained_net_recognises_digits_sooner_by_integrated_gradients_than_by_its_reverse() -> None:
    case = digits()
    e = explain.integrated_gradients(case, steps=8)
    good = evaluate.insertion(e, case, steps=16, remove=ZERO)
    bad = evaluate.insertion(replace_values(e, -e.values), case, steps=16, remove=ZERO)
    assert (good.values > bad.values).all()
