# SPDX-License-Identifier: Apache-2.0
"""Targets: the number per row, computed from the model's outputs, that a method explains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Array, Floats, Ints
from assay.nouns.inputs.features import default_unit_axis
from assay.nouns.inputs.output_kind import Gives, OutputKind
from assay.nouns.inputs.rows import to_floats

__all__ = [
    "LOSSES",
    "TARGETS",
    "Gives",
    "Target",
    "class_scores",
    "contrast",
    "decisions",
    "highest_other_score",
    "is_single_score",
    "log_probabilities",
    "predicted_class",
    "probabilities",
    "select_label",
    "target_named",
    "unit",
]


LOSSES = ("loss", "brier")
"""Targets that measure an error, so that the label is the truth; loss is infinite where p is 0, the Brier score not."""

NOT_DECIDED = (
    "the model's predict does not follow from these outputs, so that they do not show its decisions. Give assay.wrap "
    "another output (output='margin' for support vector machines, output='decisions' for what predict itself says), or "
    "the model's own threshold (threshold=)."
)


@dataclass(frozen=True, eq=False)
class Target:
    """One number per row as a function of the outputs.

    ``read(outputs, label, gives)`` takes outputs (row, *out) in any namespace and one label per row, and returns
    one number per row. ``smooth`` says whether it has a useful gradient. With ``layer`` the outputs are that
    layer's activations instead of the model's outputs; ``is_unit`` says that the target is one unit of it, along
    ``unit_axis`` of its rows' shape (``None``: unknown). ``rival`` is the class that the label is compared with,
    a name until a case resolves its position.
    """

    name: str
    read: Callable[[Array, Array, Gives], Array]
    meaning: str
    smooth: bool = True
    layer: str | None = None
    label: int | None = None
    rival: int | str | None = None
    is_unit: bool = False
    unit_axis: int | None = None

    def with_unit_axis(self, axis: int | None) -> Target:
        """The target of the same unit along this axis of the layer's rows; other targets are unchanged."""
        if not self.is_unit or axis is None or self.layer is None or self.label is None:
            return self
        return _unit(self.layer, self.label, axis)

    def by_label(self, outputs: Floats) -> Floats:
        """The outputs with what labels count on axis 1: the units, or the outputs as they are."""
        return np.moveaxis(outputs, _output_axis(outputs, self.unit_axis), 1) if self.is_unit else outputs

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
    return outputs.shape[1] == 1 and gives in ("logits", "margin", "probabilities")


def log_probabilities(outputs: Array, gives: Gives) -> Array:
    """Natural logarithm of the probabilities of classes or labels, (row, class)."""
    xp, kind = array_namespace(outputs), OutputKind.of(gives)
    if kind == "probabilities":
        with np.errstate(divide="ignore"):  # log 0 = −∞ is intended
            return xp.log(probabilities(outputs, gives))
    if kind not in ("logits", "margin"):
        raise CapabilityError(f"probabilities need a classifier; this model gives {gives}. Use target='value'.")
    if kind.link == "none":
        raise CapabilityError(
            "the scores of this classifier are no log odds, so it has no probabilities. Use target='margin' or "
            "'decision', or calibrate it (sklearn.calibration.CalibratedClassifierCV)."
        )
    outputs = outputs if kind.scale == 1 else outputs * kind.scale
    if is_single_score(outputs, kind):
        score = outputs[:, 0]
        return xp.stack([-_softplus(score), -_softplus(-score)], axis=1)
    if kind.link == "sigmoid":
        return -_softplus(-outputs)
    top = xp.max(outputs, axis=1, keepdims=True)
    return outputs - top - xp.log(xp.sum(xp.exp(outputs - top), axis=1, keepdims=True))


def _softplus(score: Array) -> Array:
    """log(1 + exp(score))."""
    xp = array_namespace(score)
    return xp.logaddexp(xp.zeros_like(score), score)


def probabilities(outputs: Array, gives: Gives) -> Array:
    """Probabilities of classes or labels, (row, class); those of a multilabel model do not sum to 1."""
    xp = array_namespace(outputs)
    return class_scores(outputs, gives) if gives == "probabilities" else xp.exp(log_probabilities(outputs, gives))


def class_scores(outputs: Array, gives: Gives) -> Array:
    """Scores (row, class); without a threshold the largest of a row is the predicted class."""
    xp = array_namespace(outputs)
    if is_single_score(outputs, gives):
        score = outputs[:, 0]
        return xp.stack([1 - score if gives == "probabilities" else -score, score], axis=1)
    return outputs


def predicted_class(outputs: Array, gives: Gives) -> Ints:
    """The class (row,) that the model decides for: that of the highest score, or of its threshold for two classes.

    Of a multilabel model it is the label with the highest score, whether or not the model decides for it.
    """
    scores, kind = class_scores(outputs, gives), OutputKind.of(gives)
    kind.check_threshold(scores.shape[1])
    if kind.threshold is None or not kind.exclusive:
        return np.asarray(np.argmax(to_floats(scores), axis=1))
    return to_floats(decisions(outputs, kind)[:, 1]).astype(np.int64)


