"""Thresholds of an audit and their origin; what an explanation that was only tried may fail."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from tests.report.extreme_records import empty as nothing

import assay
from assay.auditing.audit import prepare
from assay.auditing.joint_verdicts import UNDECIDED_ADVICE, judge_jointly, with_thresholds
from assay.auditing.run import Run
from assay.basics.errors import InputError
from assay.basics.stats import Basis
from assay.diagnose.explanation_trust import conclude_available, reject_tried
from assay.nouns.catalogue import check_named
from assay.nouns.results.finding import Finding


def rate(hits: int, code: str = "FAI101", **fields: object) -> Finding:
    """A check whose estimate is a rate of 200 rows, at most 0.1."""
    return Finding(
        code, "fail", "", "model", hits / 200, threshold=0.1, direction="at most", n=200, advice="Refit.",
        basis=Basis("rate", {"hits": np.asarray(hits), "trials": np.asarray(200)}), **fields,
    )  # fmt: skip


@pytest.fixture(scope="module")
def audited():
    g = np.random.default_rng(0)
    x = g.normal(size=(400, 4))
    y = (x[:, 0] + g.normal(size=400) > 0).astype(int)
    return LogisticRegression().fit(x[:200], y[:200]), x[200:], y[200:]


def test_a_given_threshold_decides_and_says_where_it_comes_from():
    given, plain = judge_jointly(with_thresholds([rate(40), rate(40, "FAI102")], {"FAI101": 0.5}, {"FAI101": "a file"}))
    assert (given.verdict, given.threshold, given.threshold_origin) == ("pass", 0.5, "a file")
    assert given.advice == "No action needed on this evidence."
    assert (plain.verdict, plain.threshold, plain.threshold_origin, plain.advice) == ("fail", 0.1, "default", "Refit.")
    assert judge_jointly([replace(rate(40), threshold=0.3)])[0].threshold_origin == "option"


def test_an_undecided_check_does_not_advise_the_remedy():
    (found,) = judge_jointly(with_thresholds([rate(40)], {"FAI101": 0.2}, {}))
    assert (found.verdict, found.threshold_origin) == ("undecided", "given")
    assert found.advice.startswith("Practically undecidable with this data")  # the estimate is the threshold itself
    (near,) = judge_jointly(with_thresholds([rate(40)], {"FAI101": 0.25}, {}))
    assert (near.verdict, near.advice.startswith(UNDECIDED_ADVICE)) == ("undecided", True)


def test_a_fact_without_sampling_error_is_judged_by_its_value():
    fact = Finding("DAT101", "pass", "", "m", 0.02, threshold=0.05, direction="at most", advice="fine")
    failed, kept = (with_thresholds([fact], {"DAT101": value}, {})[0] for value in (0.01, 0.02))
    check = check_named("DAT101")
    assert check is not None
    assert (failed.verdict, failed.advice) == ("fail", check.remedy)
    assert (kept.verdict, kept.advice) == ("pass", "fine")


def test_an_audit_reads_thresholds_and_its_page_prints_their_origin(audited):
    model, x, y = audited
    run = assay.audit(model, x, y, profile="quick", select=["PER"], thresholds={"PER104": 0.9})
    found = run["PER104"]
    assert (found.verdict, found.threshold, found.threshold_origin) == ("pass", 0.9, "given")
    assert json.loads(run.to_json())["findings"][0]["threshold_origin"]
    from assay.report.audit.page import render

    page = render(run.record)
    assert re.search(r"needs ≤ 0\.90* \(given\)", page)
    assert re.search(r"needs ≥ 0\.10* \(default\)", page)


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ({"FAI999": 0.1}, "no check 'FAI999'"),
        ({"DAT104": 0.1}, "DAT104 has no threshold"),
        ({"FAI101": float("nan")}, "a finite number is needed"),
    ],
)
def test_thresholds_that_fit_no_check_are_refused(audited, thresholds, message):
    model, x, y = audited
    with pytest.raises(InputError, match=message):
        assay.audit(model, x, y, profile="quick", select=["PER"], thresholds=thresholds)


def test_the_failure_of_an_explanation_that_was_only_tried_is_no_failure():
    findings = [Finding("TRU001", "fail", "", name) for name in ("lime", "rise")] + [Finding("FAI101", "fail", "", "m")]
    verdicts = [f.verdict for f in reject_tried(findings, ["lime"])]
    assert verdicts == ["rejected", "fail", "fail"]


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["pass", "rejected"], "pass"),
        (["informative", "fail"], "pass"),
        (["undecided", "fail"], "undecided"),
        (["fail", "fail"], "fail"),
    ],
)
def test_there_must_be_an_explanation_that_can_be_used(verdicts, expected):
    trust = [Finding("TRU001", verdict, "", f"e{i}", more=10 + i) for i, verdict in enumerate(verdicts)]
    found = conclude_available(trust, "model")
    assert (found.code, found.verdict, found.subject) == ("TRU002", expected, "model")
    assert found.more == (10 if expected == "undecided" else None)


def test_explanations_fail_an_audit_only_where_they_were_requested(audited):
    model, x, y = audited
    tried = assay.audit(model, x, y, profile="quick", select=["TRU", "EXP", "SAN"])
    assert tried["TRU002"].verdict == "pass"
    assert not [f for f in tried.findings if f.verdict == "fail"]
    assert prepare(model, x, y, profile="quick").requested == ()
    assert prepare(model, x, y, profile="quick", methods={"lime": {}}).requested == ("lime",)


def test_a_run_without_a_check_has_not_passed():
    empty = Run(nothing())
    assert not empty.passed
    assert not json.loads(empty.to_json())["passed"]
    made = Run(replace(empty.record, findings=(Finding("FAI101", "pass", "", "m"),)))
    assert made.passed
    assert not made.ok(ignore=("FAI",))
