# SPDX-License-Identifier: Apache-2.0
"""One call from a model and data to findings and a page."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from assay import attack, certify, diagnose, evaluate, explain, repair
from assay.auditing.faults import Subject, faults, mended
from assay.auditing.plan import RIVAL, Plan, Setting, Step, fault_steps, plan
from assay.auditing.profile import Profile, profile_named
from assay.auditing.run import Run
from assay.cases.case import Case, case
from assay.cases.removals import Blur, Marginal
from assay.engine.ball import Ball
from assay.engine.declare import versions
from assay.model.model import Meter, Model
from assay.model.wrap import wrap
from assay.nouns.features import grid
from assay.nouns.method import find
from assay.nouns.recipe import Recipe
from assay.nouns.record import Mending, Reasons, Record
from assay.nouns.result import Breach, Certificate, Explanation, Finding, Refusal, Score
from assay.words.errors import AssayError
from assay.words.seed import Seed

PACKAGES = (attack, certify, diagnose, evaluate, explain, repair)
"""The verb packages whose methods the plan names; importing them fills the catalogue."""

AGAIN = ("completeness", "deletion", "insertion", "faithfulness_correlation")
"""Scores of the one explanation that is made again after a repair."""

Tell = Callable[[str, str, float], None]
"""Called as tell(event, text, share): "plan" once, "step" before each step, "end"; share of the price already paid."""


def silent(event: str, text: str, share: float) -> None:
    """Tell nobody."""


@dataclass
class _Work:
    """What has been made so far."""

    explanations: dict[str, Explanation] = field(default_factory=dict)
    rivals: dict[str, Explanation] = field(default_factory=dict)
    scores: dict[tuple[str, str], Score] = field(default_factory=dict)
    breaches: dict[str, Breach] = field(default_factory=dict)
    certificates: dict[str, Certificate] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)


def audit(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    train: tuple[Any, Any] | None = None,
    background: Any = None,
    sensitive: Sequence[str] | Mapping[str, Any] = (),
    favourable: str = "",
    recipe: Recipe | None = None,
    reasons: Sequence[Reasons] = (),
    ids: Sequence[Any] | None = None,
    profile: str = "standard",
    seed: int = 0,
    title: str = "",
    out: str | Path | None = None,
    tell: Tell = silent,
) -> Run:
    """Explain a model on rows, test and attack the explanations, look for faults, mend what a recipe can mend.

    ``x`` and ``y`` are rows and labels the model was *not* trained on. ``train`` is (rows, labels) it was trained on:
    it enables the membership test and serves as background if none is given. ``sensitive`` names columns of ``x`` (or
    maps names to one group a row) and enables the disparity test for the ``favourable`` class (default: the last
    class). ``recipe`` says how to train and enables repairs. ``ids`` names the rows. ``profile`` is quick, standard or
    deep. With ``out`` the results and the page are written there. Rows are cut to the profile's number by the seed,
    and the page says so.
    """
    started = time.monotonic()
    wrapped = _counted_afresh(wrap(model))
    whole = case(wrapped, x, ids=ids, seed=Seed(seed))
    kind = "image" if len(whole.rows.shape) == 3 else "table"
    depth = profile_named(kind, profile)
    limits: list[str] = []
    setting = _setting(_cut(whole, depth, limits), depth, kind, train[0] if train else None, background, x, limits)
    laid = plan(
        setting,
        fault_steps(len(whole), _count(train), len(sensitive), depth, setting.remove, recipe is not None),
    )
    tell(
        "plan",
        f"{len(laid.steps)} steps, at most {laid.forwards:,} forward and {laid.backwards:,} backward passes",
        0.0,
    )
    work = _investigate(laid, setting, tell)
    subject = Subject(wrapped, x, y, train, sensitive, favourable, depth, setting.remove, Seed(seed))
    tell("step", "faults of the model", laid.paid(before="diagnose"))
    checked, skipped = faults(subject)
    mendings: list[Mending] = []
    if recipe is not None and y is not None:
        tell("step", "repair, and audit again", laid.paid(before="repair"))
        trust = partial(_trusted_again, x=x, ids=ids, setting=setting)
        mendings = mended(subject, setting.case, recipe, checked, trust)
    told = {
        "title": title or f"Audit of {wrapped.name}",
        "about": _about(wrapped, whole, profile, seed, started),
        "findings": (*_trust(setting, work), *checked),
        "not_run": (*laid.skipped, *skipped),
        "mendings": tuple(mendings),
        "reasons": tuple(reasons),
        "limits": tuple(limits),
        "reproduce": f"assay.audit(model, x, y, profile={profile!r}, seed={seed})",
    }
    run = Run(_record(setting, laid, work, told))
    if out is not None:
        run.save(out)
    tell("end", repr(run), 1.0)
    return run


def _record(setting: Setting, laid: Plan, work: _Work, told: Mapping[str, Any]) -> Record:
    meter = setting.case.model.meter
    return Record(
        cost={
            "forwards": meter.forwards,
            "backwards": meter.backwards,
            "planned forwards at most": laid.forwards,
            "planned backwards at most": laid.backwards,
        },
        explanations=work.explanations,
        rivals=work.rivals,
        scores=work.scores,
        references=setting.references,
        breaches=work.breaches,
        certificates=work.certificates,
        refusals=tuple(work.refusals),
        predictions=setting.case.classes if setting.case.model.classes else (),
        **told,
    )


def _investigate(laid: Plan, setting: Setting, tell: Tell) -> _Work:
    work, paid = _Work(), 0
    for step in laid.steps:
        if step.verb not in ("diagnose", "repair"):
            tell("step", step.key, paid / max(laid.forwards, 1))
            _perform(step, setting, work)
            paid += step.forwards
    return work


def _cut(whole: Case, depth: Profile, limits: list[str]) -> Case:
    if len(whole) <= depth.rows:
        return whole
    chosen = np.sort(whole.seed.child("audit", "rows").generator().choice(len(whole), depth.rows, replace=False))
    limits.append(f"Explanations were made and tested on {depth.rows} of {len(whole)} rows, drawn by the seed.")
    return whole.take(chosen)


def _setting(asked: Case, depth: Profile, kind: str, train: Any, background: Any, x: Any, limits: list[str]) -> Setting:
    if kind == "image":
        shape, top = asked.rows.shape, float(asked.rows.x.max())
        reach = 255.0 if top > 1.5 else 1.0
        patch = max(1, -(-max(shape[1:]) // 7))
        blur = patch / 2
        limits.append(
            f"Images were cut into {patch} × {patch} pixel patches; removed ones are blurred (sd {blur:g} pixels)."
        )
        limits.append(f"Attacks move pixels by at most 8/255 of the range 0 … {reach:g} that the data suggests.")
        seen = replace(asked, features=grid(shape, patch))
        return Setting(
            seen,
            depth,
            Blur(patch / 2),
            None,
            Ball("linf", 8 / 255 * reach, 0.0, reach),
            ("random", "constant", "edges"),
        )
    source, what = (background, "the background given") if background is not None else (train, "the training rows")
    if source is None:
        source, what = x, "the audited rows themselves"
        limits.append("No background and no training rows were given: absent columns are filled from the audited rows.")
    rows = asked.rows.like(source)
    if len(rows) > depth.background:
        picked = asked.seed.child("audit", "background").generator().choice(len(rows), depth.background, replace=False)
        rows = rows[np.sort(picked)]
        limits.append(
            f"Absent columns are filled from {depth.background} of {len(source)} rows of {what}, drawn by the seed."
        )
    frame = asked.rows.table.decode(rows) if asked.rows.table is not None else rows
    return Setting(asked, depth, Marginal(frame), frame, None, ("random", "constant"))


def _perform(step: Step, setting: Setting, work: _Work) -> None:
    method, asked = find(step.verb, step.method), setting.case
    subject = work.explanations.get(step.subject)
    if step.subject not in ("", RIVAL) and subject is None:
        return
    try:
        match step.verb:
            case "explain" if step.subject == RIVAL:
                work.rivals[step.method] = method.call(asked.asking(label="runner_up"), **step.options)
            case "explain":
                work.explanations[step.method] = method.call(asked, **step.options)
            case "evaluate":
                work.scores[step.subject, step.method] = method.call(subject, asked, **step.options)
            case "attack":
                work.breaches[step.subject] = method.call(subject, asked, setting.ball, **step.options)
            case "certify":
                assert subject is not None
                work.certificates[step.method] = method.call(asked, subject.top(0.25), **step.options)
    except AssayError as error:
        work.refusals.append(Refusal(step.key, step.verb, str(error), type(error).__name__))


def _trust(setting: Setting, work: _Work) -> list[Finding]:
    candidates = {name: e for name, e in work.explanations.items() if name not in setting.references}
    return diagnose.explanation_trust(setting.case, candidates, work.scores, breaches=work.breaches)


def _trusted_again(model: Model, *, x: Any, ids: Sequence[Any] | None, setting: Setting) -> list[Finding]:
    """Shapley values and their faithfulness alone, for a model before and after a repair."""
    depth = setting.profile
    asked = _cut(case(model, x, ids=ids, seed=setting.case.seed), depth, [])
    small = replace(
        depth,
        explainers={"shapley": depth.explainers["shapley"]},
        scores={name: options for name, options in depth.scores.items() if name in AGAIN},
        attacks={},
        certificates={},
    )
    asked = replace(asked, features=setting.case.features)
    setting = replace(setting, case=asked, profile=small, references=("random",))
    laid = plan(setting)
    steps = tuple(step for step in laid.steps if step.subject != RIVAL)
    return _trust(setting, _investigate(replace(laid, steps=steps), setting, silent))


def _about(model: Model, whole: Case, profile: str, seed: int, started: float) -> dict[str, str]:
    return {
        "model": model.name,
        "model mark": model.mark[:16],
        **{name: text[:160] for name, text in model.about.items()},
        "asked": whole.target.meaning,
        "data": f"{len(whole)} rows of shape {' × '.join(map(str, whole.rows.shape))}, mark {whole.rows.mark[:16]}",
        "profile": profile,
        "seed": str(seed),
        "versions": ", ".join(f"{package} {number}" for package, number in versions().items()),
        "when": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "took": f"{time.monotonic() - started:.0f} s",
    }


def _counted_afresh(model: Model) -> Model:
    """The same model with a meter of its own, so that an audit tells what it cost and nothing else."""
    return replace(model, meter=Meter())


def _count(train: tuple[Any, Any] | None) -> int:
    return len(train[1]) if train is not None else 0
