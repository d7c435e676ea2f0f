# SPDX-License-Identifier: Apache-2.0
"""Students taught with and without explanations, and examined on rows whose explanations they did not see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, PerPart
from assay.cases.case import Case
from assay.engine.students.linear_student import linear_student, pixel_student
from assay.engine.students.student_task import Student, StudentTask, coded_columns
from assay.engine.students.word_student import word_student
from assay.nouns.comparisons.simulatability import WARNING, Simulatability
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import LOSSES, predicted_class
from assay.nouns.results.result import Explanation, Note

LEAST_EXAM = 20
"""Fewest rows that a student is examined on."""

STUDENTS: Mapping[str, Student] = {"words": word_student, "linear": linear_student, "pixels": pixel_student}
"""The students by name."""


def simulate(
    explanation: Explanation, case: Case, student: Any, taught: int, seeds: int, level: float = 0.95
) -> Simulatability:
    """Agreement of students with the model, for each arm and seed."""
    name, learn = check_design(case, student, taught, seeds, level)
    if explanation.ids != case.rows.ids or explanation.values.shape[1] != len(case.features):
        raise InputError(
            f"the explanation has {len(explanation.ids)} rows of {explanation.values.shape[1]} parts, the case "
            f"{len(case)} rows of {len(case.features)}; both must have the same rows and parts."
        )
    if not np.isfinite(explanation.values).all():
        raise InputError("some attributions are NaN or infinite. Leave these rows out.")
    if explanation.labels and explanation.labels != case.classes:
        raise InputError(
            "the explanation is of other classes than the case; a student would learn them with the wrong sign. Give "
            "the case the label that was explained."
        )
    classes = np.asarray(predicted_class(case.prediction, case.model.gives), dtype=np.int64)
    found: dict[str, list[Floats]] = {arm: [] for arm in ("none", "explained", "random", "flipped")}
    exams, root = [], case.seed.child("simulatability")
    for number in range(seeds):
        task = _task(case, classes, taught, root.child(number))
        exams.append(task.exam)
        for arm, values in _arms(explanation.values, case, task.seed).items():
            given = task if values is None else task.with_values(values)
            found[arm].append(_agreement(learn, given))
    return _result(found, exams, explanation, name, taught, level)


def check_design(case: Case, student: Any, taught: int, seeds: int, level: float) -> tuple[str, Student]:
    """The student's name and function; typed errors for what no explanation of the case could be ranked by."""
    name, learn = choose_student(case, student)
    if case.target.name in LOSSES:
        raise CapabilityError(
            f"attributions of the {case.target.name} say what raises the error, not what speaks for a class. Explain "
            f"the log odds, the probability or the logit of a class."
        )
    if seeds < 2 or taught < 2 or len(case) - taught < LEAST_EXAM:
        raise InputError(
            f"taught={taught}, seeds={seeds} with {len(case)} rows: at least 2 of each are needed, and {LEAST_EXAM} "
            f"further rows for the exam."
        )
    if not 0 < level < 1:
        raise InputError(f"level={level} is no level between 0 and 1.")
    return name, learn


def choose_student(case: Case, student: str | Callable[..., Any]) -> tuple[str, Student]:
    """The student's name and function; ``CapabilityError`` where no student can read the rows."""
    if callable(student):
        return getattr(student, "__name__", "given"), student
    if not case.model.kind.is_classifier:
        raise CapabilityError(f"students guess classes; {case.model.name} gives {case.model.gives}.")
    is_text = case.rows.text is not None and bool(case.rows.text.words) and bool(case.rows.text.source)
    if student == "auto":
        student = "words" if is_text else "pixels" if len(case.rows.shape) == 3 else "linear"
    if student == "words" and not is_text:
        raise CapabilityError("student='words' reads texts; the rows explained are none. Use student='linear'.")
    if student in ("linear", "pixels") and (is_text or not case.features.elementwise):
        raise CapabilityError(
            f"student={student!r} reads numbers and levels, one attribution each; these rows are texts, or their parts "
            f"are groups. There is no convolutional student: give single elements as parts, or a student of your own."
        )
    if student not in STUDENTS:
        raise InputError(f"student={student!r}; there are auto, {', '.join(STUDENTS)}, or a function of a task.")
    return student, STUDENTS[student]


