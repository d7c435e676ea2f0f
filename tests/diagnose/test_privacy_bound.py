"""A claim of differential privacy: refuted where a model memorises, not where it holds; and how it is reached."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

import assay
from assay import diagnose
from assay.auditing.audit import prepare
from assay.basics.errors import InputError
from assay.engine.audit_inputs import AuditInputs, call_on_inputs
from assay.nouns.catalogue import find

X, Y = make_classification(800, 5, flip_y=0.3, random_state=0)


@cache
def model(memorises: bool) -> Any:
    kind = KNeighborsClassifier(1) if memorises else LogisticRegression(C=0.01)
    return assay.wrap(kind.fit(X[:400], Y[:400]))


def bound(memorises: bool, **options: Any) -> Any:
    given = {"epsilon": 0.5, "delta": 1e-6} | options
    case = assay.case(model(memorises), X[:400])
    return diagnose.privacy_bound(case, Y[:400], X[400:], Y[400:], **given)[0]


def test_a_model_that_memorises_refutes_its_claim_and_one_that_does_not_does_not() -> None:
    found = bound(True)
    assert found.verdict == "fail"
    assert found.interval.low > found.threshold == 1.0
    assert found.claim.startswith(
        f"A membership attack shows a privacy loss at least {found.interval.low:.3g}; claimed"
    )
    assert bound(False).verdict != "fail"


def test_the_estimate_is_the_logarithm_of_the_ratio_of_the_rates_of_the_rule_that_is_named() -> None:
    found, evidence = bound(True), bound(True).evidence
    slack = evidence["allowed δ"]
    rate, false = evidence["true positive rate"], evidence["false positive rate"]
    assert found.estimate == (np.log((rate - slack) / false) if false else np.inf)
    low = np.log((evidence["true positive rate low"] - slack) / evidence["false positive rate high"])
    assert found.interval.low == pytest.approx(low)
    assert evidence["advantage"] == pytest.approx(rate - false)
    assert found.n == 400


def test_the_relation_says_whether_epsilon_counts_twice() -> None:
    assert bound(True, relation="replace-one").threshold == 0.5
    assert bound(True, relation="add-remove").threshold == 1.0
    assert bound(True, epsilon=3.0).verdict != "fail"


def test_the_bound_of_the_tutorial_is_shown_as_saying_nothing_above_ln_2() -> None:
    assert bound(False, epsilon=0.6).evidence["e^ε − 1 says nothing"] is False
    beyond = bound(False, epsilon=0.7).evidence
    assert beyond["e^ε − 1 says nothing"] is True
    assert beyond["e^ε − 1"] > 1 > beyond["largest advantage allowed"]


@pytest.mark.parametrize("given", [{"epsilon": 0.0}, {"epsilon": 1.0, "delta": 1.0}])
def test_impossible_claims_are_refused(given: Any) -> None:
    with pytest.raises(InputError, match="a finite ε above 0"):
        bound(False, **given)


def test_few_rows_are_refused() -> None:
    with pytest.raises(InputError, match="at least 20 of each"):
        diagnose.privacy_bound(assay.case(model(False), X[:19]), Y[:19], X[400:], Y[400:], epsilon=1.0)


def test_the_check_runs_in_an_audit_where_a_claim_is_given_and_is_not_listed_elsewhere() -> None:
    def planned(**given: Any) -> set[str]:
        plan = prepare(model(False), X[400:], Y[400:], train=(X[:400], Y[:400]), **given).plan
        return {step.method for step in plan.steps if step.verb == "diagnose"}

    assert "privacy_bound" not in planned()
    assert "privacy_bound" in planned(options={"privacy_bound": {"epsilon": 1.0}})


def test_its_cost_is_that_of_all_rows() -> None:
    options = {"privacy_bound": {"epsilon": 1.0}}
    inputs = AuditInputs(model(False), X[400:], Y[400:], train=(X[:400], Y[:400]), options=options)
    method = find("diagnose", "privacy_bound")
    before = inputs.model.meter.forwards
    assert method.audit_cost is not None
    declared = method.audit_cost(inputs).forwards
    call_on_inputs(method, inputs)
    assert inputs.model.meter.forwards - before == declared == 800
