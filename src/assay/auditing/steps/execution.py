# SPDX-License-Identifier: Apache-2.0
"""Running the steps of a plan one after another; each outcome goes into the store when it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from assay.auditing import settings_grid
from assay.auditing.planning.plan import RUNNER_UP, Plan, Step
from assay.auditing.planning.scope import AuditScope
from assay.auditing.planning.views import VIEW, view_case, view_dependencies
from assay.auditing.steps.model_key import model_key
from assay.auditing.steps.result_store import ResultStore
from assay.basics.errors import AssayError, CapabilityError, MissingExtra
from assay.basics.fingerprint import digest
from assay.cases.case import Case
from assay.engine.check_findings import attack_findings, certificate_findings
from assay.engine.coalitions.masks import TOP_SHARE
from assay.nouns.catalogue import Check, enter_check, find
from assay.nouns.comparisons.settings_grid import SettingsGrid
from assay.nouns.records.record import CertifiedSet
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import AttackResult, Certificate, Explanation, Refusal, Score

RUN = enter_check(
    Check(
        "RUN001",
        "Could every planned step be completed?",
        "Fix what the reason names, and run the audit again: finished steps are not repeated.",
    )
)

Progress = Callable[[str, str, float], None]
"""Called as progress(event, text, share): "plan" once, "step" before each step, "end"; share of the cost spent."""


def no_progress(event: str, text: str, share: float) -> None:
    """Report nothing."""


@dataclass
class AuditResults:
    """The outcomes of the steps so far."""

    explanations: dict[str, Explanation] = field(default_factory=dict)
    rivals: dict[str, Explanation] = field(default_factory=dict)
    scores: dict[tuple[str, str], Score] = field(default_factory=dict)
    attack_results: dict[str, AttackResult] = field(default_factory=dict)
    certificates: dict[str, Certificate] = field(default_factory=dict)
    certified: dict[str, CertifiedSet] = field(default_factory=dict)
    reliability: list[Finding] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    grid: SettingsGrid | None = None
    views: dict[str, Explanation] = field(default_factory=dict)

    def put(self, step: Step, outcome: Any) -> None:
        """Store an outcome under its step."""
        if isinstance(outcome, Refusal):
            self.refusals.append(outcome)
        elif step.method == settings_grid.NAME:
            self.grid = outcome
        elif step.subject == VIEW:
            self.views[step.method] = outcome
        elif step.verb == "explain":
            (self.rivals if step.subject == RUNNER_UP else self.explanations)[step.method] = outcome
        elif step.verb == "evaluate":
            self.scores[step.subject, step.method] = outcome
        elif step.verb == "diagnose":
            self.reliability += outcome
        elif step.verb == "attack":
            taken = step.subject in self.attack_results or not step.subject
            self.attack_results[f"{step.subject} {step.method}".strip() if taken else step.subject] = outcome
        else:
            self.certificates[step.method] = outcome
            if step.subject:
                self.certified[step.method] = CertifiedSet(step.subject, _certified_share(step))

    def declared_findings(self, level: float) -> list[Finding]:
        """Findings of the certificates, and of the attacks that are not on an explanation, that declare checks."""
        findings: list[Finding] = []
        for subject, result in self.attack_results.items():
            if subject not in self.explanations:
                findings += attack_findings(subject, result, level)
        for name, certificate in self.certificates.items():
            findings += certificate_findings(name, certificate, level)
        return findings


def run_steps(plan: Plan, scope: AuditScope, store: ResultStore, progress: Progress) -> AuditResults:
    """Explain, score, attack and certify as planned; a step that is refused becomes a refusal, and the rest go on."""
    results = AuditResults()
    scope.case.explanation_cache.shares_gradients = False
    for done, step in enumerate(plan.steps):
        if step.verb not in ("diagnose", "repair") or step.subject:
            progress("step", step.key, plan.done_share(done))
            run_step(step, scope, results, store)
    return results


def run_step(step: Step, scope: AuditScope, results: AuditResults, store: ResultStore) -> None:
    """Run one step, or read its outcome from the store."""
    if step.method == settings_grid.NAME:
        _run_settings_grid(step, scope, results, store)
        return
    subject = results.explanations.get(step.subject)
    if step.subject not in ("", RUNNER_UP, VIEW) and subject is None:
        return  # its explanation was refused, and the refusal is reported
    depends = {"case": dependencies_of(scope.case), "options": step.options, "of": _fingerprint(subject)}
    if step.subject == VIEW:
        depends |= view_dependencies(scope, step.options)

    def make() -> Any:
        try:
            return _call(step, scope, subject)
        except AssayError as error:
            return Refusal(step.key, step.verb, str(error), type(error).__name__)

    case = scope.case
    rivals = () if scope.rival is None else (scope.rival.game(scope.remove).cache,)
    outcome = store.once(step.key, depends, make, case.game(scope.remove).cache, case.explanation_cache, *rivals)
    if isinstance(outcome, Explanation):  # a stored result holds options that are data as fingerprints only
        options = {**outcome.provenance.options, **step.options}
        outcome = replace(outcome, provenance=replace(outcome.provenance, options=options))
    results.put(step, outcome)


def _certified_share(step: Step) -> float:
    """The share of the features that a certificate is about: the top features, or those that it removes."""
    method = find(step.verb, step.method)
    if "parts" in method.arguments:
        return TOP_SHARE
    share = method.options.get("share")
    return 0.0 if share is None else float(step.options.get("share", share.default))


def _run_settings_grid(step: Step, scope: AuditScope, results: AuditResults, store: ResultStore) -> None:
    """Rank the explanations under other settings of a score, or read the ranking from the store."""
    case = scope.case
    names = settings_grid.ranked_names(results.explanations, scope.references)
    named = {name: results.explanations[name] for name in names}
    fingerprints = {name: _fingerprint(explanation) for name, explanation in named.items()}
    depends = {"case": dependencies_of(case), "options": step.options, "of": fingerprints}

    def make() -> Any:
        try:
            return settings_grid.compute_grid(step.subject, step.options, scope, named)
        except AssayError as error:
            return Refusal(step.key, step.verb, str(error), type(error).__name__)

    results.put(step, store.once(step.key, depends, make, case.game(scope.remove).cache))


def _call(step: Step, scope: AuditScope, subject: Explanation | None) -> Any:
    method, case = find(step.verb, step.method), scope.case
    if step.subject == VIEW:
        return method.call(view_case(step.method, scope), **step.options)
    if step.subject == RUNNER_UP and scope.rival is not None:
        case.model.meter.cached += len(case) * case.model.passes_per_row  # its output is read from the rows' own
        return method.call(scope.rival, **step.options)
    if step.verb == "explain":
        return method.call(case.with_target(label="runner_up") if step.subject == RUNNER_UP else case, **step.options)
    if step.verb in ("attack", "certify"):
        given: dict[str, Any] = {"case": case, "explanation": subject, "ball": scope.ball}
        if subject is not None:
            given["parts"] = subject.top(TOP_SHARE)
        return method.call(*(given[name] for name in method.arguments), **step.options)
    assert subject is not None
    return method.call(*((case, subject) if step.verb == "diagnose" else (subject, case)), **step.options)


def dependencies_of(case: Case) -> dict[str, Any]:
    """Everything about a case that a result depends on."""
    return {
        "model": model_key(case),
        "rows": case.rows.fingerprint,
        "ids": digest(list(case.rows.ids)),
        "parts": case.features.fingerprint,
        "target": repr(case.target),
        "labels": digest(np.asarray(case.label)),
        "seed": [case.seed.root, *case.seed.path],
    }


def _fingerprint(explanation: Explanation | None) -> str:
    if explanation is None:
        return ""
    return digest(explanation.method, explanation.values)


def refused_checks(refusals: Sequence[Refusal], steps: Sequence[Step]) -> list[Finding]:
    """Planned checks that could not be answered: verdict "error", or "not applicable" where the model lacks something.

    The plan checks what every method needs; a step that is refused later was refused for a reason in the numbers.
    """
    findings = []
    for refusal in refusals:
        step = next(step for step in steps if step.key == refusal.method)
        if step.subject == VIEW:
            continue  # a view answers no check; the page names it among what is not possible
        lacks = refusal.kind in (CapabilityError.__name__, MissingExtra.__name__)
        for code in step.codes or (RUN.code,):
            findings.append(
                Finding(
                    code=code,
                    verdict="not applicable" if lacks else "error",
                    claim=f"{step.key} could not be completed: {refusal.reason}",
                    subject=step.subject or step.method,
                    meaning="The step was planned and refused; nothing is known about the check.",
                    advice=RUN.remedy,
                )
            )
    return findings
