# SPDX-License-Identifier: Apache-2.0
"""An attack on predictions as a problem: rows, classes to leave or to reach, a ball; evaluated and watched."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Array, Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.labels import labels_like, resolve_label
from assay.engine.search.ball import Ball
from assay.engine.search.losses import (
    LossName,
    attack_loss,
    decides_for,
    margin,
    require_decisions,
    search_margin,
    usable_loss,
)
from assay.nouns.inputs.output_kind import Gives
from assay.nouns.inputs.rows import to_floats, to_numpy
from assay.nouns.inputs.target import Target, class_scores
from assay.nouns.results.result import Note

Labels: TypeAlias = Any
"""A class by name or position, or one a row."""

LEAST_MARGIN = 2e-6
"""The smallest margin of a success that a search of the smallest perturbation accepts."""


@dataclass
class GradientRecord:
    """What the gradients of a search were: for all rows of the problem, whichever of them a step evaluated.

    ``zero`` (row,) says where every gradient was zero, ``broken`` (row,) where one was NaN or infinite. ``shares`` are
    the shares of elements with gradient zero, a step on ``rows`` rows; ``output_broken`` (row,) says where an output
    was not finite.
    """

    zero: Masks
    evaluated: Masks
    broken: Masks
    output_broken: Masks
    shares: list[float] = field(default_factory=list)
    rows: int = 0

    @staticmethod
    def of(rows: int) -> GradientRecord:
        """An empty record."""
        everywhere, nowhere = np.ones(rows, dtype=bool), np.zeros(rows, dtype=bool)
        return GradientRecord(everywhere, nowhere, nowhere.copy(), nowhere.copy())


@dataclass(frozen=True, eq=False)
class Goal:
    """Rows under attack, and what counts as success, however the rows are changed.

    ``label`` (row,) is the class to leave: the true one where ``has_truth``, else the predicted one. ``target`` (row,)
    is the class to reach in a targeted attack.
    """

    case: Case
    label: Ints
    target: Ints | None
    has_truth: bool

    @staticmethod
    def of(case: Case, labels: Labels | None, target_label: Labels | None) -> Goal:
        """The goal; ``InputError`` for classes that do not exist, and for targets that are the rows' own labels."""
        require_decisions(case.model.gives)

        def resolve(given: Any) -> Ints:
            return resolve_label(given, case.model, len(case), lambda: case.prediction)

        label = resolve("predicted" if labels is None else labels)
        target = None if target_label is None else resolve(target_label)
        if target is not None and labels is not None and bool((target == label).any()):
            row = int(np.flatnonzero(target == label)[0])
            raise InputError(
                f"row {case.rows.ids[row]}: target_label is the row's own label. Give another class, or leave it out."
            )
        goal = Goal(case, label, target, labels is not None)
        if target is not None and goal.successes(case.prediction).all():
            raise InputError(
                "every row is decided for its target_label already, so that no attack would change anything. The "
                "target is the class to reach; the true classes, which the rows shall leave, are labels=."
            )
        return goal

    @property
    def gives(self) -> Gives:
        """What the outputs are."""
        return self.case.model.gives

    @property
    def classes(self) -> int:
        """The number of classes; two for a single score."""
        return int(class_scores(self.case.prediction[:1], self.gives).shape[1])

    def margins(self, outputs: Floats, which: Ints | None = None) -> Floats:
        """How far the attack is from success (row,): below 0 where it succeeds; infinite where an output is not finite.

        The margin of the label, or minus that of the class to reach. ``which`` is the row of each line of ``outputs``.
        """
        return self._margins(margin, outputs, which)

    def search_margins(self, outputs: Floats, which: Ints | None = None) -> Floats:
        """The same without saturation: between logarithms where the model gives probabilities."""
        return self._margins(search_margin, outputs, which)

    def _margins(self, measure: Any, outputs: Floats, which: Ints | None) -> Floats:
        finite = np.isfinite(outputs).all(axis=1)
        safe = np.where(finite[:, None], outputs, 0.0)
        label = self._of(self.label if self.target is None else self.target, which)
        signed = measure(safe, label, self.gives) if self.target is None else -measure(safe, label, self.gives)
        return np.where(finite, to_floats(signed), np.inf)

    def successes(self, outputs: Floats, which: Ints | None = None) -> Masks:
        """Where the attack succeeds (row,): another class than the label, or the class to reach, is decided."""
        if self.target is not None:
            return decides_for(outputs, self._of(self.target, which), self.gives)
        finite = np.isfinite(outputs).all(axis=1)
        return np.asarray(finite & ~decides_for(outputs, self._of(self.label, which), self.gives))

    @staticmethod
    def _of(classes: Ints, which: Ints | None) -> Ints:
        return classes if which is None else classes[which]


