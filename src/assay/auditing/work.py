# SPDX-License-Identifier: Apache-2.0
"""Steps being done, one after another, each kept in the ledger when it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from assay.auditing import settings_grid as settings
from assay.auditing.plan import CODES, RIVAL, Plan, Step
from assay.auditing.result_store import ResultStore
from assay.auditing.setting import Setting
from assay.basics.errors import AssayError, CapabilityError, MissingExtra
from assay.basics.fingerprint import digest
from assay.cases.case import Case
from assay.engine.coalitions.masks import LEADING
from assay.nouns.catalogue import find
from assay.nouns.comparisons.settings_grid import SettingsGrid
from assay.nouns.results.result import AttackResult, Certificate, Explanation, Finding, Refusal, Score

Tell = Callable[[str, str, float], None]
"""Called as tell(event, text, share): "plan" once, "step" before each step, "end"; share of the price already paid."""


def silent(event: str, text: str, share: float) -> None:
    """Tell nobody."""


@dataclass
class Work:
    """What has been made so far."""

    explanations: dict[str, Explanation] = field(default_factory=dict)
    rivals: dict[str, Explanation] = field(default_factory=dict)
    scores: dict[tuple[str, str], Score] = field(default_factory=dict)
    attack_results: dict[str, AttackResult] = field(default_factory=dict)
    certificates: dict[str, Certificate] = field(default_factory=dict)
    reliability: list[Finding] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    grid: SettingsGrid | None = None

    def put(self, step: Step, outcome: Any) -> None:
        """Put an outcome in its place."""
        if isinstance(outcome, Refusal):
            self.refusals.append(outcome)
        elif step.method == settings.NAME:
            self.grid = outcome
        elif step.verb == "explain":
            (self.rivals if step.subject == RIVAL else self.explanations)[step.method] = outcome
        elif step.verb == "evaluate":
            self.scores[step.subject, step.method] = outcome
        elif step.verb == "diagnose":
            self.reliability += outcome
        elif step.verb == "attack":
            self.attack_results[step.subject] = outcome
        else:
            self.certificates[step.method] = outcome


def investigate(laid: Plan, setting: Setting, result_store: ResultStore, tell: Tell) -> Work:
    """Explain, score, attack and certify as planned; a step that is refused becomes a refusal, and the rest go on."""
    work = Work()
    setting.case.explanation_cache.lends = False
    for done, step in enumerate(laid.steps):
        if step.verb not in ("diagnose", "repair") or step.subject:
            tell("step", step.key, laid.paid(done))
            perform(step, setting, work, result_store)
    return work


def perform(step: Step, setting: Setting, work: Work, result_store: ResultStore) -> None:
    """Do one step, or find it done."""
    if step.method == settings.NAME:
        _vary(step, setting, work, result_store)
        return
    subject = work.explanations.get(step.subject)
    if step.subject not in ("", RIVAL) and subject is None:
        return  # its explanation was refused, and the refusal is told
    depends = {"case": depends_on(setting.case), "options": step.options, "of": _fingerprint(subject)}

    def make() -> Any:
        try:
            return _called(step, setting, subject)
        except AssayError as error:
            return Refusal(step.key, step.verb, str(error), type(error).__name__)

    asked = setting.case
    outcome = result_store.once(step.key, depends, make, asked.game(setting.remove), asked.explanation_cache)
    if isinstance(outcome, Explanation):  # a result from the disk knows its data options by their marks alone
        outcome = replace(
            outcome, provenance=replace(outcome.provenance, options={**outcome.provenance.options, **step.options})
        )
    work.put(step, outcome)


def _vary(step: Step, setting: Setting, work: Work, result_store: ResultStore) -> None:
    """Rank the explanations under other settings of a score, or find it done."""
    asked = setting.case
    named = {name: work.explanations[name] for name in settings.ranked(work.explanations, setting.references)}
    marks = {name: _fingerprint(explanation) for name, explanation in named.items()}
    depends = {"case": depends_on(asked), "options": step.options, "of": marks}

    def make() -> Any:
        try:
            return settings.made(step.subject, step.options, setting, named)
        except AssayError as error:
            return Refusal(step.key, step.verb, str(error), type(error).__name__)

    work.put(step, result_store.once(step.key, depends, make, asked.game(setting.remove)))


def _called(step: Step, setting: Setting, subject: Explanation | None) -> Any:
    method, asked = find(step.verb, step.method), setting.case
    if step.verb == "explain":
        return method.call(asked.with_target(label="runner_up") if step.subject == RIVAL else asked, **step.options)
    assert subject is not None
    if step.verb == "evaluate":
        return method.call(subject, asked, **step.options)
    if step.verb == "diagnose":
        return method.call(asked, subject, **step.options)
    if step.verb == "attack":
        return method.call(subject, asked, setting.ball, **step.options)
    return method.call(asked, subject.top(LEADING), **step.options)


def depends_on(case: Case) -> dict[str, Any]:
    """Everything about a case that a result depends on."""
    return {
        "model": case.model.fingerprint,
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


def broken(refusals: Sequence[Refusal], steps: Sequence[Step]) -> list[Finding]:
    """Checks that could not be made although the plan had them: verdict "error", or "not applicable".

    The plan asks every method what it needs; what is refused later was refused for a reason in the numbers.
    """
    findings = []
    for refusal in refusals:
        step = next(step for step in steps if step.key == refusal.method)
        mild = refusal.kind in (CapabilityError.__name__, MissingExtra.__name__)
        for code in CODES.get((step.verb, step.method), ("RUN001",)):
            findings.append(
                Finding(
                    code=code,
                    verdict="not applicable" if mild else "error",
                    claim=f"{step.key} could not be done: {refusal.reason}",
                    subject=step.subject or step.method,
                    meaning="The check was planned and its step refused; nothing is known about what it asks.",
                    advice="Mend what the reason names, and run the audit again: finished steps are not repeated.",
                )
            )
    return findings
