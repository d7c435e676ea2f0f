"""All stability scores of a case share perturbed rows and explanations; the cache never answers for another case."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.evaluate.settings import MATRIX, ROWS, curved, digits, replace_values

from assay import Ball, evaluate, explain
from assay.cases.explanation_cache import MAX_RECOMPUTABLE, ExplanationCache
from assay.engine.neighbourhoods.neighbourhood import (
    explain_neighbours,
    perturbed_case,
    perturbed_rows,
    recompute_values,
)
from assay.engine.recompute import recompute
from assay.model.model import Meter
from assay.nouns.inputs.rows import to_floats

BALL = Ball("linf", 0.02)
SECOND = (evaluate.average_sensitivity, evaluate.max_sensitivity, evaluate.local_lipschitz)
RELATIVE = (evaluate.relative_output_stability, evaluate.relative_input_stability)


def _counts(case: Any) -> tuple[int, int]:
    return case.model.meter.forwards, case.model.meter.backwards


@pytest.mark.parametrize("second", SECOND)
def test_a_second_score_of_the_same_explanation_needs_no_model_evaluations(second: Any) -> None:
    case = digits(3)
    e = explain.saliency(case)
    evaluate.max_sensitivity(e, case, ball=BALL, draws=4)
    before = _counts(case)
    score = second(e, case, ball=BALL, draws=4)
    assert _counts(case) == before
    assert score.provenance.cost == {}


def test_cached_evaluations_still_count_as_requested() -> None:
    case = digits(3)
    e = explain.saliency(case)
    requested = []
    for _ in range(2):
        before = case.model.meter.requested
        evaluate.relative_output_stability(e, case, ball=BALL, draws=4)
        requested.append(case.model.meter.requested - before)
    assert requested[0] == requested[1] == 4 * 3 * 3  # gradient, target and outputs, at four draws of three rows


def test_the_outputs_at_the_draws_are_computed_once_for_all_methods_and_scores() -> None:
    case = digits(3)
    first, second = explain.saliency(case), explain.input_x_gradient(case)
    case.prediction  # noqa: B018  # cached in every audit
    gradients, outputs = 12, 12
    assert evaluate.max_sensitivity(first, case, ball=BALL, draws=4).provenance.cost["forwards"] == gradients + outputs
    assert evaluate.max_sensitivity(second, case, ball=BALL, draws=4).provenance.cost == {}  # the gradient is cached
    for e in (first, second):
        assert RELATIVE[0](e, case, ball=BALL, draws=4).provenance.cost == {}
        assert RELATIVE[1](e, case, ball=BALL, draws=4).provenance.cost == {}


def test_six_scores_need_the_explanations_of_one() -> None:
    case = digits(2)
    e = explain.saliency(case)
    before = case.model.meter.backwards
    for score in (*SECOND, *RELATIVE, evaluate.relative_representation_stability):
        score(e, case, ball=BALL, draws=5)
    assert case.model.meter.backwards - before == 5 * 2  # without the cache six times as many


def test_more_draws_compute_only_the_additional_ones() -> None:
    case = digits(2)
    e = explain.saliency(case)
    evaluate.max_sensitivity(e, case, ball=BALL, draws=3)
    assert evaluate.max_sensitivity(e, case, ball=BALL, draws=5).provenance.cost["backwards"] == 2 * 2


def test_cached_explanations_equal_recomputed_ones() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    for _ in range(2):
        for draw, (x, values) in enumerate(explain_neighbours(e, case, BALL, 3)):
            assert_array_equal(x, BALL.draw(case.rows, case.seed.child("neighbourhood", draw)))
            assert_array_equal(values, recompute(e, replace(case.at(x), seed=e.provenance.seed)).values)


@pytest.mark.parametrize(
    "other",
    [
        lambda case, e: (explain.integrated_gradients(case, steps=2, start=0.5), BALL),
        lambda case, e: (explain.saliency(case), BALL),
        lambda case, e: (explain.integrated_gradients(replace(case, seed=case.seed.child("x")), steps=2), BALL),
        lambda case, e: (replace_values(e, 2 * e.values), BALL),
        lambda case, e: (e, Ball("linf", 0.03)),
        lambda case, e: (e, Ball("l2", 0.02)),
    ],
    ids=["options", "method", "seed", "values", "radius", "norm"],
)
def test_another_explanation_or_ball_is_computed(other: Any) -> None:
    case = curved()
    e = explain.integrated_gradients(case, steps=2)
    evaluate.max_sensitivity(e, case, ball=BALL, draws=2)
    second, ball = other(case, e)
    expected = 2 * second.provenance.cost["backwards"]
    assert evaluate.max_sensitivity(second, case, ball=ball, draws=2).provenance.cost["backwards"] == expected


def test_the_gradient_at_a_draw_is_computed_once_for_all_methods() -> None:
    case = digits(3)
    explanations = [explain.saliency(case), explain.saliency(case, signed=True), explain.input_x_gradient(case)]
    before = case.model.meter.backwards
    values = [[found for _, found in explain_neighbours(e, case, BALL, 4)] for e in explanations]
    assert case.model.meter.backwards - before == 4 * 3
    for draw in range(4):
        assert_array_equal(np.abs(values[1][draw]), values[0][draw])
        there = to_floats(perturbed_rows(case, BALL, (draw,))).reshape(3, -1)
        assert_allclose(values[2][draw], values[1][draw] * there, rtol=1e-6)


def test_changing_a_returned_gradient_does_not_change_the_cache() -> None:
    case = digits(2)
    there = perturbed_case(case, BALL, (0,))
    there.gradient(there.rows.x)[:] = 7.0
    assert not (there.gradient(there.rows.x) == 7.0).any()


@pytest.mark.parametrize("method", [explain.integrated_gradients, explain.smooth_grad, explain.lrp, explain.occlusion])
def test_draws_explained_together_are_those_explained_alone(method: Any) -> None:
    case, alone = digits(3), digits(3)
    e = method(case)
    together = [values for _, values in explain_neighbours(e, case, BALL, 5)]
    each = [recompute_values(e, perturbed_case(alone, BALL, (draw,))) for draw in range(5)]
    assert_allclose(together, each, rtol=1e-5, atol=1e-7)
    assert not np.allclose(together[0], together[1])


def test_options_that_may_hold_one_value_per_row_are_explained_draw_by_draw() -> None:
    case = curved()
    start = np.arange(24.0).reshape(4, 6)  # one for each row
    e = explain.integrated_gradients(case, start=start, steps=4)
    for draw, (x, values) in enumerate(explain_neighbours(e, case, BALL, 3)):
        there = case.at(BALL.draw(case.rows, case.seed.child("neighbourhood", draw)))
        assert_array_equal(x, there.rows.x)
        assert_array_equal(values, recompute(e, replace(there, seed=e.provenance.seed)).values)


def test_another_case_is_never_answered_from_the_cache() -> None:
    case = digits(2)
    e = explain.saliency(case)
    evaluate.max_sensitivity(e, case, ball=BALL, draws=2)
    other = case.with_target("log_odds")
    assert evaluate.max_sensitivity(e, other, ball=BALL, draws=2).provenance.cost["backwards"] == 2 * 2


def test_options_changed_in_place_are_another_explanation() -> None:
    case = curved()
    start = np.zeros(6)
    e = explain.integrated_gradients(case, start=start, steps=4)
    one = evaluate.max_sensitivity(e, case, ball=BALL, draws=2)
    start += 0.5
    two = evaluate.max_sensitivity(e, case, ball=BALL, draws=2)
    assert two.provenance.cost["backwards"] > 0
    assert not np.allclose(one.values, two.values)


def test_the_cache_is_bounded_and_drops_the_oldest() -> None:
    explanation_cache = ExplanationCache(Meter(), most=10)
    for key in range(5):
        explanation_cache.get(key, lambda key=key: np.full(4, float(key)))
    assert [answer[0] for answer, _ in explanation_cache.entries.values()] == [3.0, 4.0]
    assert explanation_cache.size == 8
    assert (
        explanation_cache.get(0, lambda: np.full(11, 7.0))[0] == 7.0
    )  # larger than the whole cache: returned, not cached
    assert explanation_cache.entries == {}
    assert explanation_cache.size == 0


def test_cheap_results_are_cached_while_there_is_room_and_never_displace_others() -> None:
    explanation_cache = ExplanationCache(Meter(), most=10)
    explanation_cache.get("answer", lambda: np.ones(10))
    made: list[str] = []
    for key in ("small", "large", "small", "large"):
        size = 1 if key == "small" else MAX_RECOMPUTABLE
        explanation_cache.get_recomputable(key, size, lambda key=key: made.append(key))
    assert made == ["small", "large", "large"]
    assert len(explanation_cache.entries) == 1


def test_a_failed_computation_is_not_cached() -> None:
    explanation_cache = ExplanationCache(Meter())

    def fails() -> Any:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        explanation_cache.get("key", fails)
    assert explanation_cache.get("key", lambda: np.ones(1))[0] == 1.0


def test_cached_arrays_are_read_only() -> None:
    case = curved()
    (_, values), *_ = explain_neighbours(explain.saliency(case), case, BALL, 1)
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 0.0


def test_max_sensitivity_equals_its_definition() -> None:
    case = digits(3)
    e = explain.integrated_gradients(case, steps=3)
    size, changes = np.linalg.norm(e.values, axis=1), []
    for draw in range(3):
        there = case.at(BALL.draw(case.rows, case.seed.child("neighbourhood", draw)))
        after = recompute(e, replace(there, seed=e.provenance.seed)).values
        change = np.linalg.norm(after - e.values, axis=1)
        changes.append(np.divide(change, size, out=np.full(size.shape, np.nan), where=size > 0))
    score = evaluate.max_sensitivity(e, case, ball=BALL, draws=3)
    assert_allclose(score.values, np.stack(changes, axis=1).max(axis=1), rtol=1e-5)
    assert_allclose(score.extra["mean"], np.stack(changes, axis=1).mean(axis=1), rtol=1e-5)


def test_average_sensitivity_is_the_literal_mean() -> None:
    case = curved()
    score = evaluate.average_sensitivity(explain.saliency(case, signed=True), case, ball=BALL, draws=5)
    both = MATRIX + MATRIX.T
    for row in range(4):
        moved = [BALL.draw(case.rows, case.seed.child("neighbourhood", d))[row] for d in range(5)]
        there = [np.linalg.norm((x - ROWS[row]) @ both) / np.linalg.norm(ROWS[row] @ both) for x in moved]
        assert_allclose(score.values[row], np.mean(there))
        assert_allclose(score.stderr[row], np.std(there, ddof=1) / 5**0.5)
        assert_allclose(score.extra["max"][row], max(there))


def test_cached_results_can_be_loaded_in_another_process():
    first = ExplanationCache(Meter())
    ball = Ball("linf", 0.5)
    first.get(("before", 1), lambda: np.zeros(2))
    count = first.stored_count
    first.get(("near", "name", ball, 0), lambda: np.arange(3.0))
    first.get(("own", object()), lambda: np.ones(1))  # has no name in another process
    answers = first.export_entries(count)
    assert len(answers["names"]) == 1
    second = ExplanationCache(Meter())
    second.import_entries(answers)

    def fails() -> np.ndarray:
        raise AssertionError("computed again")

    assert second.get(("near", "name", Ball("linf", 0.5), 0), fails).tolist() == [0.0, 1.0, 2.0]
    assert second.get(("near", "name", Ball("linf", 0.6), 0), lambda: np.ones(1)).tolist() == [1.0]
