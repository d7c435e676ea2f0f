# SPDX-License-Identifier: Apache-2.0
"""Diagnoses of an audit: every one whose needs are known becomes a step; the others are reported as not run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import narwhals as nw
import numpy as np

from assay.auditing.planning.plan import Step
from assay.auditing.planning.profiles import is_included
from assay.auditing.steps.model_key import model_key
from assay.auditing.steps.result_store import ResultStore
from assay.basics.errors import AssayError, InputError
from assay.basics.fingerprint import digest
from assay.cases.removals import content_fingerprint
from assay.engine.audit_inputs import AuditInputs, call_on_inputs, not_run_reason
from assay.engine.retraining.labelled_rows import true_labels
from assay.engine.sensitive_groups import MISSING, RANGES, complete_groups, sensitive_columns
from assay.model.state_fingerprint import state_fingerprint
from assay.nouns.catalogue import Cost, Method, find, known
from assay.nouns.inputs.frames import is_frame
from assay.nouns.records.record import NotRun
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Refusal


def audited_diagnoses() -> list[Method]:
    """The diagnoses that an audit runs by itself: those with checks, of the model and not of an explanation."""
    of_explanations = {"explanation", "explanations"}
    return [m for m in known("diagnose") if m.checks and not of_explanations & {*m.parameters, *m.needs}]


def refuse_bad_inputs(inputs: AuditInputs, columns: Sequence[str]) -> None:
    """Raise ``InputError`` for labels, groups and names that do not fit, before the model is evaluated."""
    model, rows = inputs.model, len(inputs.case)
    if inputs.labels is not None and len(inputs.labels) != rows:
        raise InputError(f"{len(inputs.labels)} labels for {rows} rows. Give one label a row.")
    if model.classes or model.gives == "values":
        for labels in (inputs.labels, *(inputs.train[1:] if inputs.train is not None else ())):
            if labels is not None:
                true_labels(model, labels, len(labels), np.empty((0, 0)))
    if inputs.favourable and model.classes and inputs.favourable not in model.classes:
        raise InputError(f"favourable={inputs.favourable!r} is no class; there are {', '.join(model.classes[:8])}.")
    for name, groups in inputs.groups.items():
        if len(groups) != rows:
            raise InputError(f"{len(groups)} groups of {name!r} for {rows} rows. Give one group a row.")
    unknown = [name for name in inputs.suspects if name not in columns]
    if unknown:
        raise InputError(f"suspects names {unknown[:5]}, which are not among the columns {list(columns[:8])}.")


def plan_diagnoses(inputs: AuditInputs) -> tuple[list[Step], list[NotRun]]:
    """The diagnoses that can be run, with their cost, and those that cannot, with the argument that enables them.

    A diagnosis that a line of the profiles names is planned where, and as deep as, the line says, or where it has
    options.
    """
    steps, skipped = [], []
    for method in audited_diagnoses():
        if not is_included(method, inputs.options):
            continue
        reason, enable = not_run_reason(method, inputs)
        if reason:
            skipped.append(NotRun(f"diagnose.{method.name}", reason, enable))
        else:
            steps.append(Step("diagnose", method.name, "", {}, _cost(method, inputs), method.has_exact_cost))
    return steps, skipped


def _cost(method: Method, inputs: AuditInputs) -> Cost:
    if method.audit_cost is not None:
        cost: Cost = method.audit_cost(inputs)
        return cost
    return Cost(len(inputs.case)) * inputs.model.passes_per_row


def run_diagnoses(
    inputs: AuditInputs, steps: Sequence[Step], store: ResultStore, on_step: Callable[[int], None]
) -> tuple[list[Finding], list[Refusal]]:
    """The findings of every planned diagnosis; each outcome goes into the store when it is done."""
    findings: list[Finding] = []
    refusals: list[Refusal] = []
    for place, step in enumerate(steps):
        if step.verb != "diagnose" or step.subject:
            continue
        on_step(place)
        outcome = store.once(step.key, _dependencies(inputs, find("diagnose", step.method)), _attempt(step, inputs))
        if isinstance(outcome, Refusal):
            refusals.append(outcome)
        else:
            findings += outcome
    return findings, refusals


def _attempt(step: Step, inputs: AuditInputs) -> Callable[[], Any]:
    def make() -> Any:
        try:
            return call_on_inputs(find("diagnose", step.method), inputs)
        except AssayError as error:
            return Refusal(step.key, step.verb, str(error), type(error).__name__)

    return make


def _dependencies(inputs: AuditInputs, method: Method) -> dict[str, Any]:
    """Everything that the findings of a diagnosis depend on."""
    trained = {"recipe": state_fingerprint(inputs.recipe)} if "recipe" in method.needs | method.optional else {}
    train = () if inputs.train is None else (content_fingerprint(inputs.train[0]), labels_fingerprint(inputs.train[1]))
    return {
        "model": model_key(inputs.case),
        "rows": inputs.case.rows.fingerprint,
        "labels": "" if inputs.labels is None else labels_fingerprint(inputs.labels),
        "train": train,
        "groups": digest(inputs.groups),
        "favourable": inputs.favourable,
        "suspects": list(inputs.suspects),
        "remove": inputs.removal.fingerprint,
        "features": "" if inputs.features is None else inputs.features.fingerprint,
        "options": {name: dict(given) for name, given in inputs.options.items()},
        "seed": [inputs.seed.root, *inputs.seed.path],
        **trained,
    }


def labels_fingerprint(labels: Any) -> str:
    """A fingerprint of labels that does not depend on their type."""
    return digest([str(label) for label in np.asarray(labels).tolist()])


def groups_of(x: Any, sensitive: Sequence[str] | Mapping[str, Any]) -> dict[str, list[str]]:
    """The group of each row as text, by the name of a column of ``x`` or of a mapping."""
    if isinstance(sensitive, Mapping) or is_frame(sensitive):
        return _named_groups(sensitive_columns(sensitive))
    sensitive = [sensitive] if isinstance(sensitive, str) else list(sensitive)
    if not sensitive:
        return {}
    if not is_frame(x):
        raise InputError(
            "sensitive names columns of a data frame; for arrays give a mapping from name to one group a row."
        )
    frame = nw.from_native(x, eager_only=True)
    missing = [name for name in sensitive if name not in frame.columns]
    if missing:
        raise InputError(f"sensitive names {missing}, which are not among the columns {frame.columns[:8]}.")
    return _named_groups({name: frame[name].to_native() for name in sensitive})


def _named_groups(columns: Mapping[str, Any]) -> dict[str, list[str]]:
    """The groups as text; numbers or dates of many distinct values are cut into ranges, missing ones are a group."""
    return {
        name: complete_groups(values, len(values), name, ranges=RANGES, missing=MISSING).tolist()
        for name, values in sensitive_columns(columns).items()
    }
