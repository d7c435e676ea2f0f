from dataclasses import replace

import numpy as np
from numpy.testing import assert_allclose
from tests.evaluate.settings import curved, digits, replace_values

from assay import evaluate, examples, explain


def test_a_complete_explanation_leaves_nothing() -> None:
    case = curved()
    assert_allclose(evaluate.completeness(explain.integrated_gradients(case), case).values, 0.0, atol=1e-9)


def test_the_gap_is_in_units_of_the_target_and_as_a_share() -> None:
    case = examples.linear((2.0, -1.0))  # rises by 1 from 0
    score = evaluate.completeness(replace_values(explain.integrated_gradients(case), [[2.0, -1.25]]), case)
    assert_allclose(score.values, [0.25])
    assert_allclose(score.extra["relative"], [0.25])


def test_too_much_counts_like_too_little() -> None:
    case = examples.linear((2.0, -1.0))
    e = explain.integrated_gradients(case)
    more, less = replace_values(e, [[3.0, -1.0]]), replace_values(e, [[1.0, -1.0]])
    assert_allclose(evaluate.completeness(more, case).values, evaluate.completeness(less, case).values)


def test_the_share_is_undefined_where_the_target_does_not_rise() -> None:
    case = examples.linear((1.0, -1.0))
    score = evaluate.completeness(explain.integrated_gradients(case), case)
    assert_allclose(score.values, [0.0], atol=1e-12)
    assert np.isnan(score.extra["relative"]).all()


def test_a_rise_that_is_only_rounding_has_no_share() -> None:
    e = explain.integrated_gradients(examples.linear((2.0, -1.0)))
    rounded = replace(e, output=e.base + 3.0 + 1e-9, base=e.base + 3.0)
    assert np.isnan(evaluate.completeness(rounded, examples.linear((2.0, -1.0))).extra["relative"]).all()


def test_without_a_base_it_is_undefined_and_a_note_lists_the_rows() -> None:
    case = curved()
    score = evaluate.completeness(explain.saliency(case), case)
    assert not score.defined.any()
    assert score.notes[-1].rows == case.rows.ids


def test_it_needs_no_model_evaluations() -> None:
    case = curved()
    assert evaluate.completeness(explain.integrated_gradients(case), case).provenance.cost == {}


def test_more_steps_leave_less_on_a_trained_net() -> None:
    case = digits()
    few = evaluate.completeness(explain.integrated_gradients(case, steps=2), case).mean
    many = evaluate.completeness(explain.integrated_gradients(case, steps=64), case).mean
    assert many < 0.2 * few
