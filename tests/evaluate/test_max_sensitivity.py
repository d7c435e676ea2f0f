import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.evaluate.settings import MATRIX, ROWS, curved, digits, replace_values

from assay import Ball, evaluate, examples, explain
from assay.basics.errors import InputError
from assay.cases.removals import Constant
from assay.engine.declare import explainer
from assay.nouns.catalogue import leave
from assay.nouns.results.result import Estimate

BALL = Ball("linf", 0.1)


def test_it_equals_the_literal_maximum_over_the_same_moves() -> None:
    case = curved()
    score = evaluate.max_sensitivity(explain.saliency(case, signed=True), case, ball=BALL, draws=5)
    for row in range(4):
        here, changes = ROWS[row] @ (MATRIX + MATRIX.T), []
        for draw in range(5):
            moved = BALL.draw(case.rows, case.seed.child("neighbourhood", draw))[row]
            there = moved @ (MATRIX + MATRIX.T)
            changes.append(sum((a - b) ** 2 for a, b in zip(there, here)) ** 0.5 / sum(b**2 for b in here) ** 0.5)
        assert_allclose(score.values[row], max(changes))
        assert_allclose(score.extra["mean"][row], sum(changes) / 5)
        assert_allclose(score.extra["mean stderr"][row], np.std(changes, ddof=1) / 5**0.5)


def test_the_gradient_of_a_linear_model_does_not_move() -> None:
    case = examples.linear((2.0, -1.0))
    assert_allclose(evaluate.max_sensitivity(explain.saliency(case), case, ball=BALL).values, 0.0)


def test_it_never_exceeds_what_the_ball_allows() -> None:
    case = examples.additive((1.0,))  # φ = x² at 1: at most (1.1² − 1) away
    score = evaluate.max_sensitivity(explain.integrated_gradients(case), case, ball=BALL, draws=50)
    assert 0.15 < score.values[0] <= 0.21 + 1e-9


def test_a_wider_ball_moves_it_more() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    near = evaluate.max_sensitivity(e, case, ball=Ball("l2", 0.01)).values
    far = evaluate.max_sensitivity(e, case, ball=Ball("l2", 0.1)).values
    assert_allclose(far, 10 * near)


def test_where_the_explanation_is_zero_it_is_undefined() -> None:
    case = examples.saturated(2.0)
    score = evaluate.max_sensitivity(explain.saliency(case), case, ball=BALL)
    assert np.isnan(score.values).all()


def test_noise_of_a_sampling_explainer_is_not_counted_as_movement() -> None:
    @explainer(source="test2026")
    def noisy(case: object, *, sigma: float = 1.0) -> Estimate:
        """Random numbers that follow the row's id and the seed."""
        streams = [case.seed.child("noisy", name).generator() for name in case.rows.ids]  # type: ignore[attr-defined]  # a case
        return Estimate(np.stack([sigma * s.standard_normal(6) for s in streams]))

    try:
        explanation = noisy(curved(seed=1))
        assert_allclose(evaluate.max_sensitivity(explanation, curved(seed=2), ball=BALL).values, 0.0)
    finally:
        leave(noisy.method)


def test_options_and_label_of_the_explanation_are_kept() -> None:
    case = digits(2, label="runner_up")
    e = explain.integrated_gradients(case, start=0.5, steps=3)
    other = replace_values(e, 2 * e.values)
    true = evaluate.max_sensitivity(e, case, ball=Ball("linf", 1e-4), draws=1)
    wrong = evaluate.max_sensitivity(other, case, ball=Ball("linf", 1e-4), draws=1)
    assert (true.values < 0.05).all()
    assert_allclose(wrong.values, 0.5, atol=0.05)


def test_it_costs_one_explanation_a_draw() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    score = evaluate.max_sensitivity(e, case, ball=BALL, draws=3)
    assert score.provenance.cost["backwards"] == 3 * 4


def test_explanations_by_removal_can_be_moved_too() -> None:
    case = curved()
    score = evaluate.max_sensitivity(explain.shapley(case, remove=Constant(0.2)), case, ball=BALL, draws=2)
    assert (score.values > 0).all()


def test_moves_stay_within_the_values_inputs_can_take() -> None:
    case = examples.additive((1.0,))
    score = evaluate.max_sensitivity(
        explain.integrated_gradients(case), case, ball=Ball("linf", 0.5, 0.0, 1.0), draws=30
    )
    assert 0.3 < score.values[0] <= 0.75  # only down: |0.5² − 1|; up would reach 1.25


@pytest.mark.parametrize(("ball", "draws", "words"), [(0.1, 3, "ball=0.1"), (BALL, 0, "draws=0")])
def test_bad_options_are_refused(ball: Ball, draws: int, words: str) -> None:
    case = curved()
    with pytest.raises(InputError, match=words):
        evaluate.max_sensitivity(explain.saliency(case), case, ball=ball, draws=draws)
