"""The contract: every explainer and every score of the catalogue, on every subject it can be asked about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.contract.laws import CLAIMS, LAWS, Law, ask, survives_the_disk
from tests.contract.subjects import SUBJECTS, methods, options, pairs

from assay.basics.errors import CapabilityError
from assay.engine.coalitions.masks import LEADING
from assay.engine.cost import cost_of
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import Method, find

VERBS = ("explain", "evaluate")


def asked(*, able: bool = True) -> list[Any]:
    found = [pair for verb in VERBS for pair in pairs(verb, able=able)]
    return [pytest.param(method, subject, id=f"{method.name}-{subject}") for method, subject in found]


def claimed() -> list[Any]:
    found = [(method, claim) for verb in VERBS for method in methods(verb) for claim in sorted(method.claims)]
    return [pytest.param(method, claim, id=f"{method.name}-{claim}") for method, claim in found]


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize(("method", "subject"), asked())
def test_the_method_keeps_the_law(method: Method, subject: str, law: Law) -> None:
    law(method, subject)


@pytest.mark.parametrize(("method", "subject"), asked())
def test_the_result_survives_the_disk(method: Method, subject: str, tmp_path: Path) -> None:
    survives_the_disk(method, subject, tmp_path)


@pytest.mark.parametrize(("method", "subject"), asked(able=False))
def test_the_method_refuses_what_lacks_its_needs(method: Method, subject: str) -> None:
    with pytest.raises(CapabilityError, match=f"{method.verb}.{method.name} needs"):
        ask(method, SUBJECTS[subject]())


@pytest.mark.parametrize(("method", "claim"), claimed())
def test_the_claim_holds(method: Method, claim: str) -> None:
    CLAIMS[method.verb][claim](method)


@pytest.mark.parametrize("verb", VERBS)
def test_every_method_can_be_asked_about_some_subject(verb: str) -> None:
    reached = {method.name for method, _ in pairs(verb)}
    assert [method.name for method in methods(verb) if method.name not in reached] == []


@pytest.mark.parametrize("subject", ["neural", "visual"])
@pytest.mark.parametrize(("name", "explainer"), [("pgd", ""), ("top_k", "integrated_gradients"), ("top_k", "saliency")])
def test_an_attack_asks_for_what_its_price_says(name: str, explainer: str, subject: str) -> None:
    method, case = find("attack", name), SUBJECTS[subject]()
    explanation = [] if not explainer else [find("explain", explainer).call(case)]
    meter, _ = case.model.meter, (case.output, case.prediction)
    asked, backwards = meter.asked, meter.backwards
    attack_result = method.call(*explanation, case, Ball("linf", 0.05), steps=3)
    again = cost_of(find("explain", explainer), case, explanation[0].provenance.options) if explainer else None
    cost = cost_of(method, case, attack_result.provenance.options, again)
    assert (meter.asked - asked, meter.backwards - backwards) == (cost.forwards, cost.backwards)


@pytest.mark.parametrize("subject", ["neural", "visual", "mixed"])
@pytest.mark.parametrize("name", ["mus", "soft_stability"])
def test_a_certificate_asks_for_what_its_price_says(name: str, subject: str) -> None:
    method, case = find("certify", name), SUBJECTS[subject]()
    given = options(method, case)
    explanation = find("explain", "constant").call(case)
    meter, _ = case.model.meter, (case.output, case.prediction)
    asked = meter.asked
    certificate = method.call(case, explanation.top(LEADING), **given)
    assert meter.asked - asked == cost_of(method, case, certificate.provenance.options).forwards
