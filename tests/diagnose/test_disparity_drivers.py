"""Columns that contribute to a gap between groups: they add up, and the planted one is found."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from tests.diagnose.subjects import disparity_of as found
from tests.diagnose.subjects import planted, rule

import assay
from assay import diagnose, explain
from assay.nouns.results.finding import Finding


def contributions(finding: Finding) -> dict[str, float]:
    return {line["name"]: line["contribution"] for line in finding.evidence["columns"]}


def test_the_column_that_was_planted_drives_the_gap() -> None:
    x, groups = planted()
    finding = found(x, groups, remove=assay.Marginal(x[:30]))["FAI110"]
    parts = contributions(finding)
    assert finding.verdict == "informative"
    assert finding.claim.startswith("0 contributes +")
    assert finding.interval is not None
    assert finding.interval.low > 0
    assert parts["0"] > 5 * abs(parts["1"])


def test_a_column_that_never_matters_contributes_nothing() -> None:
    x, groups = planted()
    assert_allclose(contributions(found(x, groups, remove=assay.Marginal(x[:30]))["FAI110"])["2"], 0.0, atol=1e-12)


def test_contributions_add_up_to_the_gap_of_the_rows_drawn() -> None:
    x, groups = planted()
    evidence = found(x, groups, remove=assay.Marginal(x[:30]), rows=20)["FAI110"].evidence
    total = sum(line["contribution"] for line in evidence["columns"]) + evidence["other columns"]
    assert_allclose(total + evidence["baseline difference"], evidence["gap of sampled rows"], atol=1e-9)
    assert_allclose(
        [evidence["baseline difference"], evidence["gap of sampled rows"]],
        [0.0, evidence["gap of all rows"]],
        atol=1e-12,
    )
    assert evidence["sampled rows"] == {"men": 20, "women": 20}
    assert evidence["all rows"] == {"men": 60, "women": 60}


def test_with_all_rows_drawn_a_contribution_is_the_difference_of_mean_shapley_values() -> None:
    x, groups = planted(40)
    remove = assay.Marginal(x[:10])
    finding = found(x, groups, remove=remove, rows=20)["FAI110"]
    values = explain.shapley(assay.case(rule(), x).with_target("decision", "granted"), remove=remove).values
    sides = values[groups == "men"], values[groups == "women"]
    parts = contributions(finding)
    assert_allclose([parts[name] for name in "012"], sides[0].mean(axis=0) - sides[1].mean(axis=0), atol=1e-12)
    error = {line["name"]: line["stderr"] for line in finding.evidence["columns"]}["0"]
    assert_allclose(error, np.sqrt(sum(side[:, 0].var(ddof=1) / 20 for side in sides)))
    assert_allclose(finding.evidence["gap of sampled rows"], finding.evidence["gap of all rows"])


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_drivers_interval_is_normal_at_a_level_corrected_for_the_number_of_features(level: float) -> None:
    x, groups = planted()
    finding = found(x, groups, remove=assay.Marginal(x[:30]), level=level)["FAI110"]
    first = finding.evidence["columns"][0]
    half = scipy_stats.norm.ppf(1 - (1 - level) / (2 * 3)) * first["stderr"]
    assert finding.interval is not None
    limits = [first["contribution"] - half, first["contribution"] + half]
    assert_allclose([finding.interval.low, finding.interval.high], limits)
    assert (finding.interval.level, finding.interval.method) == (level, "normal, 3 features")
    assert half > 0.01


def test_too_few_coalitions_for_all_are_sampled_with_an_error_of_their_own() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(60, 8))
    groups = np.where(x[:, 0] > 0, "high", "low")
    weights = np.array([2.0, -1, 1, -1, 0.5, 1, -0.5, 1])
    model = assay.model.function(lambda x: x @ weights, gives="margin", classes=("no", "yes"), name="eight")
    case, remove = assay.case(model, x), assay.Marginal(x[:8])
    options = {"favourable": "yes", "remove": remove, "rows": 40}
    few = diagnose.disparity(case, groups, budget=64, **options)[-1]
    whole = diagnose.disparity(case, groups, budget=256, **options)[-1]
    truth, shares = contributions(whole), contributions(few)
    error = {line["name"]: line["stderr"] for line in few.evidence["columns"]}
    exact = {line["name"]: line["stderr"] for line in whole.evidence["columns"]}
    assert truth != shares
    assert all(error[name] > exact[name] * 0.8 for name in truth)
    assert all(abs(truth[name] - shares[name]) < 4 * error[name] for name in truth)


def test_equal_rows_in_each_group_leave_the_error_of_the_coalitions_alone() -> None:
    x = np.repeat(np.array([[1.0] * 8, [-1.0] * 8]), 10, axis=0)
    weights = np.array([2.0, -1, 1, -1, 0.5, 1, -0.5, 1])
    model = assay.model.function(lambda x: x @ weights - 1.1, gives="margin", classes=("no", "yes"), name="eight")
    options = {"favourable": "yes", "remove": assay.Constant(0.0), "rows": 10}
    case, groups = assay.case(model, x), ["a"] * 10 + ["b"] * 10
    few, whole = (diagnose.disparity(case, groups, budget=budget, **options)[-1] for budget in (64, 256))
    assert max(line["stderr"] for line in few.evidence["columns"]) > 1e-3
    assert max(line["stderr"] for line in whole.evidence["columns"]) < 1e-12


def test_the_same_seed_draws_the_same_rows_and_another_seed_others() -> None:
    x, groups = planted()
    remove = assay.Marginal(x[:10])
    last = [
        diagnose.disparity(assay.case(rule(), x, seed=seed), groups, favourable=1, remove=remove, rows=15)[-1]
        for seed in (0, 0, 1)
    ]
    assert last[0] == last[1]
    assert last[0] != last[2]


@pytest.mark.parametrize("seed", range(8))
def test_a_decomposition_never_explains_a_gap_that_its_rows_do_not_have(seed: int) -> None:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(600, 3)) - [2.0, 0, 0]
    groups = np.where(np.arange(600) < 300, "a", "b")
    x[groups == "a", 0] += 0.6
    by_code = found(x, groups, remove=assay.Marginal(x[:20]), rows=20)
    gap, drivers = by_code["FAI101"], by_code["FAI110"]
    assert gap.interval is not None
    if gap.interval.low == 0:
        assert drivers.verdict == "not applicable"
        assert "no gap to explain" in drivers.claim
        return
    assert drivers.verdict == "informative"
    evidence = drivers.evidence
    assert sum(evidence["sampled rows"].values()) == 40
    assert_allclose(evidence["gap of sampled rows"], gap.estimate, atol=1e-12)
    total = sum(line["contribution"] for line in evidence["columns"]) + evidence["baseline difference"]
    assert_allclose(total, gap.estimate, atol=1e-9)


def test_weighted_rows_estimate_the_contributions_of_all_rows() -> None:
    x, groups = planted(400)
    few, whole = (found(x, groups, remove=assay.Marginal(x[:20]), rows=rows)["FAI110"] for rows in (40, 400))
    errors = {line["name"]: line["stderr"] for line in few.evidence["columns"]}
    parts, truth = contributions(few), contributions(whole)
    assert all(abs(parts[name] - truth[name]) < 3 * errors[name] + 1e-9 for name in truth)
    assert 0 < errors["0"] < 0.2


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_a_pipeline_on_a_frame_with_text_is_explained_in_its_own_columns(kind: Any) -> None:
    generator = np.random.default_rng(0)
    sex = np.where(generator.random(200) < 0.5, "f", "m")
    data = {
        "job": np.where(sex == "m", "smith", generator.choice(["smith", "baker"], 200)).tolist(),
        "age": generator.integers(20, 70, 200).tolist(),
    }
    y = (np.array(data["job"]) == "smith").astype(int)
    encoder = make_column_transformer((OneHotEncoder(), ["job"]), remainder="passthrough")
    pipeline = make_pipeline(encoder, LogisticRegression(max_iter=2000)).fit(kind(data), y)
    frame = kind(data)
    case = assay.case(assay.wrap(pipeline), frame)
    findings = diagnose.disparity(case, sex, favourable=1, labels=y, remove=assay.Marginal(frame[:20]), rows=30)
    last = findings[-1]
    assert last.claim.startswith("job contributes")
    assert_allclose(contributions(last)["age"], 0.0, atol=1e-9)
    assert findings[0].verdict == "fail"
