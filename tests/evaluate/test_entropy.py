import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.evaluate.settings import curved, digits, replace_values

from assay import Constant, evaluate, examples, explain, integer_map
from assay.cases.new_case import case
from assay.model import function
from assay.nouns.inputs.features import Features

ZERO = Constant(0.0)


def _literal(values: np.ndarray) -> float:
    total = sum(abs(v) for v in values)
    return -sum(abs(v) / total * math.log(abs(v) / total) for v in values if v)


def test_it_equals_the_literal_entropy_divided_by_that_of_equal_parts() -> None:
    question = curved()
    e = explain.integrated_gradients(question)
    score = evaluate.entropy(e, question)
    assert_allclose(score.values, [_literal(v) / math.log(6) for v in e.values])
    assert_allclose(score.extra["nats"], [_literal(v) for v in e.values])


@pytest.mark.parametrize("parts", [2, 6, 50])
def test_equal_parts_reach_one_and_a_single_one_zero(parts: int) -> None:
    alone = examples.linear([1.0] + [0.0] * (parts - 1))
    even = examples.linear([1.0, -1.0] * (parts // 2))
    assert evaluate.entropy(explain.saliency(alone), alone).values == 0.0
    assert_allclose(evaluate.entropy(explain.saliency(even, signed=True), even).values, 1.0)


def test_nothing_attributed_and_a_single_part_are_undefined() -> None:
    nothing = examples.saturated(2.0)
    assert np.isnan(evaluate.entropy(explain.saliency(nothing), nothing).values).all()
    one = examples.linear((3.0,))
    assert np.isnan(evaluate.entropy(explain.saliency(one), one).values).all()


def test_parts_a_row_lacks_do_not_count() -> None:
    cuts = Features(np.array([[0, 1, 2], [0, 0, 1]]), ("a", "b", "c"), per_row=True)
    question = case(function(lambda x: x.sum(axis=1), name="sum"), np.ones((2, 3)), features=cuts)
    alone = case(function(lambda x: x.sum(axis=1), name="sum"), np.ones((1, 3)), features=integer_map([0, 0, 1]))
    together, single = (evaluate.entropy(explain.shapley(c, remove=ZERO), c).values for c in (question, alone))
    assert_allclose(together[1:], single)


@pytest.mark.parametrize("score", [evaluate.entropy, evaluate.effective_parts, evaluate.sparseness])
def test_q8_a_row_does_not_depend_on_larger_values_in_another_row(score) -> None:
    question = digits(3)
    e = explain.saliency(question)
    loud = replace_values(e, e.values * np.array([[1.0], [100.0], [1.0]]))
    assert_allclose(score(loud, question).values, score(e, question).values)


@pytest.mark.parametrize(
    "score", [evaluate.entropy, evaluate.effective_parts, evaluate.spatial_compactness, evaluate.connectedness]
)
def test_q16_the_callers_attributions_are_not_written_to(score) -> None:
    question = digits(2)
    values = np.random.default_rng(0).normal(size=(2, 64))
    before = values.copy()
    e = replace_values(explain.saliency(question), values)
    score(e, question)
    assert values.tobytes() == before.tobytes() == e.values.tobytes()
    assert score(e, question).provenance.cost == {}


def test_it_takes_no_side() -> None:
    question = curved()
    assert evaluate.entropy(explain.saliency(question), question).better == "neither"
