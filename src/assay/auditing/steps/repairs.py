# SPDX-License-Identifier: Apache-2.0
"""Repairs of an audit: each one that answers a failed check is tried, and the repaired model is diagnosed again."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from assay.auditing.planning.plan import Step
from assay.auditing.planning.profiles import Profile, is_included
from assay.auditing.steps.diagnoses import run_diagnoses
from assay.auditing.steps.result_store import ResultStore
from assay.basics.errors import AssayError
from assay.engine.audit_inputs import AuditInputs, not_run_reason
from assay.engine.performance.labelled_outputs import labelled_outputs
from assay.engine.performance.metric_changes import metric_changes
from assay.model.model import Model
from assay.nouns.catalogue import Cost, Method, find, known
from assay.nouns.inputs.recipe import Recipe
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


def plan_repairs(inputs: AuditInputs, steps: Sequence[Step], profile: Profile) -> list[Step]:
    """The repairs that answer a planned check and whose needs are known, with the most they can cost.

    Each attempt costs the accuracy and the metrics of two models, the same diagnoses again, one explanation tested
    twice, and what the repair itself says. A repair that a line of the profiles names is planned where the line says.
    """
    codes = {code for step in steps for code in step.codes} | _codes_of_explanations(profile)
    again = sum((step.cost for step in steps), Cost(4 * len(inputs.case)))
    tested = Cost(3 * profile.rows * (4 + (2 * profile.budget + 64) * inputs.removal.fills))

    def cost(method: Method) -> Cost:
        own = Cost() if method.audit_cost is None else method.audit_cost(inputs)
        return again * ATTEMPTS + tested + own

    return [
        Step("repair", method.name, "", profile.repairs.get(method.name, {}), cost(method), exact=False)
        for method in known("repair")
        if method.answers & codes and is_included(method, profile.repairs) and not not_run_reason(method, inputs)[0]
    ]


def _codes_of_explanations(profile: Profile) -> set[str]:
    """The codes of the checks that scores and attacks of the profile answer."""
    methods = [find("evaluate", name) for name in profile.scores] + [find("attack", name) for name in profile.attacks]
    return {check.code for method in methods for check in method.checks}


def run_repairs(
    inputs: AuditInputs,
    findings: Sequence[Finding],
    steps: Sequence[Step],
    test_explanation: TestExplanation,
    judge: Judge,
    store: ResultStore,
    of_explanations: Sequence[Finding] = (),
) -> tuple[list[RepairedModel], list[Refusal]]:
    """Every proposal of every planned repair that answers a failed finding, each followed by the same diagnoses.

    ``of_explanations`` are findings about explanations, which can fail too; what a repair does to these it measures
    itself. ``test_explanation`` is called on the model before and after. Models are not stored: a resumed audit trains
    again, and finds what followed in the store.
    """
    attempts = [
        (find("repair", step.method), {**step.options, **options})
        for step in steps
        if step.verb == "repair"
        for options in proposals_of(find("repair", step.method), inputs, [*findings, *of_explanations])
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
        model, recipe = model_of(made), _recipe_of(made, inputs.recipe, method, options)
        plain = made.baseline_recipe or recipe

        def audited(other: Model, what: str, recipe: Recipe | None = recipe) -> Audited:
            """The findings of a model that takes the place of the one under audit, and the metrics of both."""
            again = replace(inputs, model=other, recipe=recipe, train=_train_of(recipe, inputs))
            after, _ = run_diagnoses(again, steps, store, lambda place: None)
            metrics = store.uncached(what, partial(_compare, inputs, again))
            return tuple(judge([*after, *test_explanation(other)])), metrics

        before = tuple(judge([*findings, *first]))
        is_same_model = made.explanation is not None  # the repair explains it in another way
        after = (before, ()) if is_same_model else audited(model, f"{named} metrics")
        baseline = ((), ()) if made.baseline is None else audited(made.baseline, f"{named} baseline metrics", plain)
        repaired.append(RepairedModel(_record(made, before, after, baseline), model))
    return repaired, refused


Audited = tuple[tuple[Finding, ...], tuple[MetricChange, ...]]
"""The findings of a model, and its metrics next to those of the model under audit."""


def _record(made: Repair, before: tuple[Finding, ...], after: Audited, baseline: Audited) -> RepairRecord:
    """The record of a repair."""
    return RepairRecord(
        method=made.method,
        change=made.change,
        meaning=made.meaning,
        measured_before=dict(made.before),
        measured_after=dict(made.after),
        before=before,
        after=after[0],
        metrics=after[1],
        baseline_change=made.baseline_change,
        baseline=baseline[0],
        baseline_metrics=baseline[1],
    )


def _recipe_of(made: Repair, recipe: Recipe | None, method: Method, options: Mapping[str, Any]) -> Recipe | None:
    """The recipe of the repaired model: shadow models must be trained as it was."""
    if made.recipe is not None:
        return made.recipe
    is_refit = recipe is not None and method.name == "refit" and options.get("strength")
    return recipe.with_strength(options["strength"]) if recipe is not None and is_refit else recipe


def _train_of(recipe: Recipe | None, inputs: AuditInputs) -> tuple[Any, Any] | None:
    """The training rows of a repaired model: those of its recipe where the repair chose other rows or labels."""
    own = inputs.recipe
    is_same = recipe is None or own is None or (recipe.x is own.x and recipe.y is own.y)
    return inputs.train if is_same or recipe is None else (recipe.x, recipe.y)


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
    shared: dict[str, Any] = {"recipe": inputs.recipe, "held_out": (inputs.x, inputs.labels), "train": inputs.train}
    shared |= {"ball": inputs.ball, "groups": inputs.groups}
    parameters = inspect.signature(method.body).parameters
    filled = {name: value for name, value in shared.items() if name in parameters and name not in options}
    case = inputs.explained if inputs.explained is not None else inputs.case
    repair: Repair = method.call(case, **filled, **options)
    return repair


def model_of(repair: Repair) -> Model:
    """The repaired model."""
    assert isinstance(repair.model, Model)
    return repair.model