def _task(case: Case, classes: Ints, taught: int, seed: Seed) -> StudentTask:
    order = seed.child("rows").generator().permutation(len(case))
    text, count = case.rows.text, max(2, case.prediction.shape[1])
    is_text = text is not None and bool(text.words)
    flat = np.zeros((len(case), 0)) if is_text else to_floats(case.rows.x).reshape(len(case), -1)
    return StudentTask(
        taught=order[:taught],
        exam=order[taught:],
        classes=classes,
        explained=np.asarray(case.label, dtype=np.int64),
        count=count,
        x=flat if is_text else flat[:, np.argsort(case.features.index.ravel())],
        coded=coded_columns(None if is_text else case.rows.table, flat.shape[1]),
        words=() if text is None else text.words,
        texts=() if text is None else tuple(one if isinstance(one, str) else " ".join(one) for one in text.source),
        values=None,
        seed=seed,
    )


def _arms(values: PerPart, case: Case, seed: Seed) -> Mapping[str, PerPart | None]:
    """The attributions that each arm sees (row, part)."""
    moved = np.array(values)
    lengths = (
        [len(one) for one in case.rows.text.words] if case.rows.text is not None else [values.shape[1]] * len(case)
    )
    for row, length in enumerate(lengths):
        drawn = seed.child("random map", case.rows.ids[row]).generator().permutation(length)
        moved[row, :length] = values[row, :length][drawn]
    return {"none": None, "explained": values, "random": moved, "flipped": -values}


def _agreement(learn: Student, task: StudentTask) -> Floats:
    """Whether the student's class is the teacher's, (exam row,); the majority where only one class was taught."""
    if len(set(task.classes[task.taught].tolist())) < 2:
        raise InputError("the teacher gives all taught rows the same class; teach more rows, or choose other ones.")
    guessed = np.asarray(learn(task))
    if guessed.shape != task.exam.shape:
        raise InputError(f"the student returned shape {guessed.shape}; one class for each of {len(task.exam)} rows.")
    return np.asarray(guessed == task.classes[task.exam], dtype=np.float64)


def _result(
    found: Mapping[str, list[Floats]], exams: list[Ints], explanation: Explanation, name: str, taught: int, level: float
) -> Simulatability:
    gains = {arm: [one - none for one, none in zip(found[arm], found["none"])] for arm in found if arm != "none"}
    rows = len(explanation.ids)
    return Simulatability(
        method=explanation.provenance.method,
        student=name,
        taught=taught,
        exam=len(exams[0]),
        agreement={arm: np.array([one.mean() for one in values]) for arm, values in found.items()},
        gains={arm: np.array([one.mean() for one in values]) for arm, values in gains.items()},
        errors={arm: _error(_row_means(values, exams, rows)) for arm, values in found.items()},
        gain_errors={arm: _error(_row_means(values, exams, rows)) for arm, values in gains.items()},
        row_gains=_row_means(gains["explained"], exams, rows),
        level=level,
        notes=(Note("proxy", WARNING),),
    )


def _row_means(values: list[Floats], exams: list[Ints], rows: int) -> Floats:
    """Means (row,) over the seeds that examined a row; NaN where none did."""
    sums, counts = np.zeros(rows), np.zeros(rows)
    for one, exam in zip(values, exams):
        sums[exam] += one
        counts[exam] += 1
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _error(means: Floats) -> float:
    """Standard error over rows of the mean; rows never examined are left out."""
    known = means[~np.isnan(means)]
    return float(known.std(ddof=1) / np.sqrt(len(known)))
