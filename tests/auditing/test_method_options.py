"""Options of the methods that an audit's profile chooses: they reach the method, or are refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import assay
from assay.auditing.audit import PreparedAudit, prepare
from assay.auditing.planning.method_options import PLACES, with_options
from assay.auditing.planning.profiles import all_profiles, with_declared_checks
from assay.auditing.steps.diagnoses import audited_diagnoses
from assay.basics.errors import InputError
from assay.nouns.catalogue import find

X = np.random.default_rng(0).normal(size=(80, 4))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)
MODEL = LogisticRegression().fit(X, Y)
PROFILE = with_declared_checks(all_profiles()["table", "standard"])
DIAGNOSES = [method.name for method in audited_diagnoses()]


def planned(**arguments: Any) -> PreparedAudit:
    return prepare(MODEL, X[40:], Y[40:], train=(X[:40], Y[:40]), profile="standard", **arguments)


METHODS = sorted(
    (verb, field, name)
    for verb, fields in PLACES.items()
    for field in fields
    for name in (DIAGNOSES if field == "diagnoses" else getattr(PROFILE, field))
)


@pytest.mark.parametrize(("verb", "field", "name"), METHODS, ids=lambda value: str(value))
def test_every_method_of_a_profile_takes_its_options_and_refuses_others(verb: Any, field: str, name: str) -> None:
    options = [option for option in find(verb, name).options if option != "remove"]
    for given in ({option: "given"} for option in options[:1]):
        changed = with_options(PROFILE, {f"{verb}.{name}": given}, DIAGNOSES)
        assert getattr(changed, field)[name].items() >= given.items()
    with pytest.raises(InputError, match=rf"{verb}\.{name} has no option 'nonsense'; there are"):
        with_options(PROFILE, {name: {"nonsense": 1}}, DIAGNOSES)


def test_a_method_that_the_audit_does_not_run_is_refused() -> None:
    with pytest.raises(InputError, match="'rise', which this audit does not run"):
        planned(options={"rise": {"budget": 8}})


def test_options_reach_the_steps_of_the_plan() -> None:
    plan = planned(options={"lime": {"budget": 24}, "deletion": {"steps": 3}, "soft_stability": {"draws": 7}}).plan
    chosen = {(s.verb, s.method): s.options for s in plan.steps}
    assert chosen["explain", "lime"]["budget"] == 24
    assert chosen["evaluate", "deletion"]["steps"] == 3
    assert chosen["certify", "soft_stability"]["draws"] == 7


def test_options_reach_a_diagnosis() -> None:
    run = assay.audit(MODEL, X, Y, profile="quick", select=["PER101"], options={"performance": {"skill": 0.3}})
    assert run["PER101"].threshold == 0.3


@pytest.mark.parametrize("argument", ["methods", "scores", "options"])
def test_a_removal_of_its_own_is_refused_with_the_reason(argument: str) -> None:
    name = "deletion" if argument == "scores" else "occlusion"
    with pytest.raises(InputError, match="compares all explanations under one removal") as error:
        planned(**{argument: {name: {"remove": assay.Constant(0.0)}}})
    assert "background=" in str(error.value)


def test_other_options_that_an_audit_shares_are_those_given() -> None:
    own = X[:3]
    plan = planned(options={"ale": {"background": own}}).plan
    assert next(s for s in plan.steps if s.method == "ale").options["background"] is own
