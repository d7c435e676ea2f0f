import numpy as np
from numpy.testing import assert_allclose
from tests.evaluate.settings import ROWS, curved, curved_value, replace_values
from tests.oracles import ordered_removal as oracle

import assay
from assay import Constant, evaluate, examples, explain
from assay.model.adapters.function import function

ZERO = assay.Constant(0.0)

HALF = Constant(0.5)


def test_it_equals_the_literal_curve_row_by_row() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    expected = [oracle.monotonicity(curved_value, x, v, 0.5) for x, v in zip(ROWS, e.values)]
    assert_allclose(evaluate.monotonicity(e, case, remove=HALF).values, expected, atol=1e-12)


def test_q1_it_is_not_the_same_for_every_explanation() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    generator = np.random.default_rng(1)
    scores = [
        evaluate.monotonicity(replace_values(e, generator.normal(size=(4, 6))), case, remove=ZERO).values
        for _ in range(8)
    ]
    assert (np.ptp(scores, axis=0) > 0).all()


def test_q1_a_part_that_hurts_until_its_partner_is_there_should_come_after_it() -> None:
    model = function(lambda x: 3 * x[:, 0] * x[:, 1] - x[:, 0], name="partners", fingerprint="partners")
    case = assay.case(model, np.ones((1, 2)))  # v = 0, −1 alone, 0 alone, 2 together
    e = explain.shapley(case, remove=ZERO)
    last, first = (evaluate.monotonicity(replace_values(e, [v]), case, remove=ZERO) for v in ([2.0, 1.0], [1.0, 2.0]))
    assert (last.values[0], first.values[0]) == (1.0, 0.5)
    assert (last.extra["monotone"][0], first.extra["monotone"][0]) == (1.0, 0.0)


def test_without_interactions_it_is_the_share_of_parts_that_do_not_hurt_in_any_order() -> None:
    case = examples.additive((3.0, -2.0, 1.0, 0.0))
    e = explain.integrated_gradients(case)
    assert_allclose(
        [evaluate.monotonicity(x, case, remove=ZERO).values for x in (e, replace_values(e, -e.values))], 0.75
    )
