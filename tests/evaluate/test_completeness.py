from dataclasses import replace
from typing import Any

import numpy as np
from numpy.testing import assert_allclose
from scipy import stats
from tests.evaluate.settings import curved, digits, replace_values

from assay import evaluate, examples, explain
from assay.basics.stats import fieller_interval
from assay.engine.comparison.criteria import reading
from assay.nouns.catalogue import Check, check_named
from assay.nouns.results.result import Score


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


def test_the_check_pools_the_share_over_rows_so_that_a_small_rise_does_not_dominate() -> None:
    gap, change = np.array([0.02, 0.03, 0.01, 0.05]), np.array([1.0, 2.0, 0.01, 1.5])
    score = _score(gap, change)
    found = reading(_exp101(), "lie", {("lie", "completeness"): score}, "")
    assert_allclose(found.estimate, gap.sum() / change.sum())
    assert found.estimate < 0.05 < np.mean(gap / change)
    limits = found.basis.at(0.9)
    expected = fieller_interval(gap, change, 0.9)
    assert_allclose([limits.low, limits.high], [expected.low, expected.high])
    assert_allclose(np.nanmean(found.rows), found.estimate)


def test_rows_that_do_not_rise_count_with_their_gap_and_rows_without_a_base_not_at_all() -> None:
    found = reading(
        _exp101(),
        "lie",
        {("lie", "completeness"): _score(np.array([0.1, 0.1, np.nan]), np.array([1.0, 0.0, np.nan]))},
        "",
    )
    assert_allclose(found.estimate, 0.2)
    assert (found.n, found.undefined) == (2, 1)


def test_without_any_rise_the_pooled_share_is_undefined_on_every_row() -> None:
    found = reading(_exp101(), "lie", {("lie", "completeness"): _score(np.full(3, 0.1), np.zeros(3))}, "")
    assert np.isnan(found.estimate)
    assert found.n == 0


def test_the_pooled_interval_covers_where_the_mean_of_shares_is_far_off() -> None:
    generator, covered = np.random.default_rng(0), 0
    for _ in range(300):
        change = generator.exponential(size=60)  # the mean of gap / change is infinite
        gap = np.abs(generator.normal(0.04, 0.02, 60))
        limits = fieller_interval(gap, change)
        covered += limits.low <= 0.04 + _excess(0.04, 0.02) <= limits.high
    assert covered >= 274  # 95 % less 2.9 standard errors


def _excess(mean: float, spread: float) -> float:
    """E|N(mean, spread)| − mean."""
    return float(stats.foldnorm.mean(mean / spread, scale=spread)) - mean


def _exp101() -> Check:
    check = check_named("EXP101")
    assert check is not None
    return check


def _score(gap: Any, change: Any) -> Score:
    case = curved()
    whole = evaluate.completeness(explain.integrated_gradients(case), case)
    return replace(whole, values=gap, extra={"relative": gap / np.maximum(change, 1e-12), "change": change})


def test_a_change_that_is_rounding_is_a_change_of_zero() -> None:
    e = explain.integrated_gradients(examples.linear((2.0, -1.0)))
    rounded = replace(e, output=e.base + 3.0 + 1e-9, base=e.base + 3.0)
    assert_allclose(evaluate.completeness(rounded, examples.linear((2.0, -1.0))).extra["change"], 0.0)
    assert_allclose(evaluate.completeness(e, examples.linear((2.0, -1.0))).extra["change"], 1.0)
