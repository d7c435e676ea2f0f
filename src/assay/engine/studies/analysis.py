# SPDX-License-Identifier: Apache-2.0
"""Gains of arms with errors robust to clusters by person and by row, and the power of a study."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.errors import InputError
from assay.basics.stats import holm
from assay.basics.types import Floats, Ints, Masks
from assay.engine.studies.answers import Answers
from assay.nouns.results.result import Note
from assay.nouns.studies.questionnaire import NONE, Questionnaire
from assay.nouns.studies.study_result import ArmEffect, StudyResult

FEW = 10
"""People of an arm, or rows, below which errors by clusters are too small."""


def analyse(questionnaire: Questionnaire, answers: Answers, level: float = 0.95) -> StudyResult:
    """The gain of each arm, and its difference from the arm without explanations, with Holm's p-values."""
    arms, none = questionnaire.arms, questionnaire.arms.index(NONE)
    effects = [_effect(answers, place, none) for place in range(len(arms))]
    adjusted = holm(np.array([one.p_value for one in effects]))
    people = [one.people for one in effects]
    rows = sum(map(len, questionnaire.blocks))
    notes = []
    if min(people) < FEW or rows < FEW:
        text = f"{min(people)} people in the smallest arm and {rows} rows; below {FEW} the intervals are too narrow"
        notes.append(Note("few clusters", text))
    return StudyResult(
        kind=questionnaire.kind,
        method=questionnaire.method,
        rows=rows,
        arms={arm: _with(one, float(p)) for arm, one, p in zip(arms, effects, adjusted)},
        excluded=dict(answers.excluded),
        level=level,
        notes=tuple(notes),
    )


def _with(effect: ArmEffect, adjusted: float) -> ArmEffect:
    return ArmEffect(**{**vars(effect), "adjusted_p": adjusted})


def _effect(answers: Answers, arm: int, none: int) -> ArmEffect:
    own = _cells(answers, arm)
    before, after = (_mean(answers, one) for one in own)
    gain, nan = after - before, float("nan")
    gain_error, freedom = _error(answers, own, (-1.0, 1.0))
    people = len(np.unique(answers.person[answers.arm == arm]))
    if arm == none:
        return ArmEffect(people, before, after, gain, gain_error, nan, nan, freedom, nan, nan)
    cells = [*own, *_cells(answers, none)]
    effect = gain - (_mean(answers, cells[3]) - _mean(answers, cells[2]))
    error, freedom = _error(answers, cells, (-1.0, 1.0, 1.0, -1.0))
    p_value = float(2 * scipy_stats.t.sf(abs(effect) / error, freedom)) if error > 0 and freedom > 0 else nan
    return ArmEffect(people, before, after, gain, gain_error, effect, error, freedom, p_value, nan)


def _mean(answers: Answers, cell: Masks) -> float:
    return float(answers.right[cell].mean()) if cell.any() else float("nan")


def _cells(answers: Answers, arm: int) -> list[Masks]:
    """Which answers are before and which after, of one arm."""
    return [(answers.arm == arm) & (answers.after == after) for after in (0, 1)]


def _error(answers: Answers, cells: Sequence[Masks], signs: Sequence[float]) -> tuple[float, int]:
    """Standard error of Σ sign · mean of a cell, and degrees of freedom.

    Cameron, Gelbach and Miller (2011): the variance by clusters of people plus that by clusters of rows minus that of
    single answers, and never less than that by people. Each is what a bootstrap of these clusters converges to.
    """
    if not all(one.any() for one in cells):
        return float("nan"), 0
    shares = np.zeros(len(answers.right))
    for cell, sign in zip(cells, signs):
        shares[cell] += sign * (answers.right[cell] - answers.right[cell].mean()) / cell.sum()
    used = np.any(cells, axis=0)
    people, by_person = _clustered(shares[used], answers.person[used])
    rows, by_row = _clustered(shares[used], answers.row[used])
    alone = float((shares[used] ** 2).sum())
    variance = max(by_person + by_row - alone, by_person)
    return float(np.sqrt(variance)), min(people, rows) - 1


def _clustered(shares: Floats, cluster: Ints) -> tuple[int, float]:
    """Number of clusters, and the sum of their squared sums, times G / (G − 1)."""
    places = np.unique(cluster, return_inverse=True)[1]
    sums = np.bincount(places, weights=shares)
    count = len(sums)
    return count, float((sums**2).sum() * count / (count - 1)) if count > 1 else float("nan")


def power(
    people: int, rows: int, *, effect: float = 0.05, arms: int = 2, learning: float = 0.05, level: float = 0.95
) -> float:
    """Probability that the effect of one arm against none is found, with ``people`` an arm and ``rows`` tests a person.

    Half of the ``rows`` come before, half after. Guesses vary as coins do (variance ¼), which is the worst case;
    gains vary between people with standard deviation ``learning``. Holm's first step: the level is divided by the
    ``arms`` with explanations. Normal approximation.
    """
    if people < 1 or rows < 2 or arms < 1 or not 0 < level < 1:
        raise InputError(
            f"people={people}, rows={rows}, arms={arms}, level={level}: at least 1 person, 2 tests and 1 arm are "
            f"needed, and a level between 0 and 1."
        )
    variance = 2 / people * (2 * 0.25 / (rows / 2) + learning**2)
    limit = float(scipy_stats.norm.ppf(1 - (1 - level) / (2 * arms)))
    return float(scipy_stats.norm.sf(limit - effect / np.sqrt(variance)))


PEOPLE, ROWS = (25, 50, 100, 200, 400, 800), (10, 20, 40)
"""The sizes of the table of power: people an arm, tests a person."""


def power_table(effect: float = 0.05, arms: int = 2, tests: int = 20) -> str:
    """The power for people × rows as text, a line for each number of people an arm, and a column for ``tests``."""
    columns = sorted({*ROWS, tests})
    head = f"power to find {effect:.0%} more right answers, by people an arm (lines) and tests a person (columns)"
    lines = [head, "people " + " ".join(f"{rows:>5}" for rows in columns)]
    for people in PEOPLE:
        found = [power(people, rows, effect=effect, arms=arms) for rows in columns]
        lines.append(f"{people:>6} " + " ".join(f"{one:>5.2f}" for one in found))
    return "\n".join(lines)
