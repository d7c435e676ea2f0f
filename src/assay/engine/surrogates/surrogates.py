# SPDX-License-Identifier: Apache-2.0
"""Surrogate rules: fit them to the model, measure their held-out fidelity, compute their Shapley values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import InputError, NumericalError
from assay.basics.seed import Seed
from assay.basics.stats import bootstrap
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.cost import Given
from assay.engine.infinite_targets import why_infinite
from assay.engine.retraining.labelled_rows import read_like
from assay.engine.surrogates.boxes import (
    Box,
    RuleColumns,
    box_shapley,
    first_match,
    predict,
    rule_columns,
    signed_boxes,
    word_columns,
)
from assay.engine.surrogates.feature_profiles import as_rows, evaluate_labels
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.frames import list_first
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Note

READABLE = 0.8
"""Held-out R² below which a note says that the rules do not describe the model."""

THRESHOLDS = {"probability": 0.5, "decision": 0.5, "log_odds": 0.0, "margin": 0.0}
"""Threshold of a target between the two decisions."""

Learner = Callable[[Floats, Floats, Floats], Sequence[Box]]
"""Encoded rows (row, column), targets (row,) and weights (row,) → rules, of which the first that matches counts."""


@dataclass(frozen=True, eq=False)
class SurrogateSettings:
    """The options of a surrogate; ``kind`` is "tree" or "list"."""

    kind: str
    held_out: float
    local: bool
    draws: int
    width: float


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Rows (row, table's column), their targets and weights (row,), and which rows are held out of the fit (row,)."""

    x: Floats
    y: Floats
    weight: Floats
    held_out: Masks


def explain_by_rules(case: Case, background: Any, learn: Learner, settings: SurrogateSettings) -> Estimate:
    """Fit rules for each label (or each row, if local) and explain the rows by the rules' Shapley values."""
    if not 0 < settings.held_out < 1 or settings.width <= 0 or settings.draws < 4:
        raise InputError(
            f"held_out={settings.held_out}, width={settings.width}, draws={settings.draws}; held_out is a share "
            f"between 0 and 1, width above 0, draws at least 4."
        )
    words = None if case.rows.text is None else case.rows.text.words
    if words is not None and not (settings.local and words):
        raise InputError("rules of raw texts are about the words of one text: use local=True, with words as the parts.")
    other = to_floats(read_like(case, background)) if words is None else np.zeros((1, *case.rows.shape))
    if words is None and len(other) < 2:
        raise InputError("the background has 1 row; rules need at least one row to fit and one held-out row.")
    fit_data = _neighbourhoods if settings.local else _background_per_label
    groups, datasets = fit_data(case, other, settings)
    if words is None:
        seen = np.concatenate([other, to_floats(case.rows.x)]) if settings.local else other
        shared = rule_columns(case, seen)
    rows = len(case)
    values, base, leaf = np.zeros((rows, len(case.features))), np.zeros(rows), np.zeros(rows)
    fidelity, leaves, lines = np.full((rows, 5), np.nan), list[Floats](), list[str]()
    for number, (group, data) in enumerate(zip(groups, datasets)):
        _require_finite(case, data.y)
        fitted = ~data.held_out
        columns = shared if words is None else word_columns(words[group[0]])
        rules = learn(columns.encode(data.x[fitted]), data.y[fitted], data.weight[fitted])
        own, absent = columns.encode(to_floats(case.rows.x)[group]), columns.encode(other)
        boxes = signed_boxes(rules) if settings.kind == "list" else list(rules)
        values[group], base[group] = box_shapley(boxes, columns, own, absent, len(case.features))
        leaf[group] = first_match(rules, own) + sum(map(len, leaves))
        name = case.rows.ids[group[0]] if settings.local else str(case.label[group[0]])
        fidelity[group] = _fidelity(case, rules, columns, data, case.seed.child("surrogate", "fidelity", name))
        leaves.append(_leaves(rules, columns, data, number))
        lines.append(_headline(case, rules, data, fidelity[group[0]], group, settings))
        lines.extend(_rule_lines(rules, columns, leaves[-1], settings.kind))
    names = ("fidelity", "in_sample", "agreement")
    extra = {name: fidelity[:, i] for name, i in zip(names, (0, 3, 4))}
    extra |= {"fidelity_interval": fidelity[:, 1:3], "leaves": np.concatenate(leaves), "leaf": leaf}
    return Estimate(values, base=base, extra=extra, description=tuple(lines), notes=_notes(case, fidelity[:, 0]))


def _require_finite(case: Case, y: Floats) -> None:
    wrong = int((~np.isfinite(y)).sum())
    if wrong:
        raise NumericalError(f"infinite at {wrong} of {len(y)} rows to which rules are fitted. {why_infinite(case)}")


def surrogate_cost(case: Case, o: Given, again: Cost) -> Cost:
    """The background once for all labels, or ``draws`` evaluations per row if local."""
    return Cost((o.draws * len(case) if o.local else len(o.background)) * case.model.passes_per_row)


def _background_per_label(
    case: Case, background: Floats, settings: SurrogateSettings
) -> tuple[list[Ints], list[TrainingRows]]:
    """The case's rows of each label, and the background with the target of that label."""
    labels = np.unique(case.label)
    held_out = _draw_held_out(len(background), settings.held_out, case.seed.child("surrogate", "held out"))
    targets = evaluate_labels(case, background, labels)
    groups = [np.flatnonzero(case.label == label) for label in labels]
    return groups, [TrainingRows(background, line, np.ones(len(background)), held_out) for line in targets]


