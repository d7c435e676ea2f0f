# SPDX-License-Identifier: Apache-2.0
"""Repairs of an audit: each one that answers a failed check is tried, and the repaired model is diagnosed again."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from assay.auditing.planning.plan import Step
from assay.auditing.steps.diagnoses import run_diagnoses
from assay.auditing.steps.result_store import ResultStore
from assay.basics.errors import AssayError
from assay.engine.audit_inputs import AuditInputs, missing_input
from assay.engine.performance.labelled_outputs import labelled_outputs
from assay.engine.performance.metric_changes import metric_changes
from assay.model.model import Model
from assay.nouns.catalogue import Cost, Method, find, known
from assay.nouns.records.record import MetricChange, RepairRecord
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Refusal, Repair

ATTEMPTS = 2
"""Attempts of one repair that the plan counts with."""


@dataclass(frozen=True, eq=False)
class RepairedModel:
    """The record of a repair, and the repaired model."""

    repair_record: RepairRecord
    model: Model


TestExplanation = Callable[[Model], list[Finding]]
"""Explains a model and tests the explanation."""

Judge = Callable[[Sequence[Finding]], list[Finding]]
"""Judges all findings of one model together."""


def plan_repairs(inputs: AuditInputs, steps: Sequence[Step], rows: int, budget: int) -> list[Step]:
    """The repairs that answer a check of the planned diagnoses and whose needs are known, with the most they can cost.

    Each attempt costs the accuracy and the metrics of two models, the same diagnoses again, and one explanation tested
    twice.
    """
    codes = {code for step in steps for code in step.codes}
    again = sum((step.cost for step in steps), Cost(4 * len(inputs.case)))
    cost = again * ATTEMPTS + Cost(3 * rows * (4 + (2 * budget + 64) * inputs.removal.fills))
    return [
        Step("repair", method.name, "", {}, cost, exact=False)
        for method in known("repair")
        if method.answers & codes and not missing_input(method, inputs)
    ]


def run_repairs(
    inputs: AuditInputs,
    findings: Sequence[Finding],
    steps: Sequence[Step],
    test_explanation: TestExplanation,
    judge: Judge,
    store: ResultStore,
) -> tuple[list[RepairedModel], list[Refusal]]:
    """Every proposal of every planned repair that answers a failed finding, each followed by the same diagnoses.

    ``test_explanation`` is called on the model before and after. Models are not stored: a resumed audit trains again,
    and finds what followed in the store.
    """
    attempts = [
        (method, options)
        for method in (find("repair", step.method) for step in steps if step.verb == "repair")
        for options in proposals_of(method, inputs, findings)
    ]
    first = test_explanation(inputs.model) if attempts else []
    repaired: list[RepairedModel] = []
    refused: list[Refusal] = []
    for method, options in attempts:
        named = f"repair.{method.name} {dict(options)}"
        try:
            made: Repair = store.uncached(named, partial(call_repair, method, inputs, options))
        except AssayError as error:
            refused.append(Refusal(named, "repair", str(error), type(error).__name__))
            continue
        model = model_of(made)
        again = replace(inputs, model=model)
        after, _ = run_diagnoses(again, steps, store, lambda place: None)
        record = RepairRecord(
            method=made.method,
            change=made.change,
            meaning=made.meaning,
            measured_before=dict(made.before),
            measured_after=dict(made.after),
            before=tuple(judge([*findings, *first])),
            after=tuple(judge([*after, *test_explanation(model)])),
            metrics=store.uncached(f"{named} metrics", partial(_compare, inputs, again)),
        )
        repaired.append(RepairedModel(record, model))
    return repaired, refused


def _compare(before: AuditInputs, after: AuditInputs) -> tuple[MetricChange, ...]:
    """The metrics of both models on all rows, paired; none without labels, and none where labels do not exclude others.

    The constant prediction is learnt from the training labels where they are known, as in ``diagnose.performance``.
    """
    if before.labels is None or not before.model.kind.exclusive or before.model.gives == "units":
        return ()
    train_labels = () if before.train is None else before.train[1]
    one, other = (labelled_outputs(inputs.ask(), before.labels, train_labels) for inputs in (before, after))
    return metric_changes(one, other)


def proposals_of(method: Method, inputs: AuditInputs, findings: Sequence[Finding]) -> list[Mapping[str, Any]]:
    """The options of each attempt of a repair; none where no check that it answers failed."""
    failed = [finding for finding in findings if finding.verdict == "fail" and finding.code in method.answers]
    if not failed:
        return []
    return [{}] if method.proposals is None else list(method.proposals(inputs, failed))


def call_repair(method: Method, inputs: AuditInputs, options: Mapping[str, Any]) -> Repair:
    """The repair of the model under audit; options with the name of an input are filled in."""
    shared = {"recipe": inputs.recipe, "held_out": (inputs.x, inputs.labels), "train": inputs.train}
    parameters = inspect.signature(method.body).parameters
    filled = {name: value for name, value in shared.items() if name in parameters and name not in options}
    case = inputs.explained if inputs.explained is not None else inputs.case
    repair: Repair = method.call(case, **filled, **options)
    return repair


def model_of(repair: Repair) -> Model:
    """The repaired model."""
    assert isinstance(repair.model, Model)
    return repair.model