@dataclass(frozen=True, eq=False)
class Threat(Goal):
    """A goal with the ball that limits how far an attack moves the rows.

    ``places`` (row,) are the positions of these rows in ``record``.
    """

    ball: Ball
    record: GradientRecord
    places: Ints

    @staticmethod
    def within(case: Case, ball: Ball, labels: Labels | None, target_label: Labels | None) -> Threat:
        """The problem; ``InputError`` for classes that do not exist and rows outside the bounds."""
        require_decisions(case.model.gives)
        ball.check_bounds(case.rows.x)
        goal, count = Goal.of(case, labels, target_label), len(case)
        places = np.arange(count, dtype=np.int64)
        return Threat(case, goal.label, goal.target, goal.has_truth, ball, GradientRecord.of(count), places)

    def __len__(self) -> int:
        return len(self.case)

    @property
    def x(self) -> Array:
        """The rows (row, *shape)."""
        return self.case.rows.x

    def take(self, which: Ints) -> Threat:
        """The same problem for some of the rows, which writes into the same record."""
        return replace(
            self,
            case=_with_prediction(self.case, which),
            label=self.label[which],
            target=None if self.target is None else self.target[which],
            places=self.places[which],
        )

    def usable(self, name: LossName, *, aimed: bool | None = None) -> tuple[LossName, tuple[Note, ...]]:
        """The loss that the model allows, and a note where it is another one; ``aimed`` by default where targeted."""
        loss, note = usable_loss(
            name, self.classes, self.gives, aimed=self.target is not None if aimed is None else aimed
        )
        return loss, () if note is None else (note,)

    def outputs(self, x: Array) -> Floats:
        """The outputs (row, out) at ``x``."""
        return self._watched(to_floats(self.case.outputs(x)))

    def gradient(self, x: Array, loss: LossName, aim: Ints | None = None) -> tuple[Floats, Array]:
        """The outputs at ``x``, and the gradient of the loss, from one pass; not finite numbers of it become 0.

        ``aim`` (row,) is the class that the loss moves to; by default that of a targeted attack.
        """
        label, aim = self.label, self.target if aim is None else aim
        seen: list[Floats] = []

        def read(outputs: Array, place: Array, gives: Gives) -> Array:
            seen.append(to_floats(outputs.detach() if hasattr(outputs, "detach") else outputs))
            chosen = to_numpy(place)
            aimed = None if aim is None else labels_like(aim[chosen], outputs)
            return attack_loss(loss, outputs, labels_like(label[chosen], outputs), aimed, gives)

        asked = replace(
            self.case,
            target=Target(f"attack loss {loss}", read, "the loss of an attack"),
            label=np.arange(len(self), dtype=np.int64),
        )
        slope = asked.gradient(x)
        outputs = np.concatenate(seen)
        if len(outputs) != len(x):  # a batch was repeated for lack of memory
            outputs = to_floats(self.case.outputs(x))
        return self._watched(outputs), self._watched_gradient(slope)

    def _watched(self, outputs: Floats) -> Floats:
        np.logical_or.at(self.record.output_broken, self.places, ~np.isfinite(outputs).all(axis=1))
        return outputs

    def _watched_gradient(self, slope: Array) -> Array:
        flat = slope.reshape(len(slope), -1)
        finite = to_numpy(flat == flat) & to_numpy(abs(flat) != float("inf"))  # NaN is no number
        if not finite.all():
            values = np.where(finite, to_numpy(flat), 0.0).reshape(slope.shape)
            slope = labels_like(values, slope) if not isinstance(slope, np.ndarray) else values
            np.logical_or.at(self.record.broken, self.places, ~finite.all(axis=1))
        nonzero = to_numpy(slope.reshape(len(slope), -1) != 0)
        np.logical_and.at(self.record.zero, self.places, ~nonzero.any(axis=1))  # a row may be there several times
        self.record.evaluated[self.places] = True
        self.record.rows = self.record.rows or len(self)
        if len(self) == self.record.rows:  # shares of the same rows only can be compared
            self.record.shares.append(float(1 - nonzero.mean()))
        return slope

    def clear_successes(self, outputs: Floats) -> Masks:
        """The successes (row,) by a margin that rounding does not undo, for searches of the smallest perturbation."""
        rounding = np.finfo(np.float32 if self.case.model.dtype != "float64" else np.float64).eps
        least = LEAST_MARGIN + 4 * rounding * np.abs(np.where(np.isfinite(outputs), outputs, 0.0)).max(axis=1)
        return np.asarray(self.successes(outputs) & (self.margins(outputs) < -least))

    def ranked(self, rank: int) -> Ints:
        """The class (row,) of the given rank among the scores at the rows, without the label: 0 is the runner-up."""
        scores = class_scores(self.case.prediction, self.gives)
        others = np.where(np.arange(scores.shape[1]) == self.label[:, None], -np.inf, scores)
        order = np.argsort(-others, axis=1, kind="stable")
        return np.asarray(order[:, min(rank, scores.shape[1] - 2)], dtype=np.int64)


def _with_prediction(case: Case, which: Ints) -> Case:
    """Some of the rows of a case, with the outputs that are already known."""
    part = case.take(which)
    part.__dict__["prediction"] = case.prediction[which]
    return part


def choose_rows(mask: Masks, x: Array, other: Array) -> Array:
    """``x`` in the rows where ``mask`` holds, else ``other``."""
    from array_api_compat import array_namespace

    xp = array_namespace(x)
    return xp.where(labels_like(mask.reshape((-1,) + (1,) * (x.ndim - 1)), x), x, other)


def as_array(values: Any, like: Array) -> Array:
    """Numbers in the namespace, the type and on the device of ``like``."""
    if isinstance(like, np.ndarray):
        return np.asarray(values)
    return labels_like(np.asarray(values), like).to(like.dtype)


def per_row(values: Any, like: Array) -> Array:
    """One number a row, shaped to multiply ``like`` (row, *shape)."""
    return as_array(np.asarray(values, dtype=np.float64).reshape((-1,) + (1,) * (like.ndim - 1)), like)