def decisions(outputs: Array, kind: OutputKind) -> Array:
    """Whether the model decides for each class or label, (row, class)."""
    xp = array_namespace(outputs)
    scores = class_scores(outputs, kind)
    kind.check_threshold(scores.shape[1])
    if kind.exclusive and kind.threshold is None:
        return xp.arange(scores.shape[1], device=scores.device)[None, :] == xp.argmax(scores, axis=1)[:, None]
    if not kind.exclusive:
        scores = outputs if kind.of_score else probabilities(outputs, kind)
        return scores > 0.5 if kind.threshold is None else scores >= kind.threshold
    positive = (scores if kind.of_score else probabilities(outputs, kind))[:, 1] >= kind.threshold
    return xp.stack([~positive, positive], axis=1)


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
    kind = OutputKind.of(gives)
    if kind == "values" and kind.link != "identity":
        return _raw_score(outputs, label, kind)
    if not kind.is_classifier:
        raise CapabilityError(f"margin needs classes; this model gives {gives}. Use target='value'.")
    scores = class_scores(outputs, kind)
    if kind == "margin" or (kind == "logits" and (is_single_score(outputs, kind) or not kind.exclusive)):
        return select_label(scores, label)
    if not kind.exclusive:
        return 2 * select_label(scores, label) - 1
    return select_label(scores, label) - highest_other_score(scores, label)


def _raw_score(outputs: Array, label: Array, kind: OutputKind) -> Array:
    """The score before the link function of a regression: the logarithm, or the log odds, of its value."""
    xp, value = array_namespace(outputs), select_label(outputs, label)
    return (xp.log(value) if kind.link == "log" else xp.log(value) - xp.log1p(-value)) / kind.scale


def _log_odds(outputs: Array, label: Array, gives: Gives) -> Array:
    xp, kind = array_namespace(outputs), OutputKind.of(gives)
    if kind.link == "sigmoid" and outputs.shape[1] > 1:  # each class has a probability of its own
        if kind != "probabilities":
            return select_label(outputs, label) * kind.scale
        own = select_label(outputs, label)
        with np.errstate(divide="ignore"):
            return xp.log(own) - xp.log1p(-own)
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
    if not OutputKind.of(gives).decides:
        raise CapabilityError(NOT_DECIDED)
    chosen = select_label(decisions(outputs, OutputKind.of(gives)), label)
    return xp.where(chosen, xp.ones_like(outputs[:, 0]), xp.zeros_like(outputs[:, 0]))


def _loss(outputs: Array, label: Array, gives: Gives) -> Array:
    if gives == "values":
        if outputs.shape[1] != 1:
            raise CapabilityError(f"loss of a regression needs one output; this model gives {outputs.shape[1]}.")
        return (outputs[:, 0] - label) ** 2
    return -select_label(log_probabilities(outputs, gives), label)


def _brier(outputs: Array, label: Array, gives: Gives) -> Array:
    kind = OutputKind.of(gives)
    if not kind.is_classifier or not kind.exclusive:
        found = "several labels a row" if kind.is_classifier else gives
        raise CapabilityError(f"brier needs classes that exclude each other; this model gives {found}. Use loss.")
    xp, chances = array_namespace(outputs), probabilities(outputs, gives)
    own = xp.arange(chances.shape[1], device=chances.device)[None, :] == label[:, None]
    return xp.sum(xp.where(own, chances - 1, chances) ** 2, axis=1)


def _value(outputs: Array, label: Array, gives: Gives) -> Array:
    if gives not in ("values", "units"):
        raise CapabilityError(
            f"value needs a regression; this model gives {gives}. Use logit, log_odds or probability."
        )
    return select_label(outputs, label)


def unit(layer: str, index: int) -> Target:
    """Activation of one unit of a layer; for a channel of a map, the mean over positions.

    Channels are on the axis that the net's operations tell; where they do not, on the first of a map with three axes
    (channel, height, width), else on the last.
    """
    return _unit(layer, index, None)


def _unit(layer: str, index: int, axis: int | None) -> Target:
    def read(outputs: Array, label: Array, gives: Gives) -> Array:
        xp = array_namespace(outputs)
        channels = xp.moveaxis(outputs, _output_axis(outputs, axis), 1)
        return select_label(xp.mean(xp.reshape(channels, (*channels.shape[:2], -1)), axis=2), label)

    return Target(
        f"unit {index} of {layer}",
        read,
        f"activation of unit {index} of layer {layer}",
        layer=layer,
        label=index,
        is_unit=True,
        unit_axis=axis,
    )


def _output_axis(outputs: Array, axis: int | None) -> int:
    """The axis of outputs (row, *shape) for an axis of ``shape``."""
    return 1 + (default_unit_axis(outputs.ndim - 1) if axis is None else axis)


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
        Target(
            "margin",
            _margin,
            "the raw score of boosted trees, for the class or the value; a net's margin over the next class",
        ),
        Target("log_odds", _log_odds, "log p − log(1 − p) of the class"),
        Target("probability", _probability, "the class's probability"),
        Target("decision", _decision, "1 where the model decides for the class, else 0", smooth=False),
        Target("loss", _loss, "cross-entropy of the label; squared error of a regression, label = true value"),
        Target("brier", _brier, "Brier score of the label: sum of (p − [class is the label])² over classes, 0 … 2"),
        Target("value", _value, "the value a regression predicts"),
    )
}


def target_named(name: object) -> Target:
    """The target of this name; a ``Target`` is returned unchanged."""
    if isinstance(name, Target):
        return name
    if not isinstance(name, str) or name not in TARGETS:
        raise InputError(
            f"no target {name!r}; there are {', '.join(TARGETS)}, assay.unit(layer, index) and assay.contrast(rival)."
        )
    return TARGETS[name]
