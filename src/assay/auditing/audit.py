# SPDX-License-Identifier: Apache-2.0
"""One call from a model and data to findings and a page."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from assay import attack, certify, diagnose, evaluate, explain, repair
from assay.auditing import settings_grid as grids
from assay.auditing.joint_verdicts import judge_jointly
from assay.auditing.outcome import AuditOutcome
from assay.auditing.planning.plan import RUNNER_UP, Plan, Selection, make_plan
from assay.auditing.planning.profiles import MethodRequest, profile_of, with_declared_checks, with_requests
from assay.auditing.planning.scope import AuditScope, make_scope
from assay.auditing.run import Run
from assay.auditing.steps.diagnoses import groups_of, plan_diagnoses, refuse_bad_inputs, run_diagnoses
from assay.auditing.steps.execution import AuditResults, Progress, no_progress, refused_checks, run_steps
from assay.auditing.steps.repairs import RepairedModel, plan_repairs, run_repairs
from assay.auditing.steps.result_store import ResultStore
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.cases.case import Case
from assay.cases.new_case import case
from assay.diagnose.explanation_trust import TRUST, conclude
from assay.engine.audit_inputs import AuditInputs
from assay.engine.search.ball import Ball
from assay.model.adapters.net_outputs import refuse_assumed
from assay.model.adapters.wrap import wrap
from assay.model.model import Model
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.records.record import Reasons, Waiver
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Refusal

PACKAGES = (attack, certify, diagnose, evaluate, explain, repair)
"""The verb packages whose methods the plan names; importing them fills the catalogue."""

RETESTED = ("completeness", "deletion", "insertion", "faithfulness_correlation")
"""Scores of the one explanation that is computed again after a repair."""


def audit(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    train: tuple[Any, Any] | None = None,
    background: Any = None,
    sensitive: Sequence[str] | Mapping[str, Any] = (),
    favourable: str = "",
    suspects: Sequence[str] = (),
    recipe: Recipe | None = None,
    ball: Ball | None = None,
    concepts: Mapping[str, Any] | None = None,
    regions: Any = None,
    reasons: Sequence[Reasons] = (),
    ids: Sequence[Any] | None = None,
    profile: str = "standard",
    methods: MethodRequest = (),
    scores: MethodRequest = (),
    settings_grid: bool | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    level: float = 0.95,
    waivers: Sequence[Waiver] = (),
    seed: int = 0,
    title: str = "",
    store: str | Path | None = None,
    out: str | Path | None = None,
    progress: Progress = no_progress,
) -> Run:
    """Explain a model on rows, test and attack the explanations, diagnose the model, repair what a recipe can repair.

    ``x`` and ``y`` are rows and labels the model was *not* trained on. ``train`` is (rows, labels) it was trained on:
    it enables the checks of membership, shortcuts and the split, and is the background if none is given.
    ``sensitive`` names columns of ``x`` (or maps names to one group a row) and enables the checks of disparity for the
    ``favourable`` class (default: the last class). ``suspects`` names columns that should not change a decision.
    ``recipe`` says how to train and enables repairs. ``ball`` is how far inputs may be moved; images have a default.
    ``concepts`` and ``regions`` are for the checks that need them. ``ids`` names the rows.

    ``profile`` is quick, standard or deep; ``methods`` and ``scores`` name other explanations and scores than the
    profile's, or map their names to options. ``settings_grid`` asks for the ranking of the explanations under other
    removals, targets, steps and signs (by default in profile deep), or leaves it out.

    ``select`` and ``ignore`` are beginnings of check codes (SAN, SAN1): steps that answer no selected check are left
    out. All verdicts of pass and fail hold together at ``level`` (Holm over the checks). ``waivers`` accept failing
    checks. The seed draws as many rows as the profile allows, and the page says so. A check whose inputs are missing is
    reported as not run, with the argument that enables it.

    With ``store``, a folder, every step is stored when it is done, and an audit that was stopped resumes when it is
    called again. With ``out``, results and page are written.
    """
    prepared = prepare(
        model,
        x,
        y,
        train=train,
        background=background,
        sensitive=sensitive,
        favourable=favourable,
        suspects=suspects,
        recipe=recipe,
        ball=ball,
        concepts=concepts,
        regions=regions,
        ids=ids,
        profile=profile,
        methods=methods,
        scores=scores,
        settings_grid=settings_grid,
        select=select,
        ignore=ignore,
        seed=seed,
    )
    run = prepared.run(
        reasons=reasons,
        level=level,
        waivers=waivers,
        title=title,
        store=None if store is None else Path(store),
        progress=progress,
    )
    if out is not None:
        run.save(out)
    return run


@dataclass(frozen=True, eq=False)
class PreparedAudit:
    """An audit before anything has run: its plan, and everything that is known about the model."""

    plan: Plan
    scope: AuditScope
    inputs: AuditInputs
    profile: str
    is_selected: Selection

    def run(
        self,
        *,
        reasons: Sequence[Reasons] = (),
        level: float = 0.95,
        waivers: Sequence[Waiver] = (),
        title: str = "",
        store: Path | None = None,
        progress: Progress = no_progress,
    ) -> Run:
        """Run it; see ``audit``."""
        if not 0 < level < 1:
            raise InputError(f"level={level}; the confidence of all verdicts together lies between 0 and 1.")
        clock = _Clock()
        progress("plan", describe_plan(self.plan), 0.0)
        meter = self.inputs.model.meter
        before = meter.forwards, meter.backwards
        outcome = _Audit(self, ResultStore(store, meter), level, progress).run()
        record = outcome.record(reasons, waivers, title)
        spent = {
            "model evaluations now": meter.forwards - before[0],
            "gradient evaluations now": meter.backwards - before[1],
        }
        run = Run(replace(record, times=clock.times(spent)), tuple(m.model for m in outcome.repairs))
        progress("end", repr(run), 1.0)
        return run


def _case_of(model: Model, x: Any, labels: Any, ids: Sequence[Any] | None, seed: int) -> Case:
    """The case of all rows; one number a row of a net is a regression's value where the labels are no two classes.

    Raises ``InputError`` where there are no labels to tell, and for models of several labels that do not exclude each
    other.
    """
    whole = case(model, x, label=None, ids=ids, seed=Seed(seed))
    if whole.model.kind.assumed:
        if labels is None:
            refuse_assumed(model)
        if len({str(value) for value in np.asarray(labels, dtype=object).ravel().tolist()}) > 2:
            whole = case(model, x, label=None, ids=ids, seed=Seed(seed), target="value")
    if not whole.model.kind.exclusive:
        raise InputError(
            f"{model.name} predicts {len(model.classes) or 'several'} labels that do not exclude each other; audit one "
            f"of them at a time: assay.model.one_output(model, name)."
        )
    return whole


def prepare(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    train: tuple[Any, Any] | None = None,
    background: Any = None,
    sensitive: Sequence[str] | Mapping[str, Any] = (),
    favourable: str = "",
    suspects: Sequence[str] = (),
    recipe: Recipe | None = None,
    ball: Ball | None = None,
    concepts: Mapping[str, Any] | None = None,
    regions: Any = None,
    ids: Sequence[Any] | None = None,
    profile: str = "standard",
    methods: MethodRequest = (),
    scores: MethodRequest = (),
    settings_grid: bool | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    seed: int = 0,
) -> PreparedAudit:
    """The audit that ``audit`` would run with these arguments, planned; the model is not evaluated."""
    # a meter of its own counts what this audit costs and nothing else; one forward pass for all steps lets them share
    # the answers of a game, which the store keeps
    opened = wrap(model)
    wrapped = replace(opened, meter=opened.meter.separate(), fast=False)
    whole = _case_of(wrapped, x, y, ids, seed)
    wrapped = whole.model
    kind = "text" if wrapped.encode is not None else "image" if len(whole.rows.shape) == 3 else "table"
    depth = with_requests(with_declared_checks(profile_of(kind, profile)), methods, scores, settings_grid)
    scope = make_scope(whole, depth, x, train[0] if train else None, background, ball)
    inputs = AuditInputs(
        model=wrapped,
        x=x,
        labels=y,
        train=train,
        background=background,
        groups=groups_of(x, sensitive),
        favourable=favourable,
        suspects=tuple(suspects),
        recipe=recipe,
        concepts=concepts or {},
        regions=regions,
        ball=scope.ball,
        remove=scope.remove,
        features=scope.case.features,
        explained=scope.case,
        options=scope.profile.diagnoses,
        ids=whole.rows.ids,
        seed=Seed(seed),
    )
    refuse_bad_inputs(inputs, scope.case.features.names)
    steps, skipped = plan_diagnoses(inputs)
    steps += plan_repairs(inputs, steps, scope.profile.rows, scope.profile.budget)

    def is_selected(code: str) -> bool:
        chosen = not select or any(code.startswith(start) for start in select)
        return chosen and not any(code.startswith(start) for start in ignore)

    plan = make_plan(scope, steps, is_selected)
    return PreparedAudit(replace(plan, skipped=(*plan.skipped, *skipped)), scope, inputs, profile, is_selected)


def describe_plan(plan: Plan) -> str:
    """The plan in a sentence: how many steps, and their exact cost."""
    exact, most = plan.cost, plan.at_most
    more = (
        f", plus at most {most.forwards:,} and {most.backwards:,} for steps whose size depends on the data"
        if most.forwards or most.backwards
        else ""
    )
    return (
        f"{len(plan.steps)} steps: {exact.forwards:,} model evaluations and {exact.backwards:,} gradient evaluations"
        f"{more}; cached evaluations are not repeated"
    )


@dataclass
class _Clock:
    started: float = field(default_factory=time.monotonic)
    day: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))

    def times(self, spent: Mapping[str, int]) -> dict[str, str]:
        return {
            "when": self.day.strftime("%Y-%m-%d %H:%M UTC"),
            "took": f"{time.monotonic() - self.started:.0f} s",
            **{name: f"{count:,}" for name, count in spent.items()},
        }


@dataclass
class _Audit:
    """One audit: the model's own output, the steps, diagnoses, verdicts, repairs."""

    audit: PreparedAudit
    store: ResultStore
    level: float
    progress: Progress

    def run(self) -> AuditOutcome:
        plan = self.audit.plan
        explained = self.store.uncached("clean", lambda: _with_output(self.audit.scope.case))
        scope = replace(self.audit.scope, case=explained)
        inputs = replace(self.audit.inputs, explained=explained)
        results = run_steps(plan, scope, self.store, self.progress)
        diagnosed, refused = run_diagnoses(
            inputs,
            plan.steps,
            self.store,
            lambda place: self.progress("step", plan.steps[place].key, plan.done_share(place)),
        )
        results.refusals += refused
        candidates = [name for name in results.explanations if name not in scope.references]
        grid = [grids.finding(results.grid)] if results.grid is not None else []
        found = [*results.reliability, *grid, *diagnosed, *results.declared_findings(self.level)]
        found += refused_checks(results.refusals, plan.steps)
        findings = self._judged([*_trust(scope, results), *found], candidates)
        repairs, refused = self._repaired(scope, inputs, findings, diagnosed)
        results.refusals += refused
        audit = self.audit
        return AuditOutcome(
            audit.plan,
            audit.scope,
            audit.inputs,
            audit.profile,
            explained,
            results,
            findings,
            repairs,
            self.store.total(),
            self.level,
        )

    def _judged(self, findings: Sequence[Finding], names: Sequence[str]) -> list[Finding]:
        """All selected checks judged together, and what follows for each explanation."""
        selected = [f for f in findings if f.code != TRUST.code and self.audit.is_selected(f.code)]
        judged = judge_jointly(selected, self.level)
        return [*judged, *(conclude(judged, names) if self.audit.is_selected(TRUST.code) else [])]

    def _repaired(
        self, scope: AuditScope, inputs: AuditInputs, findings: Sequence[Finding], diagnosed: Sequence[Finding]
    ) -> tuple[list[RepairedModel], list[Refusal]]:
        plan = self.audit.plan
        if not any(step.verb == "repair" for step in plan.steps):
            return [], []
        self.progress("step", "repair, and audit again", plan.done_share(len(plan.steps) - 1))
        known = {(f.code, f.subject) for f in diagnosed}
        return run_repairs(
            inputs,
            [f for f in findings if (f.code, f.subject) in known],
            plan.steps,
            lambda model: self._retested(scope, model),
            lambda found: self._judged(found, [f.subject for f in found if f.code == TRUST.code]),
            self.store,
        )

    def _retested(self, scope: AuditScope, model: Model) -> list[Finding]:
        """Shapley values and their faithfulness alone, for a model before and after a repair."""
        clean = f"clean answers of {model.name}"
        explained = self.store.uncached(clean, lambda: _with_output(replace(scope.case, model=model)))
        small = replace(
            scope.profile,
            explainers={"shapley": {"budget": scope.profile.budget}},
            scores={name: given for name, given in scope.profile.scores.items() if name in RETESTED},
            attacks={},
            certificates={},
            reliability={},
            settings_grid=False,
        )
        again = replace(scope, case=explained, profile=small, references=("random",))
        plan = make_plan(again)
        steps = tuple(step for step in plan.steps if step.subject != RUNNER_UP)
        return _trust(again, run_steps(replace(plan, steps=steps), again, self.store, no_progress))


def _with_output(explained: Case) -> Case:
    """The case of each row's predicted class, with the model's own output computed."""
    known = replace(explained).with_target(label="predicted")
    _ = known.prediction, known.output
    return known


def _trust(scope: AuditScope, results: AuditResults) -> list[Finding]:
    candidates = {name: e for name, e in results.explanations.items() if name not in scope.references}
    return diagnose.explanation_trust(scope.case, candidates, results.scores, attack_results=results.attack_results)