def _neighbourhoods(
    case: Case, background: Floats, settings: SurrogateSettings
) -> tuple[list[Ints], list[TrainingRows]]:
    """Each row alone, and rows near it: each feature kept with probability ½, else that of a random background row."""
    datasets = []
    for row, name in enumerate(case.rows.ids):
        generator = case.seed.child("surrogate", name).generator()
        masks = generator.random((settings.draws, len(case.features))) < 0.5
        picks = generator.integers(len(background), size=settings.draws)
        kept = case.features.expand_masks(masks, np.full(settings.draws, row))
        x = np.where(kept, to_floats(case.rows.x)[row], background[picks])
        y = case.value(as_rows(case, x), np.full(settings.draws, row))
        weight = np.exp(-(((1 - np.sqrt(masks.mean(axis=1))) / settings.width) ** 2))
        held_out = _draw_held_out(len(x), settings.held_out, case.seed.child("held out", name))
        datasets.append(TrainingRows(x, y, weight, held_out))
    return [np.array([row]) for row in range(len(case))], datasets


def _draw_held_out(rows: int, share: float, seed: Seed) -> Masks:
    """A random share of the rows (row,): at least one, and not all."""
    count = min(max(1, round(share * rows)), rows - 1)
    held_out = np.zeros(rows, dtype=bool)
    held_out[seed.generator().permutation(rows)[:count]] = True
    return held_out


def _fidelity(case: Case, rules: Sequence[Box], columns: RuleColumns, data: TrainingRows, seed: Seed) -> Floats:
    """Held-out R², its interval (low, high), R² in sample, and the share of held-out rows with the same decision."""
    table = np.stack([data.y, predict(rules, columns.encode(data.x)), data.weight], axis=1)
    test, train = table[data.held_out], table[~data.held_out]
    estimate = float(r_squared(test, 0))
    limits = bootstrap(test, statistic=r_squared, seed=seed) if np.isfinite(estimate) and len(test) > 2 else None
    low, high = (np.nan, np.nan) if limits is None else (limits.low, limits.high)
    cut = THRESHOLDS.get(case.target.name, np.nan)
    same = np.average((test[:, 0] > cut) == (test[:, 1] > cut), weights=test[:, 2]) if cut == cut else np.nan
    return np.array([estimate, low, high, float(r_squared(train, 0)), same])


def r_squared(table: Floats, axis: int) -> Floats:
    """Weighted R²; ``table`` has (target, prediction, weight) on its last axis; NaN where the target is constant."""
    target, prediction, weight = np.moveaxis(table, -1, 0)
    total = weight.sum(axis=axis, keepdims=True)
    mean = (target * weight).sum(axis=axis, keepdims=True) / total
    spread = (weight * (target - mean) ** 2).sum(axis=axis)
    error = (weight * (target - prediction) ** 2).sum(axis=axis)
    varies = np.ptp(target, axis=axis) > 0
    return 1.0 - np.divide(error, spread, out=np.full(np.shape(spread), np.nan), where=varies)


def _leaves(rules: Sequence[Box], columns: RuleColumns, data: TrainingRows, number: int) -> Floats:
    """One line per rule: surrogate, value, rows fitted, rows held out, their (weighted) mean target."""
    matched = first_match(rules, columns.encode(data.x))
    lines = []
    for rule, box in enumerate(rules):
        test = (matched == rule) & data.held_out
        mean = np.average(data.y[test], weights=data.weight[test]) if test.any() else np.nan
        lines.append([number, box.value, ((matched == rule) & ~data.held_out).sum(), test.sum(), mean])
    return np.array(lines, dtype=np.float64)


def _headline(
    case: Case, rules: Sequence[Box], data: TrainingRows, fidelity: Floats, group: Ints, settings: SurrogateSettings
) -> str:
    """Target, number of rules and fidelity."""
    near = f"around row {case.rows.ids[group[0]]}, " if settings.local else ""
    return (
        f"{near}{case.take(group[:1]).target_text}, {settings.kind} of {len(rules)} rules: "
        f"held-out R² {fidelity[0]:.3g} [{fidelity[1]:.3g}, {fidelity[2]:.3g}] on {int(data.held_out.sum())} rows, "
        f"in sample {fidelity[3]:.3g}"
    )


def _rule_lines(rules: Sequence[Box], columns: RuleColumns, leaves: Floats, kind: str) -> list[str]:
    """One line of text per rule: conditions, value, held-out rows and their mean."""
    lines = []
    for number, (rule, (_, _, _, count, mean)) in enumerate(zip(rules, leaves)):
        conditions = rule.describe(columns)
        if conditions:
            start = f"else if {conditions}" if number and kind == "list" else f"if {conditions}"
        else:
            start = "else" if number else "always"
        observed = f"mean {mean:.4g}" if count else "none matches"
        lines.append(f"{number + 1}. {start}: {rule.value:.4g} ({int(count)} held-out rows, {observed})")
    return lines


def _notes(case: Case, fidelity: Floats) -> tuple[Note, ...]:
    low, undefined = np.flatnonzero(fidelity < READABLE), np.flatnonzero(np.isnan(fidelity))
    notes = []
    if len(low):
        text = (
            f"held-out R² is as low as {np.nanmin(fidelity):.2g} for row {list_first(low)}: the rules do not describe "
            f"the model there; do not read them as the model"
        )
        notes.append(Note("unfaithful", text, tuple(case.rows.ids[i] for i in low)))
    if len(undefined):
        text = f"fidelity undefined for row {list_first(undefined)}: the target is the same on all held-out rows"
        notes.append(Note("fidelity", text, tuple(case.rows.ids[i] for i in undefined)))
    return tuple(notes)
