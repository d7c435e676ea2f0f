"""Relative input, output and representation stability against the paper's formulas, a row and a draw at a time."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from tests.evaluate.settings import MATRIX, ROWS, curved, digits, replace_values

from assay import Ball, evaluate, examples, explain, model
from assay.basics.errors import InputError
from assay.cases.new_case import case as ask
from assay.engine.recompute import recompute

BALL = Ball("linf", 0.3)
SCORES = (
    evaluate.relative_input_stability,
    evaluate.relative_output_stability,
    evaluate.relative_representation_stability,
)


def _relative(after: Any, before: Any, share: float) -> float:
    """‖(after − before) / before‖ over what is at least ``share`` of the largest."""
    most, total = max(abs(b) for b in before), 0.0
    for a, b in zip(after, before):
        if b != 0 and abs(b) >= share * most:
            total += ((a - b) / b) ** 2
    return total**0.5


def _literal(case: Any, e: Any, row: int, below: Any, draws: int, share: float) -> tuple[float, int]:
    """Agarwal et al.: the maximum over draws that keep the label, and how many did not."""
    best, flips = -np.inf, 0
    for draw in range(draws):
        x = BALL.draw(case.rows, case.seed.child("neighbourhood", draw))
        if case.predicted(x)[row] != case.predicted(case.rows.x)[row]:
            flips += 1
            continue
        best = max(best, _relative(recompute(e, case.at(x)).values[row], e.values[row], share) / max(below(x), 1e-6))
    return best, flips


@pytest.mark.parametrize("share", [0.0, 0.05])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_it_equals_the_papers_formula(which: int, share: float) -> None:
    case = digits(4)
    e = explain.saliency(case, signed=True)
    score = SCORES[which](e, case, ball=BALL, draws=6, share=share)
    net, x = case.model.net, case.rows.x
    for row in range(4):

        def below(moved: Any, row: int = row) -> float:
            here, there = x[row].double().ravel().numpy(), moved[row].double().ravel().numpy()
            if which == 1:
                logits = net(torch.stack([x[row], moved[row]])).detach().double()
                return float((logits[1] - logits[0]).norm())
            if which == 2:
                deep = net[1](net[0](torch.stack([x[row], moved[row]]))).detach().double().flatten(1).numpy()
                here, there = deep
            return _relative(there, here, share)

        best, flips = _literal(case, e, row, below, 6, share)
        assert_allclose(score.values[row], best, rtol=2e-4)
        assert score.extra["flipped"][row] == flips
        assert score.extra["draws"][row] == 6 - flips


@pytest.mark.parametrize("score", SCORES)
def test_a_flipped_draw_is_left_out_and_counted_and_does_not_make_the_row_undefined(score: Any) -> None:
    case = digits(6)
    found = score(explain.saliency(case), case, ball=Ball("linf", 1.2), draws=12)
    mixed = (found.extra["flipped"] > 0) & (found.extra["flipped"] < 12)
    assert mixed.any()
    assert found.defined[mixed].all()


def test_a_row_whose_every_draw_flips_is_undefined() -> None:
    class Knife(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([x[:, 0] * 0 + 1e-9, (x[:, 0] - 1).abs() + x[:, 1] * 0], dim=1)

    case = ask(model.torch(Knife().eval(), gives="logits"), torch.tensor([[1.0, 2.0]]), label=0)
    score = evaluate.relative_input_stability(
        replace_values(explain.constant(case), [[1.0, 1.0]]), case, ball=BALL, draws=5
    )
    assert score.extra["flipped"][0] == 5
    assert np.isnan(score.values[0])
    assert [note.code for note in score.notes if note.rows] == ["undefined"]


def test_black_pixels_and_zero_attributions_do_not_decide() -> None:
    case = digits(2)
    assert bool((case.rows.x == 0).any())
    e = explain.input_x_gradient(case)  # 0 at black pixels
    score = evaluate.relative_input_stability(e, case, ball=Ball("linf", 0.01), draws=4)
    assert np.isfinite(score.values).all()
    assert (score.values < 1e3).all()
    assert (score.extra["parts"] <= (e.values != 0).sum(axis=1)).all()


def test_parts_of_nearly_no_attribution_are_left_out_by_their_share() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    tiny = replace_values(e, np.where(np.arange(6) == 0, 1e-9, e.values))
    without = evaluate.relative_input_stability(tiny, case, ball=BALL, draws=3)
    within = evaluate.relative_input_stability(tiny, case, ball=BALL, draws=3, share=0.0)
    assert (within.values > 1e6 * without.values).all()
    assert_array_equal(without.extra["parts"], within.extra["parts"] - 1)


def test_a_denominator_below_the_floor_is_the_floor_and_counted() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    low, high = (evaluate.relative_output_stability(e, case, ball=BALL, draws=4, floor=f) for f in (1e-6, 1e9))
    assert not low.extra["floored"].any()
    assert_array_equal(high.extra["floored"], 4)
    assert (high.values < 1e-6).all()


def test_a_model_ten_times_as_steep_is_as_stable_in_shares_of_itself() -> None:
    one, ten = (examples.quadratic(by * MATRIX, ROWS) for by in (1.0, 10.0))
    flat, steep = (
        evaluate.relative_input_stability(explain.saliency(c, signed=True), c, ball=BALL).values for c in (one, ten)
    )
    assert_allclose(flat, steep)


def test_a_regression_has_no_labels_to_lose() -> None:
    case = curved()
    score = evaluate.relative_input_stability(explain.saliency(case, signed=True), case, ball=BALL, draws=3)
    assert_array_equal(score.extra["flipped"], 0)
    assert score.provenance.cost["forwards"] == 3 * 4 * 2  # the gradient and the target at each draw, no outputs


def test_the_layer_used_is_named_in_a_note_and_can_be_chosen() -> None:
    case = digits(2)
    e = explain.saliency(case)
    found = evaluate.relative_representation_stability(e, case, ball=BALL, draws=2)
    assert "layer '1' is used" in " ".join(note.text for note in found.notes)
    named = evaluate.relative_representation_stability(e, case, ball=BALL, draws=2, layer="1")
    other = evaluate.relative_representation_stability(e, case, ball=BALL, draws=2, layer="3")
    assert_allclose(named.values, found.values)
    assert not np.allclose(other.values, found.values)


@pytest.mark.parametrize(("given", "words"), [({"share": 1.0}, "share=1"), ({"floor": 0.0}, "floor=0")])
def test_bad_options_are_refused(given: Any, words: str) -> None:
    case = curved()
    with pytest.raises(InputError, match=words):
        evaluate.relative_input_stability(explain.saliency(case), case, ball=BALL, **given)
