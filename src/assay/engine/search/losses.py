# SPDX-License-Identifier: Apache-2.0
"""Losses of attacks on predictions: numbers of the outputs that rise where the attack comes closer to its goal."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Array, Masks
from assay.nouns.inputs.output_kind import Gives, OutputKind
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import (
    NOT_DECIDED,
    class_scores,
    decisions,
    highest_other_score,
    is_single_score,
    log_probabilities,
    predicted_class,
    probabilities,
    select_label,
)
from assay.nouns.results.result import Note

LossName = Literal["margin", "cross_entropy", "dlr", "difference", "score", "other_scores"]

LOSSES: tuple[LossName, ...] = ("margin", "cross_entropy", "dlr")

TINY = 1e-12
"""The least denominator of the DLR loss."""


def margin(outputs: Array, label: Array, gives: Gives) -> Array:
    """The decision's margin (row,): above 0 exactly where the model decides for ``label``.

    The label's score minus the highest other score. For a single score, and for raw scores of boosted trees, it is that
    score, turned to the label; for one label of several, the score of the label from its threshold on; for two classes
    with a threshold, the log odds (or the probability, or the score) minus that of the threshold. In units of the
    model's scores, of its probabilities if it gives those.
    """
    kind = OutputKind.of(gives)
    if kind.exclusive and kind.threshold is not None:
        side = 2 * label - 1
        return side * _above_threshold(outputs, kind)
    scores = class_scores(outputs, kind)
    if not kind.exclusive:
        return _label_margin(select_label(scores, label), kind)
    if is_single_score(outputs, kind) and kind != "probabilities":
        return select_label(scores, label)
    return select_label(scores, label) - highest_other_score(scores, label)


def _above_threshold(outputs: Array, kind: OutputKind) -> Array:
    """How far the score of the last of two classes lies above its threshold, (row,)."""
    assert kind.threshold is not None
    if kind.of_score:
        return class_scores(outputs, kind)[:, 1] - kind.threshold
    if kind == "probabilities":
        return probabilities(outputs, kind)[:, 1] - kind.threshold
    logs = log_probabilities(outputs, kind)
    return logs[:, 1] - logs[:, 0] - _log_odds(kind.threshold)


def _label_margin(score: Array, kind: OutputKind) -> Array:
    """How far the score of one label of several lies above its threshold."""
    least = 0.5 if kind.threshold is None else kind.threshold
    if kind.of_score or kind == "probabilities":
        return score - least
    return score * kind.scale - _log_odds(least)


def _log_odds(probability: float) -> float:
    inner = min(max(probability, 1e-15), 1 - 1e-15)
    return math.log(inner) - math.log1p(-inner)


def search_scores(outputs: Array, gives: Gives) -> Array:
    """Scores (row, class) without saturation: the scores of a net, the logarithm of probabilities."""
    kind, xp = OutputKind.of(gives), array_namespace(outputs)
    scores = class_scores(outputs, kind)
    if kind != "probabilities":
        return scores
    return xp.log(xp.clip(scores, np.finfo(np.float64).tiny, None))


def search_margin(outputs: Array, label: Array, gives: Gives) -> Array:
    """The margin that a search follows: ``margin``, between logarithms where the model gives probabilities."""
    kind = OutputKind.of(gives)
    if kind != "probabilities" or not kind.exclusive or kind.threshold is not None:
        return margin(outputs, label, kind)
    scores = search_scores(outputs, kind)
    return select_label(scores, label) - highest_other_score(scores, label)


def attack_loss(name: LossName, outputs: Array, label: Array, aim: Array | None, gives: Gives) -> Array:
    """The loss (row,) that an attack increases, to leave class ``label``, or to reach class ``aim`` where one is given.

    margin: minus the margin of the label, or the margin of the aim (Carlini and Wagner 2017). cross_entropy: −log p of
    the label, or log p of the aim. dlr: the difference of logits ratio −(z_label − max other) / (z₁ − z₃), or with an
    aim −(z_label − z_aim) / (z₁ − (z₃ + z₄) / 2), of scores in descending order (Croce and Hein 2020).
    difference: the score of the aim minus that of the label; for two classes and for labels minus the margin.
    score: the score of the aim, else of the label; other_scores: the sum of the scores of all other classes.
    """
    if name == "margin":
        return -search_margin(outputs, label, gives) if aim is None else search_margin(outputs, aim, gives)
    xp = array_namespace(outputs)
    if name in ("score", "other_scores"):
        scores = search_scores(outputs, gives)
        own = select_label(scores, label if aim is None else aim)
        return own if name == "score" else xp.sum(scores, axis=1) - own
    if name == "difference":
        scores = search_scores(outputs, gives)
        if aim is None or scores.shape[1] == 2 or not OutputKind.of(gives).exclusive:
            return -search_margin(outputs, label, gives)
        return select_label(scores, aim) - select_label(scores, label)
    if name == "cross_entropy":
        kind = OutputKind.of(gives)
        scores = search_scores(outputs, kind) if kind == "probabilities" else log_probabilities(outputs, kind)
        return -select_label(scores, label) if aim is None else select_label(scores, aim)
    scores = search_scores(outputs, gives)
    ordered = xp.sort(scores, axis=1, descending=True)
    own = select_label(scores, label)
    if aim is None:
        return -(own - highest_other_score(scores, label)) / (ordered[:, 0] - ordered[:, 2] + TINY)
    middle = (ordered[:, 2] + ordered[:, 3]) / 2
    return -(own - select_label(scores, aim)) / (ordered[:, 0] - middle + TINY)


def usable_loss(name: LossName, classes: int, gives: Gives, *, aimed: bool) -> tuple[LossName, Note | None]:
    """The loss that these outputs allow, and a note where it is not the one asked for.

    cross_entropy needs probabilities, dlr three classes that exclude each other, with an aim four; else the margin.
    """
    if name not in LOSSES:
        raise InputError(f"loss={name!r}; there are {', '.join(LOSSES)}.")
    kind, reason = OutputKind.of(gives), ""
    if name == "cross_entropy" and kind.link == "none":
        reason = "the scores of this classifier are no log odds, so there is no cross-entropy"
    if name == "dlr":
        least = 4 if aimed else 3
        if classes < least or not kind.exclusive:
            found = "several labels a row" if not kind.exclusive else f"{classes}"
            reason = f"the {'targeted ' if aimed else ''}DLR loss needs {least} classes; this model has {found}"
    if not reason:
        return name, None
    return "margin", Note("loss-replaced", f"{reason}: the margin is used instead of {name}")


def decides_for(outputs: Array, label: Any, gives: Gives) -> Masks:
    """Whether the model decides for ``label`` (row,); false where an output is not finite."""
    kind, values = OutputKind.of(gives), to_floats(outputs)
    finite = np.isfinite(values).all(axis=1)
    safe = np.where(finite[:, None], values, 0.0)
    if kind.exclusive:
        chosen = predicted_class(safe, kind) == label
    else:
        chosen = np.asarray(select_label(decisions(safe, kind), np.asarray(label)))
    return np.asarray(chosen & finite)


def require_decisions(gives: Gives) -> None:
    """Raise ``CapabilityError`` where the outputs do not show what the model decides."""
    if not OutputKind.of(gives).decides:
        raise CapabilityError(NOT_DECIDED)
