# SPDX-License-Identifier: Apache-2.0
"""Everything an audit found, and the record made from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.auditing.check_catalogue import suggested_repairs
from assay.auditing.method_ranking import rank_methods
from assay.auditing.planning.influence_view import INFLUENCE
from assay.auditing.planning.plan import Plan
from assay.auditing.planning.scope import AuditScope
from assay.auditing.row_gallery import galleries
from assay.auditing.steps.execution import AuditResults
from assay.auditing.steps.repairs import RepairedModel
from assay.auditing.steps.row_influences import row_influences
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.data.axioms import verdicts
from assay.engine.attributions.agreement import agreement
from assay.engine.audit_inputs import AuditInputs
from assay.engine.provenance import versions
from assay.engine.retraining.labelled_rows import true_labels
from assay.nouns.catalogue import checks
from assay.nouns.comparisons.agreement import Agreement
from assay.nouns.records.record import CheckText, Reasons, Record, Waiver
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Explanation


@dataclass
class AuditOutcome:
    """Everything an audit found, before it becomes a record."""

    plan: Plan
    scope: AuditScope
    inputs: AuditInputs
    profile: str
    case: Case
    results: AuditResults
    findings: list[Finding]
    repairs: list[RepairedModel]
    cost: Mapping[str, int]
    level: float

    def record(self, reasons: Sequence[Reasons], waivers: Sequence[Waiver], title: str, reproduce: str) -> Record:
        """The record, without times; ``reproduce`` is the call or command that repeats the audit."""
        scope, inputs, results = self.scope, self.inputs, self.results
        classes = _true_classes(inputs, self.case, scope.chosen)
        values = _true_values(inputs, scope.truth, len(self.case))
        candidates = {n: e for n, e in results.explanations.items() if n not in scope.references}
        found_galleries = galleries(self.case, values if classes is None else classes, candidates, results.scores)
        return Record(
            title=title or f"Audit of {inputs.model.name}",
            about=_about(inputs, self.case, self.profile, str(scope.label)),
            cost=self._costs(),
            findings=tuple(self.findings),
            checks=_check_texts(self.findings, inputs.case),
            explanations=results.explanations,
            rivals=results.rivals,
            scores=results.scores,
            references=scope.references,
            attack_results=results.attack_results,
            certificates=results.certificates,
            certified=results.certified,
            reasons=tuple(reasons),
            repairs=tuple(repaired.repair_record for repaired in self.repairs),
            refusals=tuple(results.refusals),
            not_run=self.plan.skipped,
            limits=scope.limits,
            predictions=self.case.classes if inputs.model.classes else (),
            truth=_truth_texts(inputs, classes, values),
            classes=inputs.model.classes,
            galleries=found_galleries,
            waivers=tuple(waivers),
            axioms={name: verdicts(name) for name in results.explanations if verdicts(name)},
            comparison=rank_methods(results.scores, tuple(candidates), self.findings, inputs.seed, self.level),
            settings_grid=results.grid,
            views=results.views,
            agreement=_agreement(candidates),
            influences=row_influences(self.case, results.views.get(INFLUENCE), scope.train, found_galleries),
            level=self.level,
            reproduce=reproduce,
        )

    def _costs(self) -> dict[str, int]:
        """What the audit cost, next to what was planned."""
        return {
            **self.cost,
            "model evaluations requested, planned": self.plan.cost.forwards,
            "gradient evaluations, planned": self.plan.cost.backwards,
            "checks judged together": sum(f.alone is not None for f in self.findings),
        }


AGREE_ON = 5
"""Features with the largest values whose agreement is measured."""


def _agreement(named: Mapping[str, Explanation]) -> Agreement | None:
    """The agreement of the explanations, pair by pair; ``None`` for fewer than two."""
    if len(named) < 2:
        return None
    return agreement(named, k=min(AGREE_ON, len(next(iter(named.values())).features)))


def _check_texts(findings: Sequence[Finding], case: Case) -> tuple[CheckText, ...]:
    """What the page says about each check that has a finding, with the repairs that a model of this kind can have."""
    codes = {finding.code for finding in findings}
    return tuple(
        CheckText(c.code, c.family, c.question, c.remedy, c.severe, suggested_repairs(c.code, case))
        for c in checks()
        if c.code in codes
    )


def _true_classes(inputs: AuditInputs, explained: Case, chosen: Ints) -> Ints | None:
    """The true class of each row explained; ``None`` where it is unknown."""
    if inputs.labels is None or inputs.model.gives in ("values", "units"):
        return None
    given = np.asarray(inputs.labels)[chosen].tolist()
    return np.asarray(true_labels(inputs.model, given, len(given), explained.prediction))


def _true_values(inputs: AuditInputs, truth: Any, rows: int) -> Floats | None:
    """The true value (row,) of each row explained by a regression; ``None`` where it is unknown or not one number."""
    if inputs.model.gives != "values" or truth is None:
        return None
    values = np.asarray(truth, dtype=np.float64)
    return values.ravel() if values.size == rows else None


def _truth_texts(inputs: AuditInputs, classes: Ints | None, values: Floats | None) -> tuple[str, ...]:
    """The true class, or the true value, of each row explained, as text."""
    names = inputs.model.classes
    if classes is not None and names:
        return tuple(names[i] for i in classes)
    return () if values is None else tuple(f"{value:,.6g}" for value in values.tolist())


def _data_text(whole: Case) -> str:
    """How many rows there are, and of what shape; of texts how many words the longest has."""
    words = whole.rows.text.words if whole.rows.text is not None else ()
    if words:
        return f"{len(whole):,} texts of at most {max(map(len, words)):,} words"
    return f"{len(whole):,} rows of shape {' × '.join(map(str, whole.rows.shape))}"


def _about(inputs: AuditInputs, explained: Case, profile: str, label: str) -> dict[str, str]:
    model, whole = inputs.model, inputs.case
    return {
        "model": model.name,
        "model fingerprint": model.fingerprint[:16],
        **{name: text[:160] for name, text in model.about.items()},
        "explained output": explained.target_text,
        **({"explained class": label} if label != "predicted" else {}),
        "data": _data_text(whole),
        "data fingerprint": whole.rows.fingerprint[:16],
        "profile": profile,
        "seed": str(inputs.seed.root),
        "versions": ", ".join(f"{package} {number}" for package, number in versions().items()),
    }
