import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.evaluate.settings import curved, replace_values

from assay import evaluate, examples, explain


def test_it_is_hills_number_of_order_one_and_extra_has_order_two() -> None:
    question = curved()
    e = explain.integrated_gradients(question)
    score = evaluate.effective_parts(e, question)
    for row, values in enumerate(np.abs(e.values)):
        p = values / values.sum()
        assert_allclose(score.values[row], math.prod(q**-q for q in p))
        assert_allclose(score.extra["participation"][row], 1 / sum(q * q for q in p))


@pytest.mark.parametrize("equal", [1, 2, 5])
def test_so_many_equal_parts_and_nothing_else_are_so_many(equal: int) -> None:
    question = examples.linear([1.0] * equal + [0.0] * 4)
    score = evaluate.effective_parts(explain.saliency(question), question)
    assert_allclose([score.values[0], score.extra["participation"][0]], equal)


def test_scale_sign_and_order_do_not_matter() -> None:
    question = curved()
    e = explain.integrated_gradients(question)
    other = replace_values(e, -1000 * e.values[:, ::-1])
    assert_allclose(evaluate.effective_parts(other, question).values, evaluate.effective_parts(e, question).values)


def test_it_lies_between_one_and_the_number_of_parts_and_above_the_order_two() -> None:
    question = curved()
    score = evaluate.effective_parts(explain.integrated_gradients(question), question)
    assert ((score.values >= 1) & (score.values <= 6)).all()
    assert (score.extra["participation"] <= score.values + 1e-12).all()


def test_nothing_attributed_is_undefined() -> None:
    question = examples.saturated(2.0)
    assert np.isnan(evaluate.effective_parts(explain.saliency(question), question).values).all()
