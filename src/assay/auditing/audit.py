# SPDX-License-Identifier: Apache-2.0
"""One call from a model and data to findings and a page."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from assay import attack, certify, diagnose, evaluate, explain, repair
from assay.auditing import settings_grid as grids
from assay.auditing.clock import Clock
from assay.auditing.joint_verdicts import check_thresholds, drop_disproved, judge_jointly, with_thresholds
from assay.auditing.outcome import AuditOutcome
from assay.auditing.planning.call_text import call_text
from assay.auditing.planning.method_options import with_options
from assay.auditing.planning.plan import RUNNER_UP, Plan, Selection, describe_plan, make_plan
from assay.auditing.planning.requests import MethodRequest, Options, requested_profile
from assay.auditing.planning.scope import (
    AuditScope,
    explained_label,
    make_scope,
    true_labels_of,
    whole_case,
    with_rival,
)
from assay.auditing.run import Run
from assay.auditing.steps.diagnoses import (
    audited_diagnoses,
    groups_of,
    plan_diagnoses,
    refuse_bad_inputs,
    run_diagnoses,
)
from assay.auditing.steps.evidence_rows import EvidenceRows
from assay.auditing.steps.execution import AuditResults, Progress, no_progress, refused_checks, run_steps
from assay.auditing.steps.repairs import RepairedModel, plan_repairs, run_repairs
from assay.auditing.steps.result_store import ResultStore
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.cases.case import Case
from assay.diagnose.explanation_trust import AVAILABLE, TRUST, conclude, conclude_available, reject_tried
from assay.engine.audit_inputs import AuditInputs
from assay.engine.search.ball import Ball
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
    target: str | None = None,
    label: Any = None,
    profile: str = "standard",
    methods: MethodRequest = (),
    scores: MethodRequest = (),
    options: Mapping[str, Options] | None = None,
    settings_grid: bool | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    level: float = 0.95,
    thresholds: Mapping[str, float] | None = None,
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
    ``concepts`` and ``regions`` are for the checks that need them. ``ids`` names the rows. ``target`` is the function
    of the outputs that is explained (by default what suits the model), ``label`` the class, by default each row's
    predicted one.

    ``profile`` is quick, standard or deep; ``methods`` and ``scores`` name other explanations and scores than the
    profile's, or map their names to options; ``options`` maps other methods of the profile to theirs, such as
    {"disparity": {"combine": False}}. ``settings_grid`` asks for the ranking of the explanations under other removals,
    targets, steps and signs (by default in profile deep), or leaves it out.

    ``select`` and ``ignore`` are beginnings of check codes (SAN, SAN1): steps that answer no selected check are left
    out. All verdicts of pass and fail hold together at ``level`` (Holm over the checks). ``thresholds`` maps codes of
    checks to thresholds other than the default, such as {"FAI101": 0.2}. ``waivers`` accept failing checks. An
    explanation that the profile tried and that fails is "rejected", and is no failure of the run; it fails where
    ``methods`` names it, or where no explanation can be used (TRU002). The seed draws as many rows as the profile
    allows, and the page says so. A check whose inputs are missing is reported as not run, with the argument that
    enables it.

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
        target=target,
        label=label,
        profile=profile,
        methods=methods,
        scores=scores,
        options=options,
        settings_grid=settings_grid,
        select=select,
        ignore=ignore,
        seed=seed,
    )
    run = prepared.run(
        reasons=reasons,
        level=level,
        thresholds=thresholds,
        waivers=waivers,
        title=title,
        store=None if store is None else Path(store),
        progress=progress,
    )
    if out is not None:
        run.save(out)
    return run


_DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(audit).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY and name not in ("store", "out", "progress")
}
"""Arguments of ``audit`` that its result depends on, with their defaults."""


@dataclass(frozen=True, eq=False)
class PreparedAudit:
    """An audit before anything has run: its plan, and everything that is known about the model."""

    plan: Plan
    scope: AuditScope
    inputs: AuditInputs
    evidence: EvidenceRows
    profile: str
    is_selected: Selection
    requested: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def run(
        self,
        *,
        reasons: Sequence[Reasons] = (),
        level: float = 0.95,
        thresholds: Mapping[str, float] | None = None,
        threshold_origins: Mapping[str, str] | None = None,
        reproduce: str = "",
        waivers: Sequence[Waiver] = (),
        title: str = "",
        store: Path | None = None,
        progress: Progress = no_progress,
    ) -> Run:
        """Run it; see ``audit``. ``threshold_origins`` says by code where ``thresholds`` come from.

        ``reproduce`` is the command that repeats the audit; by default the call of ``audit``.
        """
        if not 0 < level < 1:
            raise InputError(f"level={level}; the confidence of all verdicts together lies between 0 and 1.")
        clock = Clock()
        progress("plan", describe_plan(self.plan), 0.0)
        meter = self.inputs.model.meter
        before = meter.forwards, meter.backwards
        own = check_thresholds(thresholds or {})
        outcome = _Audit(self, ResultStore(store, meter), level, progress, own, threshold_origins or {}).run()
        own_arguments = {"level": level, "thresholds": own, "waivers": waivers, "title": title, "reasons": reasons}
        call = call_text({**self.arguments, **own_arguments}, _DEFAULTS, self.inputs.labels is not None)
        record = outcome.record(reasons, waivers, title, reproduce or call)
        spent = {
            "model evaluations now": meter.forwards - before[0],
            "gradient evaluations now": meter.backwards - before[1],
        }
        run = Run(replace(record, times=clock.times(spent)), tuple(m.model for m in outcome.repairs))
        progress("end", repr(run), 1.0)
        return run


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
    target: str | None = None,
    label: Any = None,
    profile: str = "standard",
    methods: MethodRequest = (),
    scores: MethodRequest = (),
    options: Mapping[str, Options] | None = None,
    settings_grid: bool | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    seed: int = 0,
) -> PreparedAudit:
    """The audit that ``audit`` would run with these arguments, planned; the model is not evaluated."""
    given = dict(locals())
    # a meter of its own counts what this audit costs and nothing else; one forward pass for all steps lets them share
    # the answers of a game, which the store keeps
    opened = wrap(model)
    wrapped = replace(opened, meter=opened.meter.separate(), fast=False)
    whole = whole_case(wrapped, x, y, ids, seed, target)
    wrapped = whole.model
    kind = "text" if wrapped.encode is not None else "image" if len(whole.rows.shape) == 3 else "table"
    depth = requested_profile(kind, profile, methods, scores, settings_grid)
    depth = with_options(depth, options or {}, [method.name for method in audited_diagnoses()])
    scope = make_scope(whole, depth, x, train[0] if train else None, background, ball)
    scope = replace(scope, label=explained_label(whole, label), train=train, recipe=recipe)
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
    scope = replace(scope, truth=true_labels_of(whole, y, scope.chosen))
    steps, skipped = plan_diagnoses(inputs)
    steps += plan_repairs(inputs, steps, scope.profile)

    def is_selected(code: str) -> bool:
        chosen = not select or any(code.startswith(start) for start in select)
        return chosen and not any(code.startswith(start) for start in ignore)

    plan = make_plan(scope, steps, is_selected)
    evidence = EvidenceRows(whole, scope)
    planned = replace(plan, skipped=(*plan.skipped, *skipped), evidence=evidence.cost(plan.steps))
    arguments = {name: given[name] for name in _DEFAULTS if name in given}
    return PreparedAudit(planned, scope, inputs, evidence, profile, is_selected, tuple(methods), arguments)


@dataclass
class _Audit:
    """One audit: the model's own output, the steps, diagnoses, verdicts, repairs."""

    audit: PreparedAudit
    store: ResultStore
    level: float
    progress: Progress
    thresholds: Mapping[str, float] = field(default_factory=dict)
    threshold_origins: Mapping[str, str] = field(default_factory=dict)

    def run(self) -> AuditOutcome:
        plan = self.audit.plan
        explained = self.store.uncached("clean", lambda: _with_output(self.audit.scope.case, self.audit.scope.label))
        scope = replace(self.audit.scope, case=explained)
        if any(step.subject == RUNNER_UP for step in plan.steps):
            scope = with_rival(scope)
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
        findings = self.audit.evidence.name_features(findings, candidates, results, plan.steps, self.store)
        findings = self.audit.evidence.add_pictures(findings, inputs.known_labels)
        audit, total = self.audit, self.store.total()
        return AuditOutcome(
            audit.plan, audit.scope, audit.inputs, audit.profile, explained, results, findings, repairs, total,
            self.level,
        )  # fmt: skip

    def _judged(self, findings: Sequence[Finding], names: Sequence[str]) -> list[Finding]:
        """All selected checks judged together, and what follows for each explanation."""
        selected = [
            f for f in findings if f.code not in (TRUST.code, AVAILABLE.code) and self.audit.is_selected(f.code)
        ]
        given = with_thresholds(selected, self.thresholds, self.threshold_origins)
        judged = drop_disproved(judge_jointly(given, self.level))
        trust = conclude(judged, names)
        found = [*judged, *(trust if self.audit.is_selected(TRUST.code) else [])]
        if trust and self.audit.is_selected(AVAILABLE.code):
            found.append(conclude_available(trust, self.audit.inputs.model.name))
        return reject_tried(found, [name for name in names if name not in self.audit.requested])

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
            [f for f in findings if (f.code, f.subject) not in known],
        )

    def _retested(self, scope: AuditScope, model: Model) -> list[Finding]:
        """Shapley values and their faithfulness alone, for a model before and after a repair."""
        clean = f"clean answers of {model.name}"
        explained = self.store.uncached(clean, lambda: _with_output(replace(scope.case, model=model), scope.label))
        small = replace(
            scope.profile,
            explainers={"shapley": {"budget": scope.profile.budget}},
            scores={name: given for name, given in scope.profile.scores.items() if name in RETESTED},
            attacks={},
            certificates={},
            reliability={},
            settings_grid=False,
            views={},
        )
        again = replace(scope, case=explained, profile=small, references=("random",))
        plan = make_plan(again)
        steps = tuple(step for step in plan.steps if step.subject != RUNNER_UP)
        return _trust(again, run_steps(replace(plan, steps=steps), again, self.store, no_progress))


def _with_output(explained: Case, label: Any) -> Case:
    """The case of the class explained, with the model's own output computed."""
    known = replace(explained).with_target(label=label)
    _ = known.prediction, known.output
    return known


def _trust(scope: AuditScope, results: AuditResults) -> list[Finding]:
    candidates = {name: e for name, e in results.explanations.items() if name not in scope.references}
    return diagnose.explanation_trust(scope.case, candidates, results.scores, attack_results=results.attack_results)
