"""The contract: every explanation method and every score of the catalogue, on every subject that it supports."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest
from tests.contract.claims import CLAIMS
from tests.contract.laws import violations
from tests.contract.runs import Runs, run_method
from tests.contract.subjects import SUBJECTS, methods, pairs, required_options, supports

from assay.basics.errors import CapabilityError
from assay.engine.coalitions.masks import TOP_SHARE
from assay.engine.cost import cost_of
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import Cost, Method, find

TESTED_VERBS = ("explain", "evaluate")


def supported() -> list[Any]:
    """Methods with their subjects: every second one of a method, beginning with the first or the second in turn."""
    found = []
    for verb in TESTED_VERBS:
        for number, (method, group) in enumerate(groupby(pairs(verb), key=lambda pair: pair[0])):
            for place, (_, subject) in enumerate(group):
                marks = () if (place + number) % 2 == 0 or not place else (pytest.mark.judge,)
                found.append(pytest.param(method, subject, id=f"{method.name}-{subject}", marks=marks))
    return found


def claimed() -> list[Any]:
    found = [(method, claim) for verb in TESTED_VERBS for method in methods(verb) for claim in sorted(method.claims)]
    return [pytest.param(method, claim, id=f"{method.name}-{claim}") for method, claim in found]


EVERY = pytest.mark.parametrize("method", [m for v in TESTED_VERBS for m in methods(v)], ids=lambda m: m.name)


@pytest.mark.parametrize(("method", "subject"), supported())
def test_the_method_keeps_every_law(method: Method, subject: str) -> None:
    assert violations(Runs(method, subject)) == {}


@EVERY
def test_the_method_refuses_what_lacks_its_needs(method: Method) -> None:
    for subject in [s for m, s in pairs(method.verb, supported=False) if m is method]:
        with pytest.raises(CapabilityError, match=f"{method.verb}.{method.name} needs"):
            run_method(method, SUBJECTS[subject]())


@EVERY
def test_the_method_supports_some_subject(method: Method) -> None:
    assert any(supports(method, subject) for subject in SUBJECTS)


@pytest.mark.parametrize(("method", "claim"), claimed())
def test_the_claim_holds(method: Method, claim: str) -> None:
    CLAIMS[method.verb][claim](method)


@pytest.mark.parametrize("subject", ["neural", "visual"])
@pytest.mark.parametrize(("name", "explainer"), [("pgd", ""), ("top_k", "integrated_gradients"), ("top_k", "saliency")])
def test_model_evaluations_of_an_attack_equal_its_declared_cost(name: str, explainer: str, subject: str) -> None:
    method, case = find("attack", name), SUBJECTS[subject]()
    explanation = [] if not explainer else [find("explain", explainer).call(case)]
    meter, _ = case.model.meter, (case.output, case.prediction)
    requested, backwards = meter.requested, meter.backwards
    attack_result = method.call(*explanation, case, Ball("linf", 0.05), steps=3)
    again = cost_of(find("explain", explainer), case, explanation[0].provenance.options) if explainer else None
    declared = cost_of(method, case, attack_result.provenance.options, again)
    assert Cost(meter.requested - requested, meter.backwards - backwards) == declared


@pytest.mark.parametrize("subject", ["neural", "visual", "mixed"])
@pytest.mark.parametrize("name", ["mus", "soft_stability"])
def test_model_evaluations_of_a_certificate_equal_its_declared_cost(name: str, subject: str) -> None:
    method, case = find("certify", name), SUBJECTS[subject]()
    explanation = find("explain", "constant").call(case)
    meter, _ = case.model.meter, (case.output, case.prediction)
    requested = meter.requested
    certificate = method.call(case, explanation.top(TOP_SHARE), **required_options(method, case))
    assert meter.requested - requested == cost_of(method, case, certificate.provenance.options).forwards
