"""Membership inference: exact on small tables, no finding without a leak, failure where a model memorises."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import assay
from assay import diagnose
from assay.basics.errors import CapabilityError, InputError
from assay.basics.stats import newcombe
from assay.diagnose.membership import auc, auc_interval, cross_fitted_hits
from assay.engine.retraining.labelled_rows import losses
from assay.nouns.results.finding import Finding


def number_as_probability() -> Any:
    """A two-class model whose probability of class 1 is the row's only number."""
    return assay.model.function(
        lambda x: np.stack([1 - x[:, 0], x[:, 0]], axis=1), gives="probabilities", classes=("no", "yes"), name="number"
    )


def found_in(inside: Any, outside: Any, **options: Any) -> dict[str, Finding]:
    """Findings where all true labels are 1, so that a row's loss is −log of its number."""
    inside, outside = np.asarray(inside, float)[:, None], np.asarray(outside, float)[:, None]
    case = assay.case(number_as_probability(), inside)
    found = diagnose.membership(case, np.ones(len(inside), int), outside, np.ones(len(outside), int), **options)
    return {finding.code: finding for finding in found}


@cache
def halves() -> tuple[Any, Any, Any, Any]:
    x, y = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order], y[order]
    return x[:280], y[:280], x[280:], y[280:]


def test_three_findings_come_with_what_a_page_needs() -> None:
    found = found_in(np.linspace(0.5, 0.9, 40), np.linspace(0.4, 0.8, 40))
    assert list(found) == ["PRV101", "PRV102", "PRV103"]
    for finding in found.values():
        assert finding.claim.endswith(".")
        assert finding.meaning
        assert finding.advice
        assert finding.interval is not None
        assert finding.interval.low <= finding.estimate <= finding.interval.high


def test_separable_losses_give_an_advantage_of_one_and_an_area_of_one() -> None:
    finding = found_in(np.linspace(0.8, 0.9, 50), np.linspace(0.1, 0.2, 50))["PRV101"]
    assert finding.estimate == 1.0
    assert finding.evidence["auc"] == 1.0
    assert finding.evidence["auc low"] < 1.0
    assert finding.verdict == "fail"


def test_the_advantage_is_the_difference_of_the_rates_reported() -> None:
    found = found_in(np.random.default_rng(0).random(60), np.random.default_rng(1).random(80))["PRV101"]
    rates = found.evidence["true positive rate"] - found.evidence["false positive rate"]
    assert_allclose(found.estimate, rates, atol=1e-12)


def test_two_folds_of_a_table_done_by_hand() -> None:
    # each side holds one number twice; the threshold of either fold is 0.9's loss, met by all inside and none outside
    found = found_in([0.9] * 4, [0.5] * 4)["PRV101"]
    assert found.evidence["true positive rate"] == 1.0
    assert found.evidence["false positive rate"] == 0.0
    # inside never below outside: no row is classified as a member
    found = found_in([0.5] * 4, [0.9] * 4)["PRV101"]
    assert (found.evidence["true positive rate"], found.evidence["false positive rate"]) == (0.0, 0.0)


def test_losses_are_the_true_labels_cross_entropy() -> None:
    model = number_as_probability()
    outputs = np.array([[0.2, 0.8], [0.2, 0.8], [1.0, 0.0]])
    assert_allclose(losses(outputs, np.array([1, 0, 1]), model), [-np.log(0.8), -np.log(0.2), np.inf])


def test_the_area_counts_pairs_and_ties_by_half() -> None:
    inside, outside = np.array([0.1, 0.5, 0.5]), np.array([0.5, 0.7])
    pairs = [(a < b) + 0.5 * (a == b) for a in inside for b in outside]
    assert_allclose(auc(inside, outside), np.mean(pairs))


def test_the_areas_interval_holds_the_area_and_narrows_with_rows() -> None:
    few, many = auc_interval(0.7, 20, 20, 0.95), auc_interval(0.7, 500, 500, 0.95)
    assert 0.7 in few
    assert 0.7 in many
    assert many.high - many.low < few.high - few.low
    assert auc_interval(0.0, 20, 20, 0.95).high > 0


def pooled(generator: np.random.Generator, rows: int) -> tuple[int, int]:
    """Hits inside and outside of an attack on losses that say nothing."""
    fold, other = generator.permutation(rows) % 2, generator.permutation(rows) % 2
    counts = list(cross_fitted_hits(generator.random(rows), generator.random(rows), fold, other))
    return sum(inside for inside, _ in counts), sum(outside for _, outside in counts)


