"""Severity by one rule, the smallest failure that a check can show, and features named at a finding's rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import assay
from assay import explain
from assay.auditing.audit import prepare
from assay.auditing.check_catalogue import suggested_repairs
from assay.auditing.finding_features import most_trusted, name_features
from assay.auditing.joint_verdicts import judge_jointly, smallest_detectable
from assay.basics.stats import Basis, Interval
from assay.nouns.catalogue import Check
from assay.nouns.results.finding import Finding
from assay.nouns.results.severity import severity_of

GAP = Check("FAI101", "How large?", "", 0.1, "at most", severe=0.2)
SHARE = Check("FAI104", "How small?", "", 0.8, "at least", severe=0.5)
SKILL = Check("PER101", "Any?", "", 0.1, "at least", undecided_from=0.4, severe=0.0)


def failed(low: float, high: float, check: Check = GAP, affected: float = 1.0) -> Finding:
    return Finding(
        check.code, "fail", "", "model", (low + high) / 2, Interval(low, high, 0.95, "x"), check.threshold,
        check.direction, affected=affected,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("low", "high", "check", "affected", "expected"),
    [
        (0.21, 0.4, GAP, 1.0, "high"),
        (0.19, 0.9, GAP, 1.0, "medium"),
        (0.124, 0.9, GAP, 1.0, "low"),
        (0.30, 0.4, GAP, 0.09, "medium"),
        (0.30, 0.4, GAP, 0.04, "low"),
        (0.20, 0.45, SHARE, 0.5, "high"),
        (0.20, 0.60, SHARE, 0.5, "medium"),
        (0.20, 0.79, SHARE, 0.5, "low"),
        (-0.2, 0.2, SKILL, 1.0, "high"),
        (-0.2, 0.3, SKILL, 1.0, "medium"),
    ],
)
def test_severity_reads_the_cautious_limit_and_the_share_of_rows(low, high, check, affected, expected) -> None:
    assert severity_of(failed(low, high, check, affected), check) == expected


def test_only_failures_of_checks_with_a_limit_have_a_severity() -> None:
    finding = failed(0.3, 0.4)
    assert severity_of(replace(finding, verdict="undecided"), GAP) == ""
    assert severity_of(finding, replace(GAP, severe=None)) == ""
    assert severity_of(finding, None) == ""
    exact = replace(finding, interval=None, estimate=0.15)
    assert severity_of(exact, GAP) == "medium"


@pytest.mark.parametrize("direction", ["at most", "at least"])
def test_four_of_five_samples_show_the_smallest_detectable_failure(direction) -> None:
    sign = 1 if direction == "at most" else -1
    generator = np.random.default_rng(0)

    def finding(true: float) -> Finding:
        basis = Basis("student", {"values": generator.normal(true, 1.0, 200)})
        return judge_jointly(
            [Finding("EXP201", "undecided", "", "x", 0.0, basis.at(0.95), 0.0, direction, n=200, basis=basis)]
        )[0]

    reach = finding(0.0).detectable
    assert reach is not None
    assert sign * reach > 0
    shown = sum(finding(reach).verdict == "fail" for _ in range(300))
    assert 0.72 < shown / 300 < 0.88


def test_without_a_threshold_nothing_is_detectable() -> None:
    assert smallest_detectable(Finding("PRV103", "informative", "", "model")) is None


def test_features_are_named_by_the_best_tested_explanation_at_the_rows() -> None:
    x = np.array([[3.0, 0.1, 0.2], [4.0, 0.2, 0.1], [5.0, 0.0, 0.3], [0.1, 9.0, 0.2]])
    model = assay.model.function(lambda x: x.sum(axis=1), gradient=np.ones_like, fingerprint="sum")
    case = assay.case(model, x, names=["a", "b", "c"])
    explanation = explain.input_x_gradient(case)
    ids = case.rows.ids
    fault = replace(failed(0.3, 0.4), rows=ids[:3])
    trust = [Finding("TRU001", verdict, "", name) for name, verdict in (("one", "rejected"), ("two", "informative"))]
    assert most_trusted([fault, *trust], ["one", "two"]) == "two"
    assert most_trusted([fault], ["one", "two"]) == ""
    named = name_features([fault, *trust], "two", [explanation])[0]
    assert named.features == ("a", "c", "b")
    assert (named.features_by, named.features_verdict) == ("two", "informative")
    few = replace(fault, rows=ids[2:])
    assert name_features([few, *trust], "two", [explanation])[0].features == ()
    assert name_features([fault], "two", [explanation])[0].features == ()
    halves = [explain.input_x_gradient(case.take(places)) for places in ([0, 1], [2, 3])]
    assert name_features([fault, *trust], "two", halves)[0].features == ("a", "c", "b")


def test_features_are_not_named_by_rows_given_that_have_the_ids_of_training_rows() -> None:
    x = np.array([[3.0, 0.1], [4.0, 0.2], [5.0, 0.0]])
    model = assay.model.function(lambda x: x.sum(axis=1), gradient=np.ones_like, fingerprint="sum")
    explanation = explain.input_x_gradient(assay.case(model, x, names=["a", "b"]))
    fault = replace(failed(0.3, 0.4), rows=explanation.ids, rows_of="train")
    trust = Finding("TRU001", "pass", "", "one")
    assert name_features([fault, trust], "one", [explanation])[0].features == ()
    assert name_features([replace(fault, rows_of="data"), trust], "one", [explanation])[0].features == ("a", "b")


def test_rows_of_findings_that_were_not_explained_are_explained_within_the_cost_that_is_said() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 4))
    y = (x[:, 0] + x[:, 1] * (x[:, 2] > 1) * 4 > 0).astype(int)
    weights = np.array([2.0, 0.2, 0.0, 0.0])
    model = LogisticRegression().fit(x, y)
    model.coef_, model.intercept_ = weights[None], np.zeros(1)
    prepared = prepare(model, x, y, profile="quick", methods=["shapley"], select=("PER", "EXP", "TRU"))
    record = prepared.run().record
    most = prepared.plan.cost.forwards + prepared.plan.at_most.forwards
    assert prepared.plan.evidence.forwards > 0
    assert record.cost["model evaluations requested"] <= most
    named = [f for f in record.findings if f.code == "PER201" and f.features]
    explained = set(record.explanations["shapley"].ids)
    assert named
    assert not set(named[0].rows[:5]) <= explained


def test_only_repairs_that_the_kind_of_model_can_have_are_suggested() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 2)).eval()
    plain = assay.case(assay.wrap(LogisticRegression().fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])), np.zeros((2, 2)))
    suggested = {name: [one.method for one in suggested_repairs("PRV101", case)] for name, case in (
        ("net", assay.case(assay.wrap(net), np.zeros((2, 2), dtype=np.float32))), ("linear", plain), ("any", None)
    )}  # fmt: skip
    assert suggested["linear"] == ["refit"]
    assert suggested["net"] == suggested["any"] == ["private_training", "refit"]
