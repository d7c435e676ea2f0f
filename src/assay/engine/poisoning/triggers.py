# SPDX-License-Identifier: Apache-2.0
"""The smallest patch that sends pictures to a class: reconstruction of a trigger for each class."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.adam import Adam
from assay.engine.shortcuts.artefacts import Artefact
from assay.engine.shortcuts.paste_effects import changed_chances
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import TARGETS, predicted_class

FASTER = 1.3
"""Factor on the penalty of the mask after a step that sends enough rows to the class, and its inverse after another."""

RATE, DECAYS = 0.3, (0.5, 0.9)
"""Learning rate and decays of Adam, on the logits of the mask and of the pattern."""

LEAST_SIZE = 1e-3
"""A trigger of no pixels counts as one of this size."""


@dataclass(frozen=True)
class TriggerOptions:
    """How a trigger is searched: ``steps`` of Adam on ``rows`` rows, from a penalty ``penalty`` of the mask's size.

    A mask counts where it sends at least the share ``success`` of the rows to the class.
    """

    steps: int = 60
    rows: int = 64
    penalty: float = 0.01
    success: float = 0.9

    def check(self) -> None:
        """``InputError`` for numbers out of range."""
        if self.steps < 1 or self.rows < 2 or not 0 < self.penalty < float("inf") or not 0 < self.success <= 1:
            raise InputError(
                f"steps={self.steps}, search_rows={self.rows}, penalty={self.penalty}, success={self.success}; "
                f"needed are steps ≥ 1, search_rows ≥ 2, penalty > 0 and success in (0, 1]."
            )

    def cost(self, classes: int, judging: int) -> Cost:
        """The most evaluations: for each class two passes at every step, one of them with gradient, and those at the
        end, on the rows searched on and on those that judge."""
        return Cost(self.rows * (2 * self.steps + 1) + judging, self.rows * self.steps) * classes


@dataclass(frozen=True, eq=False)
class Triggers:
    """The smallest mask of each class of ``labels`` (class, height, width), and its pattern (class, channel, …).

    ``hits`` (class,) counts the ``trials`` (class,) rows of other predicted classes, none of them searched on, that the
    pasted trigger sends to the class.
    """

    labels: Ints
    masks: Floats
    patterns: Floats
    hits: Ints
    trials: Ints

    @property
    def logs(self) -> Floats:
        """Log of the size Σ m of each trigger (class,); of all pixels where it sends under half of the rows."""
        sizes = np.maximum(self.masks.sum(axis=(1, 2)), LEAST_SIZE)
        return np.log(np.where(2 * self.hits >= self.trials, sizes, self.masks[0].size))

    def artefact(self, place: int) -> Artefact:
        """The trigger of a class, which can be pasted into rows."""
        return Artefact(self.patterns[place], self.masks[place])


def reconstruct_triggers(case: Case, searched: Ints, judging: Ints, labels: Ints, options: TriggerOptions) -> Triggers:
    """The smallest trigger of each class on the rows ``searched`` (Neural Cleanse), pasted into the rows ``judging``.

    min over mask m and pattern p of mean cross-entropy of the class at (1 − m) x + m p, plus a penalty times Σ m. The
    penalty rises while the trigger sends enough rows to the class and falls otherwise; the smallest mask that does is
    the result, all pixels where none does.
    """
    predicted = predicted_class(case.prediction, case.model.gives)
    masks, patterns, hits, trials = [], [], [], []
    for label in labels.tolist():
        mask, pattern = _search(case, searched, label, options)
        others = judging[predicted[judging] != label]
        masks.append(mask)
        patterns.append(pattern)
        trials.append(len(others))
        hits.append(int((pasted_decisions(case, Artefact(pattern, mask), others) == label).sum()))
    return Triggers(labels, np.stack(masks), np.stack(patterns), np.array(hits), np.array(trials))


def pasted_decisions(case: Case, trigger: Artefact, which: Ints) -> Ints:
    """The predicted classes (row,) of rows of the case with the trigger."""
    if not len(which):
        return np.empty(0, dtype=np.int64)
    kind = case.model.kind.as_probabilities()
    return predicted_class(changed_chances(case, which, lambda x, at: trigger(x)), kind)


def _search(case: Case, which: Ints, label: int, options: TriggerOptions) -> tuple[Floats, Floats]:
    """Mask and pattern of the smallest trigger of one class."""
    x = to_floats(case.rows.x[which])
    asked = replace(case.take(which), target=TARGETS["loss"], label=np.full(len(which), label))
    low, high = (side(x, axis=(0, 2, 3))[:, None, None] for side in (np.min, np.max))
    logits = np.zeros((1 + x.shape[1], *x.shape[2:]))
    logits[0] = -1.0
    adam = Adam(*DECAYS)
    best = np.ones(x.shape[2:]), (low + high) / 2 + np.zeros(x.shape[1:])
    penalty = options.penalty
    for step in range(options.steps + 1):
        mask, pattern = _sigmoid(logits[0]), low + (high - low) * _sigmoid(logits[1:])
        moved = case.rows.convert(x * (1 - mask) + mask * pattern)
        success = float((predicted_class(to_floats(asked.outputs(moved)), case.model.gives) == label).mean())
        if success >= options.success and mask.sum() < best[0].sum():
            best = mask, pattern
        if step == options.steps:
            break
        slope = to_floats(asked.gradient(moved)) / len(x)
        by_mask = (slope * (pattern - x)).sum(axis=(0, 1)) + penalty
        by_pattern = (slope * mask).sum(axis=0) * (high - low)
        slopes = np.concatenate([by_mask[None], by_pattern]) * _sigmoid(logits) * (1 - _sigmoid(logits))
        logits = logits - RATE * adam.step(slopes)
        penalty *= FASTER if success >= options.success else 1 / FASTER
    return best


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))