def test_where_nothing_leaks_the_interval_excludes_zero_in_about_one_run_in_twenty() -> None:
    generator = np.random.default_rng(0)
    limits = [newcombe(hits, 100, alarms, 100) for hits, alarms in (pooled(generator, 100) for _ in range(400))]
    assert 6 <= sum(0.0 not in limit for limit in limits) <= 36  # 400 · 5 % = 20, about 3.5 standard deviations


def test_where_nothing_leaks_the_advantage_is_zero_on_average() -> None:
    # the best threshold of the rows it is measured on would give about 0.17
    generator = np.random.default_rng(1)
    found = [(hits - alarms) / 40 for hits, alarms in (pooled(generator, 40) for _ in range(400))]
    assert abs(np.mean(found)) < 3.5 * np.std(found) / np.sqrt(400)


def test_a_model_that_learnt_nothing_of_its_rows_does_not_fail() -> None:
    generator = np.random.default_rng(2)
    verdicts = [found_in(generator.random(100), generator.random(100))["PRV101"].verdict for _ in range(20)]
    assert "fail" not in verdicts


def test_a_tree_that_memorised_random_labels_is_found() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(400, 5)), generator.integers(2, size=400)
    tree = DecisionTreeClassifier(random_state=0).fit(x[:200], y[:200])
    case = assay.case(assay.wrap(tree), x[:200])
    advantage, _, gap = diagnose.membership(case, y[:200], x[200:], y[200:])
    assert advantage.verdict == "fail"
    assert advantage.estimate > 0.3
    assert gap.evidence["accuracy inside"] == 1.0
    assert gap.interval is not None
    assert gap.interval.low > 0.2


def test_on_real_rows_with_a_fifth_of_the_labels_wrong_a_forest_fails_and_a_line_does_not() -> None:
    x, y, other, labels = halves()
    generator = np.random.default_rng(0)
    y, labels = (np.where(generator.random(len(part)) < 0.2, 1 - part, part) for part in (y, labels))
    forest = RandomForestClassifier(30, random_state=0).fit(x, y)
    line = LogisticRegression(C=1e-3, max_iter=5000).fit(x[:, :2], y)
    leak = diagnose.membership(assay.case(assay.wrap(forest), x), y, other, labels)[0]
    none = diagnose.membership(assay.case(assay.wrap(line), x[:, :2]), y, other[:, :2], labels)[0]
    assert leak.verdict == "fail"
    assert none.verdict != "fail"
    assert leak.estimate > none.estimate + 0.1


def test_a_regression_is_judged_by_its_squared_error() -> None:
    x, y = load_diabetes(return_X_y=True)
    forest = RandomForestRegressor(20, random_state=0).fit(x[:220], y[:220])
    advantage, _, gap = diagnose.membership(assay.case(assay.wrap(forest), x[:220]), y[:220], x[220:], y[220:])
    errors = [((forest.predict(x[part]) - y[part]) ** 2).mean() for part in (slice(220, None), slice(None, 220))]
    assert advantage.verdict == "fail"
    assert_allclose(gap.estimate, errors[0] - errors[1])
    assert "squared error" in gap.claim


@pytest.mark.parametrize(("rows", "others", "level"), [(12, 40, 0.95), (40, 12, 0.9), (2, 3, 0.99)])
def test_the_interval_of_a_gap_between_mean_squared_errors_is_welchs(rows: int, others: int, level: float) -> None:
    generator = np.random.default_rng(rows)
    x, other = generator.normal(size=(rows, 1)), 2.0 * generator.normal(size=(others, 1))
    model = assay.model.function(lambda x: x[:, 0], name="number")  # the labels are 0: a row's loss is its square
    gap = diagnose.membership(assay.case(model, x), np.zeros(rows), other, np.zeros(others), level=level)[2]
    oracle = scipy_stats.ttest_ind(other[:, 0] ** 2, x[:, 0] ** 2, equal_var=False).confidence_interval(level)
    assert gap.interval is not None
    assert_allclose([gap.interval.low, gap.interval.high], [oracle.low, oracle.high])


