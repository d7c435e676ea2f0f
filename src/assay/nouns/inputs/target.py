# SPDX-License-Identifier: Apache-2.0
"""Targets: the number per row, computed from the model's outputs, that a method explains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from array_api_compat import array_namespace

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Array

Gives = Literal["logits", "margin", "probabilities", "values", "units"]
"""Kind of a model's outputs: class scores before softmax, a boosted tree's raw scores, probabilities,
values of a regression, or activations of a layer."""


@dataclass(frozen=True, eq=False)
class Target:
    """One number per row as a function of the outputs.

    ``read(outputs, label, gives)`` takes outputs (row, *out) in any namespace and one label per row, and returns
    one number per row. ``smooth`` says whether it has a useful gradient. With ``layer`` the outputs are that
    layer's activations instead of the model's outputs. ``rival`` is the class that the label is compared with,
    a name until a case resolves its position.
    """

    name: str
    read: Callable[[Array, Array, Gives], Array]
    meaning: str
    smooth: bool = True
    layer: str | None = None
    label: int | None = None
    rival: int | str | None = None

    def label_is_truth(self, gives: Gives) -> bool:
        """Whether the label is the true value of a regression, not a class."""
        return self.read is _loss and gives == "values"

    def __repr__(self) -> str:
        return f"Target({self.name!r})"


def select_label(outputs: Array, label: Array) -> Array:
    """The column ``label`` of each row."""
    xp = array_namespace(outputs)
    return xp.take_along_axis(outputs, label[:, None], axis=1)[:, 0]


def is_single_score(outputs: Array, gives: Gives) -> bool:
    """Whether one column scores two classes; a positive score predicts class 1."""
    return gives in ("logits", "margin", "probabilities") and outputs.shape[1] == 1


def log_probabilities(outputs: Array, gives: Gives) -> Array:
    """Natural logarithm of the class probabilities, (row, class)."""
    xp = array_namespace(outputs)
    if gives == "probabilities":
        with np.errstate(divide="ignore"):  # log 0 = −∞ is intended
            return xp.log(probabilities(outputs, gives))
    if gives not in ("logits", "margin"):
        raise CapabilityError(f"probabilities need a classifier; this model gives {gives}. Use target='value'.")
    if is_single_score(outputs, gives):
        zero = xp.zeros_like(outputs[:, 0])
        score = outputs[:, 0]
        return xp.stack([-xp.logaddexp(zero, score), -xp.logaddexp(zero, -score)], axis=1)
    top = xp.max(outputs, axis=1, keepdims=True)
    return outputs - top - xp.log(xp.sum(xp.exp(outputs - top), axis=1, keepdims=True))


def probabilities(outputs: Array, gives: Gives) -> Array:
    """Class probabilities, (row, class)."""
    xp = array_namespace(outputs)
    return class_scores(outputs, gives) if gives == "probabilities" else xp.exp(log_probabilities(outputs, gives))


def class_scores(outputs: Array, gives: Gives) -> Array:
    """Scores (row, class); the largest of a row is the predicted class."""
    xp = array_namespace(outputs)
    if is_single_score(outputs, gives):
        score = outputs[:, 0]
        return xp.stack([1 - score if gives == "probabilities" else -score, score], axis=1)
    return outputs


def highest_other_score(scores: Array, label: Array) -> Array:
    """The highest score (row,) among the classes other than ``label``."""
    xp = array_namespace(scores)
    own = xp.arange(scores.shape[1], device=scores.device)[None, :] == label[:, None]
    return xp.max(xp.where(own, -xp.inf, scores), axis=1)


def _logit(outputs: Array, label: Array, gives: Gives) -> Array:
    if gives not in ("logits", "margin"):
        raise CapabilityError(f"logit needs scores before softmax; this model gives {gives}. Use log_odds.")
    return select_label(class_scores(outputs, gives), label)


def _margin(outputs: Array, label: Array, gives: Gives) -> Array:
    if gives in ("values", "units"):
        raise CapabilityError(f"margin needs classes; this model gives {gives}. Use target='value'.")
    scores = class_scores(outputs, gives)
    if gives == "margin" or (gives == "logits" and is_single_score(outputs, gives)):
        return select_label(scores, label)
    return select_label(scores, label) - highest_other_score(scores, label)


def _log_odds(outputs: Array, label: Array, gives: Gives) -> Array:
    xp = array_namespace(outputs)
    logs = log_probabilities(outputs, gives)
    own = xp.arange(logs.shape[1], device=logs.device)[None, :] == label[:, None]
    others = xp.where(own, -xp.inf, logs)
    top = xp.max(others, axis=1, keepdims=True)
    top = xp.where(xp.isfinite(top), top, xp.zeros_like(top))
    with np.errstate(divide="ignore"):  # a probability of exactly 1 has odds of ∞
        return select_label(logs, label) - top[:, 0] - xp.log(xp.sum(xp.exp(others - top), axis=1))


def _probability(outputs: Array, label: Array, gives: Gives) -> Array:
    return select_label(probabilities(outputs, gives), label)


def _decision(outputs: Array, label: Array, gives: Gives) -> Array:
    xp = array_namespace(outputs)
    if gives in ("values", "units"):
        raise CapabilityError(f"decision needs classes; this model gives {gives}. Use target='value'.")
    scores = class_scores(outputs, gives)
    return xp.where(xp.argmax(scores, axis=1) == label, xp.ones_like(scores[:, 0]), xp.zeros_like(scores[:, 0]))


def _loss(outputs: Array, label: Array, gives: Gives) -> Array:
    if gives == "values":
        if outputs.shape[1] != 1:
            raise CapabilityError(f"loss of a regression needs one output; this model gives {outputs.shape[1]}.")
        return (outputs[:, 0] - label) ** 2
    return -select_label(log_probabilities(outputs, gives), label)


def _value(outputs: Array, label: Array, gives: Gives) -> Array:
    if gives not in ("values", "units"):
        raise CapabilityError(
            f"value needs a regression; this model gives {gives}. Use logit, log_odds or probability."
        )
    return select_label(outputs, label)


def unit(layer: str, index: int) -> Target:
    """Activation of one unit of a layer; for a channel of a map, the mean over positions."""

    def read(outputs: Array, label: Array, gives: Gives) -> Array:
        xp = array_namespace(outputs)
        return select_label(xp.mean(xp.reshape(outputs, (*outputs.shape[:2], -1)), axis=2), label)

    return Target(
        f"unit {index} of {layer}",
        read,
        f"activation of unit {index} of layer {layer}",
        layer=layer,
        label=index,
    )


def contrast(rival: int | str, name: str | int | None = None) -> Target:
    """The label's score minus that of class ``rival``: log p − log p of the rival, the log odds between the two.

    For logits and boosted trees' raw scores of several classes it is their difference, for one score of two classes
    that score, turned to the label. ``rival`` is a class's position, or its name, which ``assay.case`` looks up; a row
    whose label is the rival is refused. ``name`` is the rival's name in texts (default: ``rival``).

    >>> case(wrap(net), x, label="wolf", target=contrast("husky"))  # doctest: +SKIP
    """
    rival_name = rival if name is None else name

    def read(outputs: Array, label: Array, gives: Gives) -> Array:
        if isinstance(rival, str):
            raise InputError(f"class {rival!r} has no position yet; give the target to assay.case(…).")
        if gives in ("values", "units"):
            raise CapabilityError(f"contrast needs classes; this model gives {gives}. Use target='value'.")
        scores = gives in ("logits", "margin") and not is_single_score(outputs, gives)
        logs = outputs if scores else log_probabilities(outputs, gives)
        return select_label(logs, label) - logs[:, rival]

    return Target(f"contrast with {rival_name}", read, f"log odds of the class against {rival_name}", rival=rival)


TARGETS = {
    target.name: target
    for target in (
        Target("logit", _logit, "the class's score before softmax; a single-score model's ±score"),
        Target("margin", _margin, "a boosted tree's raw score for the class; a net's margin over the next class"),
        Target("log_odds", _log_odds, "log p − log(1 − p) of the class"),
        Target("probability", _probability, "the class's probability"),
        Target("decision", _decision, "1 where the class is predicted, else 0", smooth=False),
        Target("loss", _loss, "cross-entropy of the label; squared error of a regression, label = true value"),
        Target("value", _value, "the value a regression predicts"),
    )
}


def target_named(name: str | Target) -> Target:
    """The target of this name; a ``Target`` is returned unchanged."""
    if isinstance(name, Target):
        return name
    if name not in TARGETS:
        raise InputError(
            f"no target {name!r}; there are {', '.join(TARGETS)}, assay.unit(layer, index) and assay.contrast(rival)."
        )
    return TARGETS[name]
