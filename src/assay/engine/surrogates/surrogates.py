# SPDX-License-Identifier: Apache-2.0
"""A model told by a few rules: what they are learnt from, how faithful they are, and what they say of a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.stats import bootstrap
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.cost import Given
from assay.engine.retraining.labelled_rows import written
from assay.engine.surrogates.boxes import Box, Sheet, apart, first, said, shapley_of, sheet_of
from assay.engine.surrogates.feature_profiles import answers, as_rows
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.frames import some
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Note

READABLE = 0.8
"""Held-out R² below which a note says not to read the rules as the model."""

THRESHOLDS = {"probability": 0.5, "decision": 0.5, "log_odds": 0.0, "margin": 0.0}
"""Where a target turns from one decision to the other."""

Learner = Callable[[Floats, Floats, Floats], Sequence[Box]]
"""Rows of a sheet (row, column), targets (row,) and weights (row,) → rules, of which the first that holds counts."""


@dataclass(frozen=True, eq=False)
class Settings:
    """What the options of a surrogate say."""

    kind: str
    held_out: float
    local: bool
    draws: int
    width: float


@dataclass(frozen=True, eq=False)
class Lesson:
    """What rules are learnt from: rows (row, table's column), targets, weights, and which of them are held out."""

    x: Floats
    y: Floats
    weight: Floats
    held: Masks


def surrogate(case: Case, background: Any, learn: Learner, settings: Settings) -> Estimate:
    """Learn rules for each label (or each row, if local), and explain the rows by them."""
    if not 0 < settings.held_out < 1 or settings.width <= 0 or settings.draws < 4:
        raise InputError(
            f"held_out={settings.held_out}, width={settings.width}, draws={settings.draws}; held_out is a share "
            f"between 0 and 1, width above 0, draws at least 4."
        )
    other = to_floats(written(case, background))
    if len(other) < 2:
        raise InputError("the background has 1 row; rules need at least one to learn from and one to be held to.")
    groups, lessons = _around(case, other, settings) if settings.local else _everywhere(case, other, settings)
    sheet = sheet_of(case, np.concatenate([other, to_floats(case.rows.x)]) if settings.local else other)
    rows = len(case)
    values, base, leaf = np.zeros((rows, len(case.features))), np.zeros(rows), np.zeros(rows)
    faith, leaves, told = np.full((rows, 5), np.nan), list[Floats](), list[str]()
    for number, (group, lesson) in enumerate(zip(groups, lessons)):
        part = sheet.write(lesson.x[~lesson.held])
        rules = learn(part, lesson.y[~lesson.held], lesson.weight[~lesson.held])
        mine, background_ = sheet.write(to_floats(case.rows.x)[group]), sheet.write(other)
        signed = apart(rules) if settings.kind == "list" else list(rules)
        values[group], base[group] = shapley_of(signed, sheet, mine, background_, len(case.features))
        leaf[group] = first(rules, mine) + sum(map(len, leaves))
        name = case.rows.ids[group[0]] if settings.local else str(case.label[group[0]])
        faith[group] = _faith(case, rules, sheet, lesson, case.seed.child("surrogate", "fidelity", name))
        leaves.append(_leaves(rules, sheet, lesson, number))
        told.extend(_told(case, rules, sheet, lesson, faith[group[0]], leaves[-1], group, settings))
    names = ("fidelity", "in_sample", "agreement")
    extra = {name: faith[:, i] for name, i in zip(names, (0, 3, 4))}
    extra |= {"fidelity_interval": faith[:, 1:3], "leaves": np.concatenate(leaves), "leaf": leaf}
    return Estimate(values, base=base, extra=extra, told=tuple(told), notes=_notes(case, faith[:, 0]))


def priced(case: Case, o: Given, again: Cost) -> Cost:
    """The background once for all labels, or so many draws round each row."""
    return Cost((o.draws * len(case) if o.local else len(o.background)) * case.model.passes)


def _everywhere(case: Case, other: Floats, settings: Settings) -> tuple[list[Ints], list[Lesson]]:
    """The rows of each label, and the background with the target of that label."""
    labels = np.unique(case.label)
    held = _held(len(other), settings.held_out, case.seed.child("surrogate", "held out"))
    asked = answers(case, other, labels)
    groups = [np.flatnonzero(case.label == label) for label in labels]
    return groups, [Lesson(other, line, np.ones(len(other)), held) for line in asked]


def _around(case: Case, other: Floats, settings: Settings) -> tuple[list[Ints], list[Lesson]]:
    """Each row by itself, and rows round it: parts kept by coin flips, the others from a row of the background."""
    lessons = []
    for row, name in enumerate(case.rows.ids):
        generator = case.seed.child("surrogate", name).generator()
        keep = generator.random((settings.draws, len(case.features))) < 0.5
        picks = generator.integers(len(other), size=settings.draws)
        kept = case.features.spread(keep, np.full(settings.draws, row))
        x = np.where(kept, to_floats(case.rows.x)[row], other[picks])
        y = case.value(as_rows(case, x), np.full(settings.draws, row))
        weight = np.exp(-(((1 - np.sqrt(keep.mean(axis=1))) / settings.width) ** 2))
        lessons.append(Lesson(x, y, weight, _held(len(x), settings.held_out, case.seed.child("held out", name))))
    return [np.array([row]) for row in range(len(case))], lessons


def _held(rows: int, share: float, seed: Seed) -> Masks:
    """Which rows are held out: at least one, and not all."""
    count = min(max(1, round(share * rows)), rows - 1)
    held = np.zeros(rows, dtype=bool)
    held[seed.generator().permutation(rows)[:count]] = True
    return held


def _faith(case: Case, rules: Sequence[Box], sheet: Sheet, lesson: Lesson, seed: Seed) -> Floats:
    """R² on held-out rows with its limits, R² in sample, and the share of held-out rows with the same decision."""
    told = said(rules, sheet.write(lesson.x))
    table = np.stack([lesson.y, told, lesson.weight], axis=1)
    held, learnt = table[lesson.held], table[~lesson.held]
    estimate = float(explained(held, 0))
    limits = bootstrap(held, statistic=explained, seed=seed) if np.isfinite(estimate) and len(held) > 2 else None
    low, high = (np.nan, np.nan) if limits is None else (limits.low, limits.high)
    turn = THRESHOLDS.get(case.target.name, np.nan)
    same = np.average((held[:, 0] > turn) == (held[:, 1] > turn), weights=held[:, 2]) if turn == turn else np.nan
    return np.array([estimate, low, high, float(explained(learnt, 0)), same])


def explained(table: Floats, axis: int) -> Floats:
    """Weighted R² of what was told about what is; ``table`` holds (is, told, weight) on its last axis; NaN if flat."""
    truth, told, weight = np.moveaxis(table, -1, 0)
    total = weight.sum(axis=axis, keepdims=True)
    mean = (truth * weight).sum(axis=axis, keepdims=True) / total
    spread = (weight * (truth - mean) ** 2).sum(axis=axis)
    error = (weight * (truth - told) ** 2).sum(axis=axis)
    varies = np.ptp(truth, axis=axis) > 0
    return 1.0 - np.divide(error, spread, out=np.full(np.shape(spread), np.nan), where=varies)


def _leaves(rules: Sequence[Box], sheet: Sheet, lesson: Lesson, number: int) -> Floats:
    """One line a rule: surrogate, worth, rows learnt from, rows held out, their (weighted) mean target."""
    place = first(rules, sheet.write(lesson.x))
    lines = []
    for rule, box in enumerate(rules):
        inside = (place == rule) & lesson.held
        mean = np.average(lesson.y[inside], weights=lesson.weight[inside]) if inside.any() else np.nan
        lines.append([number, box.worth, ((place == rule) & ~lesson.held).sum(), inside.sum(), mean])
    return np.array(lines, dtype=np.float64)


def _told(
    case: Case,
    rules: Sequence[Box],
    sheet: Sheet,
    lesson: Lesson,
    faith: Floats,
    leaves: Floats,
    group: Ints,
    settings: Settings,
) -> list[str]:
    """A line on the whole, and one a rule."""
    whose = f"around row {case.rows.ids[group[0]]}, " if settings.local else ""
    head = (
        f"{whose}{case.take(group[:1]).asked}, {settings.kind} of {len(rules)} rules: held-out R² {faith[0]:.3g} "
        f"[{faith[1]:.3g}, {faith[2]:.3g}] on {int(lesson.held.sum())} rows, in sample {faith[3]:.3g}"
    )
    lines = [head]
    for place, (rule, (_, _, _, count, mean)) in enumerate(zip(rules, leaves)):
        conditions = rule.words(sheet)
        start = f"else if {conditions}" if conditions and place and settings.kind == "list" else f"if {conditions}"
        start = start if conditions else ("else" if place else "always")
        seen = f"mean {mean:.4g}" if count else "none seen"
        lines.append(f"{place + 1}. {start}: {rule.worth:.4g} ({int(count)} held-out rows, {seen})")
    return lines


def _notes(case: Case, fidelity: Floats) -> tuple[Note, ...]:
    poor, unknown = np.flatnonzero(fidelity < READABLE), np.flatnonzero(np.isnan(fidelity))
    notes = []
    if len(poor):
        text = (
            f"held-out R² is as low as {np.nanmin(fidelity):.2g} for row {some(poor)}: the rules miss much of what the "
            f"model does there; do not read them as the model"
        )
        notes.append(Note("unfaithful", text, tuple(case.rows.ids[i] for i in poor)))
    if len(unknown):
        text = f"fidelity undefined for row {some(unknown)}: the target is the same on all rows held out"
        notes.append(Note("fidelity", text, tuple(case.rows.ids[i] for i in unknown)))
    return tuple(notes)
