import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.evaluate.settings import curved, replace_values
from tests.oracles.sparseness import gini

from assay import Constant, evaluate, examples, explain, integer_map
from assay.cases.new_case import case
from assay.model import function
from assay.nouns.inputs.features import Features

ZERO = Constant(0.0)


def test_it_equals_the_mean_difference_of_all_pairs() -> None:
    question = curved()
    e = explain.integrated_gradients(question)
    assert_allclose(evaluate.sparseness(e, question).values, [gini(v) for v in e.values])


@pytest.mark.parametrize("parts", [1, 2, 6, 50])
def test_one_part_alone_reaches_one_minus_one_over_n(parts: int) -> None:
    question = examples.linear([1.0] + [0.0] * (parts - 1))
    assert_allclose(evaluate.sparseness(explain.saliency(question), question).values, [1 - 1 / parts])


def test_equal_magnitudes_are_not_sparse_whatever_their_signs() -> None:
    question = examples.linear((1.0, -1.0, 1.0, -1.0))
    assert_allclose(evaluate.sparseness(explain.saliency(question, signed=True), question).values, [0.0], atol=1e-12)


def test_scale_and_order_of_parts_do_not_matter() -> None:
    question = curved()
    e = explain.integrated_gradients(question)
    other = replace_values(e, 1000 * e.values[:, ::-1])
    assert_allclose(evaluate.sparseness(other, question).values, evaluate.sparseness(e, question).values)


def test_all_zeros_is_undefined() -> None:
    question = examples.saturated(2.0)
    assert np.isnan(evaluate.sparseness(explain.saliency(question), question).values).all()


def test_a_part_that_a_row_lacks_does_not_make_it_sparser() -> None:
    cuts = Features(np.array([[0, 1, 2], [0, 0, 1]]), ("a", "b", "c"), per_row=True)
    question = case(function(lambda x: x.sum(axis=1), name="sum"), np.ones((2, 3)), features=cuts)
    e = explain.shapley(question, remove=ZERO)
    alone = case(function(lambda x: x.sum(axis=1), name="sum"), np.ones((1, 3)), features=integer_map([0, 0, 1]))
    assert_allclose(
        evaluate.sparseness(e, question).values[1:],
        evaluate.sparseness(explain.shapley(alone, remove=ZERO), alone).values,
    )


def test_it_takes_no_side() -> None:
    question = curved()
    assert evaluate.sparseness(explain.saliency(question), question).better == "neither"
