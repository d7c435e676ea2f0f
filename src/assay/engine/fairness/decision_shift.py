# SPDX-License-Identifier: Apache-2.0
"""How far scores must be moved so that a model decides for each class as often as the labels have it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Floats, Ints
from assay.model.transformations.shift_scores import decision_point, movable_scores
from assay.nouns.inputs.output_kind import OutputKind

Match = Literal["shares", "accuracy"]
"""What the shift is for: the shares of the labels, or the accuracy."""

ROUNDS = 300
"""Rounds in which the offsets of several classes are moved."""


def binary_scores(outputs: Floats, kind: OutputKind) -> Floats:
    """The score (row,) of the second of two classes, minus that of the first and the point of decision."""
    scores = movable_scores(outputs, kind)
    if kind.of_score and kind.threshold is not None and outputs.shape[1] != 1:
        raise CapabilityError("a threshold of one of two scores decides; wrap the model with a single score.")
    return np.asarray(scores[:, 1] - scores[:, 0] - decision_point(kind))


def best_offsets(outputs: Floats, labels: Ints, kind: OutputKind, match: Match) -> Floats:
    """The offsets (class,) that make the decisions on these rows fit the labels best, of equals the smallest."""
    classes = movable_scores(outputs[:1], kind).shape[1]
    if classes == 2:
        return np.array([0.0, binary_shift(binary_scores(outputs, kind), labels == 1, match)])
    scores = movable_scores(outputs, kind)
    return shares_offsets(scores, labels) if match == "shares" else accuracy_offsets(scores, labels)


def binary_shift(scores: Floats, positive: Ints, match: Match) -> float:
    """What to add to the scores (row,) that decide for the second class above 0.

    Every cut between two different scores is tried: it is best where the share above it is that of the labels, or where
    the most decisions are right. 0 is kept where no cut is better.
    """
    order = np.argsort(scores, kind="stable")
    values, right = scores[order], np.asarray(positive, dtype=np.int64)[order]
    rows, total = len(values), int(right.sum())
    cut = np.concatenate([[0], np.flatnonzero(np.diff(values) > 0) + 1, [rows]])  # rows below the cut
    above = rows - cut
    hits = np.concatenate([[0], np.cumsum(right)])[cut]  # positive rows below
    wrong = np.abs(above - total) if match == "shares" else hits + (above - (total - hits))
    ends = np.concatenate([[values[0] - 1.0], values, [values[-1] + 1.0]])
    low, high = ends[cut], ends[cut + 1]
    place = np.where((low < 0) & (high > 0), 0.0, (low + high) / 2)  # the cut that the scores have now
    now = int(np.searchsorted(cut, np.sum(values <= 0)))
    if wrong[now] == wrong.min():
        return 0.0
    best = np.flatnonzero(wrong == wrong.min())
    return float(-place[best[np.argmin(np.abs(place[best]))]])


def shares_offsets(scores: Floats, labels: Ints) -> Floats:
    """Offsets of several classes: those decided too often are lowered, round by round, and the best round is kept."""
    classes = scores.shape[1]
    wanted = np.bincount(labels, minlength=classes) / len(labels)
    spread = float(np.median(np.abs(scores - np.median(scores, axis=1, keepdims=True)))) or 1.0
    offsets, found, least = np.zeros(classes), np.zeros(classes), np.inf
    for turn in range(ROUNDS):
        share = np.bincount((scores + offsets).argmax(axis=1), minlength=classes) / len(labels)
        worst = float(np.abs(share - wanted).max())
        if worst < least:
            found, least = offsets.copy(), worst
        if worst == 0:
            break
        offsets = offsets + spread * (wanted - share) / (1 + 0.02 * turn)
    return found - found.max() if least < np.inf else found


def accuracy_offsets(scores: Floats, labels: Ints) -> Floats:
    """Offsets of several classes: one class after another gets the cut with the most right rows, three times over."""
    offsets = np.zeros(scores.shape[1])
    for _ in range(3):
        for one in range(scores.shape[1]):
            moved = scores + offsets
            own, other = moved[:, one], np.delete(moved, one, axis=1)
            rival = np.delete(np.arange(scores.shape[1]), one)[other.argmax(axis=1)]
            counted = (labels == one) | (labels == rival)  # other rows are wrong wherever the cut lies
            if counted.any():
                gap = own - other.max(axis=1)
                offsets[one] += binary_shift(gap[counted], labels[counted] == one, "accuracy")
    return offsets