def test_the_false_positive_rate_is_never_above_the_one_requested() -> None:
    generator = np.random.default_rng(3)
    found = found_in(generator.random(500), generator.random(2000), rate=0.02)["PRV102"]
    assert found.evidence["rate used"] == 0.02
    assert found.evidence["false positive rate"] == 0.02
    assert found.interval is not None
    assert found.interval.method == "clopper-pearson"


def test_ties_do_not_lift_the_false_positive_rate() -> None:
    found = found_in([0.9] * 50, [0.9] * 100 + [0.1] * 900)["PRV102"]
    assert found.evidence["false positive rate"] == 0.0
    assert found.estimate == 0.0


def test_few_outside_rows_support_no_small_rate() -> None:
    found = found_in(np.linspace(0.1, 0.9, 40), np.linspace(0.1, 0.9, 50))["PRV102"]
    assert found.evidence["rate used"] == 10 / 50
    assert "with 50 unseen rows, 1.0% cannot be measured" in found.claim
    refused = found_in(np.linspace(0.1, 0.9, 40), np.linspace(0.1, 0.9, 19))["PRV102"]
    assert refused.verdict == "not run"
    assert np.isnan(refused.estimate)


def test_rows_on_both_sides_are_counted_by_content() -> None:
    found = found_in([0.5, 0.6, 0.7, -0.0], [0.7, 0.7, 0.0, 0.1])["PRV101"]
    assert found.evidence["copies"] == 3
    assert "3 of the unseen rows" in found.claim


def test_a_probability_of_zero_is_an_infinite_loss_and_not_an_error() -> None:
    found = found_in([1.0] * 30, [0.0] * 30)
    assert found["PRV101"].estimate == 1.0
    assert found["PRV103"].evidence["loss gap"] is None


def test_labels_are_looked_up_among_the_names_before_they_are_positions() -> None:
    x = np.linspace(0.1, 0.9, 40)[:, None]
    model = assay.model.function(
        lambda x: np.hstack([1 - x, x]), gives="probabilities", classes=("1", "2"), name="credit"
    )
    case = assay.case(model, x)
    by_number = diagnose.membership(case, [2] * 40, x, [2.0] * 40)[2]
    by_name = diagnose.membership(case, ["2"] * 40, x, np.array(["2"] * 40))[2]
    by_place = diagnose.membership(case, [0] * 40, x, [0] * 40)[2]
    assert by_number.claim == by_name.claim
    assert by_number.evidence["accuracy inside"] == 0.5
    assert by_place.evidence["accuracy inside"] == 0.5
    with pytest.raises(InputError, match="label 0 does not exist; the model has 2 classes: 1, 2"):
        diagnose.membership(case, [1, 0] * 20, x, [1, 0] * 20)


def test_row_order_does_not_matter_when_rows_have_ids() -> None:
    generator = np.random.default_rng(5)
    x, other, labels = generator.random((60, 1)), generator.random((60, 1)), np.ones(60, int)
    order = generator.permutation(60)
    one = diagnose.membership(assay.case(number_as_probability(), x, ids=range(60)), labels, other, labels)[0]
    two = diagnose.membership(assay.case(number_as_probability(), x[order], ids=order), labels, other, labels)[0]
    assert one == two


def test_the_curve_is_short_and_rises_from_corner_to_corner() -> None:
    generator = np.random.default_rng(6)
    curve = np.array(found_in(generator.random(200) ** 0.5, generator.random(200))["PRV101"].evidence["roc"])
    assert len(curve) <= 40
    assert (np.diff(curve, axis=0) >= 0).all()
    assert curve[0].tolist() == [0, 0]
    assert curve[-1].tolist() == [1, 1]


def test_what_cannot_be_used_is_refused() -> None:
    x = np.full((4, 1), 0.5)
    case = assay.case(number_as_probability(), x)
    with pytest.raises(InputError, match="3 labels for 4"):
        diagnose.membership(case, [1, 1, 1], x, [1] * 4)
    with pytest.raises(InputError, match="does not exist"):
        diagnose.membership(case, [1] * 4, x, [1, 1, 1, 7])
    with pytest.raises(InputError, match="folds"):
        diagnose.membership(case, [1] * 4, x, [1] * 4, folds=1)
    with pytest.raises(InputError, match="shape"):
        diagnose.membership(case, [1] * 4, np.ones((4, 2)), [1] * 4)
    with pytest.raises(CapabilityError, match="further inputs"):
        diagnose.membership(assay.case(number_as_probability(), x, carried={"mask": np.ones(4)}), [1] * 4, x, [1] * 4)
