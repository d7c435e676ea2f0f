# SPDX-License-Identifier: Apache-2.0
"""One call from a model and data to findings and a page."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from assay import attack, certify, diagnose, evaluate, explain, repair
from assay.auditing import settings_grid as settings
from assay.auditing.faults import Mended, Subject, fault_steps, found_faults, mended, refuse_early
from assay.auditing.joint_verdicts import judged_together
from assay.auditing.method_ranking import ranked
from assay.auditing.plan import RIVAL, Plan, plan
from assay.auditing.profile import Asked, chosen, profile_named
from assay.auditing.result_store import ResultStore
from assay.auditing.row_gallery import galleries
from assay.auditing.run import Run
from assay.auditing.setting import Setting, setting_of
from assay.auditing.work import Tell, Work, broken, investigate, silent
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Ints
from assay.cases.case import Case, case
from assay.data.axioms import verdicts
from assay.diagnose.explanation_trust import concluded
from assay.engine.declare import versions
from assay.engine.retraining.labelled_rows import truth
from assay.model.adapters.wrap import wrap
from assay.model.model import Meter, Model
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.records.record import Reasons, Record, Waiver
from assay.nouns.results.result import Finding, Refusal

PACKAGES = (attack, certify, diagnose, evaluate, explain, repair)
"""The verb packages whose methods the plan names; importing them fills the catalogue."""

AGAIN = ("completeness", "deletion", "insertion", "faithfulness_correlation")
"""Scores of the one explanation that is made again after a repair."""


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
    reasons: Sequence[Reasons] = (),
    ids: Sequence[Any] | None = None,
    profile: str = "standard",
    methods: Asked = (),
    scores: Asked = (),
    settings_grid: bool | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    level: float = 0.95,
    waivers: Sequence[Waiver] = (),
    seed: int = 0,
    title: str = "",
    store: str | Path | None = None,
    out: str | Path | None = None,
    tell: Tell = silent,
) -> Run:
    """Explain a model on rows, test and attack the explanations, look for faults, mend what a recipe can mend.

    ``x`` and ``y`` are rows and labels the model was *not* trained on. ``train`` is (rows, labels) it was trained on:
    it enables the tests for membership, shortcuts and faults of the split, and serves as background if none is given.
    ``sensitive`` names columns of ``x`` (or maps names to one group a row) and enables the disparity test for the
    ``favourable`` class (default: the last class). ``suspects`` names columns that should not sway a decision.
    ``recipe`` says how to train and enables repairs. ``ids`` names the rows.

    ``profile`` is quick, standard or deep; ``methods`` and ``scores`` name other explanations and scores than the
    profile's, or map their names to options. ``settings_grid`` asks for the ranking of the explanations under other
    removals, targets, steps and signs (by default in profile deep), or leaves it out.

    ``select`` and ``ignore`` are beginnings of check codes (SAN, SAN1): steps that serve no wanted check are left out.
    All verdicts of pass and fail hold together at ``level`` (Holm over the checks). ``waivers`` are failing checks that
    somebody answers for. Rows are cut to the profile's number by the seed, and the page says so.

    With ``store``, a folder, every step is kept when it is done, and an audit that was stopped goes on from there:
    call it again. With ``out`` results and page are written.
    """
    asked = prepared(
        model,
        x,
        y,
        train=train,
        background=background,
        sensitive=sensitive,
        favourable=favourable,
        suspects=suspects,
        recipe=recipe,
        ids=ids,
        profile=profile,
        methods=methods,
        scores=scores,
        settings_grid=settings_grid,
        select=select,
        ignore=ignore,
        seed=seed,
    )
    run = asked.run(
        reasons=reasons,
        level=level,
        waivers=waivers,
        title=title,
        store=None if store is None else Path(store),
        tell=tell,
    )
    if out is not None:
        run.save(out)
    return run


@dataclass(frozen=True, eq=False)
class Prepared:
    """An audit before anything has run: what it will do, and what that asks of the model."""

    plan: Plan
    setting: Setting
    subject: Subject
    recipe: Recipe | None
    profile: str
    wanted: Callable[[str], bool]

    def run(
        self,
        *,
        reasons: Sequence[Reasons] = (),
        level: float = 0.95,
        waivers: Sequence[Waiver] = (),
        title: str = "",
        store: Path | None = None,
        tell: Tell = silent,
    ) -> Run:
        """Do it; see ``audit``."""
        if not 0 < level < 1:
            raise InputError(f"level={level}; the confidence of all verdicts together lies between 0 and 1.")
        clock = _Clock()
        tell("plan", told(self.plan), 0.0)
        meter = self.subject.model.meter
        before = meter.forwards, meter.backwards
        result_store = ResultStore(store, meter)
        outcome = _Audit(self, result_store, level, tell).done()
        record = outcome.record(reasons, waivers, title)
        paid = {
            "model evaluations now": meter.forwards - before[0],
            "gradient evaluations now": meter.backwards - before[1],
        }
        run = Run(replace(record, times=clock.times(paid)), tuple(m.model for m in outcome.repairs))
        tell("end", repr(run), 1.0)
        return run


def prepared(
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
    ids: Sequence[Any] | None = None,
    profile: str = "standard",
    methods: Asked = (),
    scores: Asked = (),
    settings_grid: bool | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    seed: int = 0,
) -> Prepared:
    """The audit that ``audit`` would do with these arguments, planned and priced; the model is not asked anything."""
    # a meter of its own tells what this audit costs and nothing else; one forward pass for all steps lets them share
    # a game's answers, which the store keeps; and most checks have no meaning for rows with gaps
    wrapped = replace(wrap(model), meter=Meter(), fast=False, gaps=False)
    whole = case(wrapped, x, label=None, ids=ids, seed=Seed(seed))
    kind = "image" if len(whole.rows.shape) == 3 else "table"
    depth = chosen(profile_named(kind, profile), methods, scores, settings_grid)
    setting = setting_of(whole, depth, x, train[0] if train else None, background)
    subject = Subject(wrapped, x, y, train, sensitive, favourable, suspects, setting, Seed(seed))
    refuse_early(subject)
    steps, skipped = fault_steps(subject, recipe)

    def wanted(code: str) -> bool:
        chosen = not select or any(code.startswith(start) for start in select)
        return chosen and not any(code.startswith(start) for start in ignore)

    laid = plan(setting, steps, wanted)
    return Prepared(replace(laid, skipped=(*laid.skipped, *skipped)), setting, subject, recipe, profile, wanted)


def told(laid: Plan) -> str:
    """The plan in a sentence: how many steps, and exactly what they ask of the model."""
    sure, most = laid.cost, laid.at_most
    open_end = (
        f", and up to {most.forwards:,} and {most.backwards:,} more as groups and repairs turn out"
        if most.forwards or most.backwards
        else ""
    )
    asked = f"exactly {sure.forwards:,} forward and {sure.backwards:,} backward passes"
    return f"{len(laid.steps)} steps ask for {asked}{open_end}; what a game remembers is not made again"


@dataclass
class _Clock:
    started: float = field(default_factory=time.monotonic)
    day: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))

    def times(self, paid: Mapping[str, int]) -> dict[str, str]:
        took = f"{time.monotonic() - self.started:.0f} s"
        return {
            "when": self.day.strftime("%Y-%m-%d %H:%M UTC"),
            "took": took,
            **{name: f"{count:,}" for name, count in paid.items()},
        }


@dataclass
class _Outcome:
    """Everything an audit found, before it becomes a record."""

    asked: Prepared
    case: Case
    work: Work
    findings: list[Finding]
    repairs: list[Mended]
    cost: Mapping[str, int]
    level: float

    def record(self, reasons: Sequence[Reasons], waivers: Sequence[Waiver], title: str) -> Record:
        """The record, without times."""
        setting, subject, work = self.asked.setting, self.asked.subject, self.work
        classes = _classes(subject, self.case, setting.chosen)
        names = subject.model.classes
        candidates = {n: e for n, e in work.explanations.items() if n not in setting.references}
        planned = self.asked.plan.cost
        return Record(
            title=title or f"Audit of {subject.model.name}",
            about=_about(subject, self.case, self.asked.profile),
            cost={
                **self.cost,
                "forwards asked, planned": planned.forwards,
                "backwards, planned": planned.backwards,
                "checks judged together": sum(f.alone is not None for f in self.findings),
            },
            findings=tuple(self.findings),
            explanations=work.explanations,
            rivals=work.rivals,
            scores=work.scores,
            references=setting.references,
            attack_results=work.attack_results,
            certificates=work.certificates,
            reasons=tuple(reasons),
            repairs=tuple(mended.repair_record for mended in self.repairs),
            refusals=tuple(work.refusals),
            not_run=self.asked.plan.skipped,
            limits=setting.limits,
            predictions=self.case.classes if names else (),
            truth=tuple(names[i] for i in classes) if classes is not None and names else (),
            galleries=galleries(self.case, classes, candidates, work.scores),
            waivers=tuple(waivers),
            axioms={name: verdicts(name) for name in work.explanations if verdicts(name)},
            comparison=ranked(work.scores, tuple(candidates), self.findings, subject.seed, self.level),
            settings_grid=work.grid,
            level=self.level,
            reproduce=f"assay.audit(model, x, y, profile={self.asked.profile!r}, seed={subject.seed.root})",
        )


@dataclass
class _Audit:
    """The course of an audit: clean passes, steps, faults, verdicts, repairs."""

    asked: Prepared
    result_store: ResultStore
    level: float
    tell: Tell

    def done(self) -> _Outcome:
        setting, subject = self.asked.setting, self.asked.subject
        asked = self.result_store.anew("clean", lambda: _answered(setting.case))
        setting = replace(setting, case=asked)
        subject = replace(subject, setting=setting)
        work = investigate(self.asked.plan, setting, self.result_store, self.tell)
        laid = self.asked.plan
        faults, refused = found_faults(
            subject,
            laid.steps,
            self.result_store,
            lambda place: self.tell("step", laid.steps[place].key, laid.paid(place)),
        )
        work.refusals += refused
        candidates = [name for name in work.explanations if name not in setting.references]
        varied = [settings.finding(work.grid)] if work.grid is not None else []
        found = [*work.reliability, *varied, *faults, *broken(work.refusals, laid.steps)]
        findings = self._judged([*_trust(setting, work), *found], candidates)
        repairs, refused = self._mended(subject, findings, faults)
        work.refusals += refused
        return _Outcome(self.asked, asked, work, findings, repairs, self.result_store.total(), self.level)

    def _judged(self, findings: Sequence[Finding], names: Sequence[str]) -> list[Finding]:
        """All wanted checks held together, and what follows for each explanation."""
        held = judged_together([f for f in findings if f.code != "TRU001" and self.asked.wanted(f.code)], self.level)
        return [*held, *(concluded(held, names) if self.asked.wanted("TRU001") else [])]

    def _mended(
        self, subject: Subject, findings: Sequence[Finding], faults: Sequence[Finding]
    ) -> tuple[list[Mended], list[Refusal]]:
        laid = self.asked.plan
        if self.asked.recipe is None or not any(step.verb == "repair" for step in laid.steps):
            return [], []
        self.tell("step", "repair, and audit again", laid.paid(len(laid.steps) - 1))
        known = {(f.code, f.subject) for f in faults}
        return mended(
            subject,
            self.asked.recipe,
            [f for f in findings if (f.code, f.subject) in known],
            laid.steps,
            lambda model: self._trusted_again(subject, model),
            lambda found: self._judged(found, [f.subject for f in found if f.code == "TRU001"]),
            self.result_store,
        )

    def _trusted_again(self, subject: Subject, model: Model) -> list[Finding]:
        """Shapley values and their faithfulness alone, for a model before and after a repair."""
        setting = subject.setting
        clean = f"clean answers of {model.name}"
        asked = self.result_store.anew(clean, lambda: _answered(replace(setting.case, model=model)))
        small = replace(
            setting.profile,
            explainers={"shapley": {"budget": setting.profile.budget}},
            scores={name: given for name, given in setting.profile.scores.items() if name in AGAIN},
            attacks={},
            certificates={},
            reliability={},
            settings_grid=False,
        )
        again = replace(setting, case=asked, profile=small, references=("random",))
        laid = plan(again)
        steps = tuple(step for step in laid.steps if step.subject != RIVAL)
        return _trust(again, investigate(replace(laid, steps=steps), again, self.result_store, silent))


def _answered(asked: Case) -> Case:
    """The question about each row's predicted class, with the model's own answer known."""
    known = replace(asked).with_target(label="predicted")
    _ = known.prediction, known.output
    return known


def _trust(setting: Setting, work: Work) -> list[Finding]:
    candidates = {name: e for name, e in work.explanations.items() if name not in setting.references}
    return diagnose.explanation_trust(setting.case, candidates, work.scores, attack_results=work.attack_results)


def _classes(subject: Subject, asked: Case, chosen: Ints) -> Ints | None:
    """The true class of each row explained; ``None`` where it is unknown."""
    if subject.y is None or subject.model.gives in ("values", "units"):
        return None
    given = np.asarray(subject.y)[chosen].tolist()
    return np.asarray(truth(subject.model, given, len(given), asked.prediction))


def _about(subject: Subject, asked: Case, profile: str) -> dict[str, str]:
    model, whole = subject.model, subject.held_out
    return {
        "model": model.name,
        "model fingerprint": model.fingerprint[:16],
        **{name: text[:160] for name, text in model.about.items()},
        "asked": asked.asked,
        "data": f"{len(whole)} rows of shape {' × '.join(map(str, whole.rows.shape))}, "
        f"fingerprint {whole.rows.fingerprint[:16]}",
        "profile": profile,
        "seed": str(subject.seed.root),
        "versions": ", ".join(f"{package} {number}" for package, number in versions().items()),
    }
