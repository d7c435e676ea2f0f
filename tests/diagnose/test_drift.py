"""Drift of columns between training and test rows: planted drift is named, equal distributions do not fail."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import assay
from assay import diagnose
from assay.basics.errors import InputError
from assay.basics.stats import largest_distance_interval
from assay.nouns.results.finding import Finding


def frame(seed: int, rows: int = 400) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    table = pd.DataFrame({"age": np.round(generator.normal(45, 12, rows)), "debt": generator.exponential(size=rows)})
    table["job"] = generator.choice(["clerk", "cook", "nurse"], rows)
    return table


def found(test: Any, train: Any, **options: Any) -> Finding:
    case = assay.case(assay.wrap(lambda t: np.zeros(len(t)), output="values"), test)
    (finding,) = diagnose.drift(case, train, **options)
    return finding


def columns(finding: Finding) -> dict[str, Any]:
    return {line["name"]: line for line in finding.evidence["columns"]}


def test_a_number_that_drifted_is_named_with_its_kolmogorov_distance() -> None:
    test, train = frame(0), frame(1)
    test["age"] += 10
    finding = found(test, train)
    assert (finding.code, finding.verdict, finding.evidence["column"]) == ("DAT105", "fail", "age")
    assert_allclose(finding.estimate, scipy_stats.ks_2samp(test["age"], train["age"]).statistic)
    assert f"median {test['age'].median():g} in test rows, {train['age'].median():g} in training rows" in finding.claim


def test_a_level_that_drifted_is_named_with_its_total_variation() -> None:
    test, train = frame(2), frame(3)
    test.loc[:199, "job"] = "nurse"
    finding = found(test, train)
    shares = [side["job"].value_counts(normalize=True).sort_index() for side in (test, train)]
    assert (finding.verdict, finding.evidence["column"]) == ("fail", "job")
    assert_allclose(finding.estimate, (shares[0] - shares[1]).abs().sum() / 2)
    assert f"nurse: {shares[0]['nurse']:.1%} of test rows, {shares[1]['nurse']:.1%} of training rows" in finding.claim


@pytest.mark.parametrize("column", ["debt", "job"])
def test_missing_values_are_a_level_of_their_own(column: str) -> None:
    test, train = frame(4), frame(5)
    test[column] = test[column].where(np.arange(400) >= 160)
    finding = found(test, train)
    assert (finding.verdict, finding.evidence["column"]) == ("fail", column)
    assert "missing" in columns(finding)[column]["change"]
    assert finding.estimate >= 0.38


def test_a_column_missing_on_both_sides_does_not_drift() -> None:
    test, train = frame(6).assign(gone=np.nan), frame(7).assign(gone=np.nan)
    line = columns(found(test, train))["gone"]
    assert line["distance"] == 0.0
    assert line["change"].startswith("missing in 100.0%")


def test_few_rows_of_one_distribution_do_not_fail_and_many_pass() -> None:
    assert [found(frame(2 * s), frame(2 * s + 1)).verdict for s in range(8, 28)].count("fail") == 0
    assert found(frame(100, 4000), frame(101, 4000)).verdict == "pass"


def test_a_small_drift_of_many_rows_passes() -> None:
    test, train = frame(102, 20_000), frame(103, 20_000)
    test["debt"] += 0.03  # a p-value of 1e-9
    finding = found(test, train)
    assert (finding.verdict, finding.evidence["column"]) == ("pass", "debt")


def test_the_distance_of_many_levels_is_not_taken_for_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("assay.diagnose.drift"), "RARE", 0.0)
    generator = np.random.default_rng(8)
    test, train = frame(9), frame(10)
    test["age"] += 8
    for side in (test, train):
        side["town"] = [f"town {i}" for i in generator.integers(300, size=len(side))]
    finding = found(test, train)
    lines = columns(finding)
    assert lines["town"]["distance"] > lines["age"]["distance"]
    assert (finding.evidence["column"], lines["town"]["low"]) == ("age", 0.0)


def test_rare_levels_count_as_one() -> None:
    test, train = frame(11), frame(12)
    test["code"] = [f"a {i}" for i in range(400)]
    train["code"] = [f"b {i}" for i in range(400)]
    assert columns(found(test, train))["code"]["distance"] == 0.0


def test_new_levels_of_test_rows_are_seen() -> None:
    test, train = frame(13), frame(14)
    test.loc[:150, "job"] = "pilot"
    finding = found(test, train)
    assert finding.verdict == "fail"
    assert "pilot: 37.8% of test rows, 0.0% of training rows" in finding.claim


def test_the_interval_is_that_of_all_columns_at_any_level() -> None:
    test, train = frame(15), frame(16, 300)
    finding = found(test, train)
    assert finding.basis is not None
    assert finding.interval is not None
    assert finding.interval == finding.basis.at(0.95) == largest_distance_interval(**finding.basis.data)
    lines = columns(finding).values()
    assert_allclose(finding.interval.low, max(line["low"] for line in lines))
    assert_allclose(finding.interval.high, max(line["high"] for line in lines))
    assert finding.n == 700


def test_an_array_of_many_columns_shows_the_twenty_worst() -> None:
    generator = np.random.default_rng(17)
    test, train = generator.normal(size=(300, 25)), generator.normal(size=(300, 25))
    test[:, 7] += 1
    finding = found(test, train)
    assert (len(finding.evidence["columns"]), finding.evidence["number of columns"]) == (20, 25)
    assert finding.evidence["column"] == "7"


def test_texts_have_no_columns() -> None:
    texts = ["good film", "bad film", "good play", "bad play"] * 5
    model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts, [1, 0] * 10)
    (finding,) = diagnose.drift(assay.case(assay.wrap(model), texts), texts)
    assert finding.verdict == "not applicable"


def test_drift_evaluates_no_model() -> None:
    model = assay.wrap(lambda t: np.zeros(len(t)), output="values")
    case = assay.case(model, frame(18))
    before = model.meter.forwards
    diagnose.drift(case, frame(19))
    assert model.meter.forwards == before


@pytest.mark.parametrize("options", [{"level": 0.0}, {"distance": 1.1}])
def test_options_outside_their_range_are_refused(options: Any) -> None:
    with pytest.raises(InputError, match=r"level|needed are"):
        found(frame(20), frame(21), **options)
