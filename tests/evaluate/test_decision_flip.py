"""Decision flip: votes counted by hand, a slow version, and real digits."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.evaluate.settings import digits, replace_values

import assay
from assay import Constant, Marginal, evaluate, explain
from assay.basics.errors import CapabilityError
from assay.cases.case import Case

ZERO = assay.Constant(0.0)

WEIGHTS = np.array([3.0, 2.0, 1.0, -1.0])


def votes(bar: float, rows: int = 1, **options: Any) -> Case:
    """Class 1 where the weighted parts reach the bar."""
    net = assay.model.function(lambda x: np.stack([np.full(len(x), bar), x @ WEIGHTS], axis=1), gives="logits")
    return assay.case(net, np.ones((rows, 4)), **options)


@pytest.mark.parametrize(
    ("order", "share"), [((4, 3, 2, 1), 0.25), ((1, 3, 4, 2), 0.25), ((1, 2, 4, 3), 0.25), ((2, 1, 3, 4), 0.75)]
)
def test_parts_go_in_the_order_of_the_explanation(order: tuple[int, ...], share: float) -> None:
    case = votes(3.5)  # 5 in all: 3 first leaves 2; 2 first leaves 3; 1 first leaves 4
    left = [5 - sum(sorted(WEIGHTS, key=lambda w: -order[list(WEIGHTS).index(w)])[:gone]) for gone in range(5)]
    first = next(gone for gone, value in enumerate(left) if value < 3.5)
    found = evaluate.decision_flip(replace_values(explain.occlusion(case, remove=ZERO), [order]), case, remove=ZERO)
    assert found.values[0] == first / 4
    assert found.extra["flipped"][0] == 1.0


def test_a_decision_that_never_flips_scores_one_and_flipped_is_zero() -> None:
    case = votes(-2.0)  # class 1 with nothing there, too
    found = evaluate.decision_flip(
        replace_values(explain.occlusion(case, remove=ZERO), [[4, 3, 2, 1]]), case, remove=ZERO
    )
    assert (found.values[0], found.extra["flipped"][0]) == (1.0, 0.0)
    last = votes(0.5)
    kept = evaluate.decision_flip(
        replace_values(explain.occlusion(last, remove=ZERO), [[2, 3, 1, 4]]), last, remove=ZERO
    )
    assert (kept.values[0], kept.extra["flipped"][0]) == (1.0, 1.0)


def test_where_the_class_is_not_predicted_there_is_nothing_to_flip() -> None:
    case = votes(3.5, label=0)
    assert np.isnan(evaluate.decision_flip(explain.occlusion(case, remove=ZERO), case, remove=ZERO).values).all()


def test_half_of_the_fillings_must_still_decide_for_the_class() -> None:
    background = np.array([[1.0, 1, 1, 1], [0.0, 0, 0, 0], [0.0, 0, 0, 0], [1.0, 1, 1, 1]])
    case = votes(3.5)
    explanation = replace_values(explain.occlusion(case, remove=ZERO), [[4, 3, 2, 1]])
    found = evaluate.decision_flip(explanation, case, remove=Marginal(background))
    assert (found.values[0], found.extra["flipped"][0]) == (1.0, 0.0)  # half keep all their parts
    fewer = evaluate.decision_flip(explanation, case, remove=Marginal(background[:3]))
    assert fewer.values[0] == 0.25


def test_digits_equal_the_scores_of_one_image_at_a_time() -> None:
    case = digits(5)
    explanation = explain.input_x_gradient(case)
    found = evaluate.decision_flip(explanation, case, steps=8, remove=ZERO)
    pictures = np.asarray(case.rows.x)
    for row in range(5):
        order = np.argsort(-explanation.values[row], kind="stable")
        share = 1.0
        for gone in range(8, 65, 8):
            moved = pictures[row].reshape(-1).copy()
            moved[order[:gone]] = 0.0
            if case.predicted(case.rows.x.new_tensor(moved).reshape(1, 1, 8, 8), np.array([row]))[0] != case.label[row]:
                share = gone / 64
                break
        assert_allclose(found.values[row], share)


def test_it_does_not_depend_on_the_target_and_is_evaluated_once() -> None:
    case = digits(4)
    explanation = explain.input_x_gradient(case)
    first = evaluate.decision_flip(explanation, case, steps=8, remove=Constant(0.0))
    assert evaluate.decision_flip(explanation, case, steps=8, remove=ZERO).provenance.cost == {}
    other = digits(4, target="probability")
    assert_array_equal(evaluate.decision_flip(explanation, other, steps=8, remove=ZERO).values, first.values)


def test_a_good_order_flips_sooner_than_chance_and_its_reverse() -> None:
    case = digits(40)
    good = explain.occlusion(case, remove=ZERO)
    means = [
        evaluate.decision_flip(one, case, steps=16, remove=ZERO).mean
        for one in (good, explain.random(case), replace_values(good, -good.values))
    ]
    assert means[0] < means[1] < means[2]


def test_a_regression_is_refused() -> None:
    case = assay.examples.additive((3.0, 1.0))
    with pytest.raises(CapabilityError, match="needs a classifier"):
        evaluate.decision_flip(explain.occlusion(case, remove=ZERO), case, remove=ZERO)
