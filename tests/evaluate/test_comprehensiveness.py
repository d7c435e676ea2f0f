import pytest
from numpy.testing import assert_allclose
from tests.evaluate.settings import ROWS, curved, curved_value, normalised
from tests.oracles import ordered_removal as oracle

from assay import Constant, evaluate, examples, explain
from assay.basics.errors import InputError

ZERO = Constant(0.0)

SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)


def test_it_equals_the_literal_mean_row_by_row() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    expected = [oracle.comprehensiveness(curved_value, x, v, 0.5, SHARES) for x, v in zip(ROWS, e.values)]
    assert_allclose(evaluate.comprehensiveness(e, case, remove=Constant(0.5)).values, expected, atol=1e-12)


def test_each_share_is_rounded_up_to_whole_parts() -> None:
    case = examples.additive((4.0, 3.0, 2.0, 1.0))
    e = explain.integrated_gradients(case)
    assert_allclose(evaluate.comprehensiveness(e, case, shares=(0.5,), remove=ZERO).values, [7.0])
    assert_allclose(evaluate.comprehensiveness(e, case, shares=(0.51,), remove=ZERO).values, [9.0])


def test_rounding_does_not_add_a_part_to_a_share_that_is_whole() -> None:
    case = examples.additive([1.0] * 10)
    e = explain.integrated_gradients(case)
    assert 0.1 * 3 * 10 > 3  # binary fractions
    assert_allclose(evaluate.comprehensiveness(e, case, shares=(0.1 * 3,), remove=ZERO).values, [3.0])


def test_truth_beats_chance_beats_reversal() -> None:
    case, true, shuffled, reversed_ = normalised()
    scores = [evaluate.comprehensiveness(e, case, remove=ZERO).mean for e in (true, shuffled, reversed_)]
    assert scores[0] > scores[1] > scores[2]


@pytest.mark.parametrize("shares", [(), (0.0,), (0.5, 1.5)])
def test_shares_that_are_none_are_refused(shares: tuple[float, ...]) -> None:
    case = curved()
    with pytest.raises(InputError, match="at least one fraction of the features"):
        evaluate.comprehensiveness(explain.saliency(case), case, shares=shares, remove=ZERO)
