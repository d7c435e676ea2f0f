# SPDX-License-Identifier: Apache-2.0
"""What the outputs of a fitted estimator mean: links, thresholds, labels and targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Array, Floats
from assay.model.adapters.function import predict_without_name_warning, to_outputs
from assay.nouns.inputs.output_kind import Link, OutputKind
from assay.nouns.inputs.rows import Rows

LOG_LINKS = ("poisson", "gamma")
"""Losses of scikit-learn's boosted trees whose value is the exponential of the raw score."""

LOG_ODDS = (
    "LogisticRegression",
    "LogisticRegressionCV",
    "LinearDiscriminantAnalysis",
    "QuadraticDiscriminantAnalysis",
    "GradientBoostingClassifier",
    "HistGradientBoostingClassifier",
    "ExplainableBoostingClassifier",
)
"""Classifiers whose ``decision_function`` is the log odds of two classes, or scores before a softmax."""


DECISION = "the decision of predict, 1 or 0"
"""Name of the score of a classifier that gives nothing else."""

DECISIONS = "decisions"
"""The ``output=`` that explains what ``predict`` decides."""

ABOVE_ZERO = float(np.nextafter(0.0, 1.0))
"""The threshold of scores that decide for a label where they are above 0."""


@dataclass(frozen=True)
class EstimatorOutputs:
    """The method that returns the outputs, their kind, the names of classes or of targets, and of a score.

    ``decide`` gives what ``predict`` decides (row, class), as 0 and 1; its answer is ``None`` where that is no class.
    """

    read: Callable[[Any], Any]
    kind: OutputKind
    classes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    score: str = ""
    decide: Callable[[Any], Floats | None] | None = None

    @property
    def target(self) -> str:
        """The target that is explained unless asked."""
        if self.read is self.decide:
            return "decision"
        return {"values": "value", "margin": "margin"}.get(self.kind, "probability")


@dataclass(frozen=True, eq=False)
class EstimatorForward:
    """The forward pass of an estimator, and what its ``predict`` decides."""

    outputs: EstimatorOutputs
    prepare: Callable[[Rows], Any]

    def __call__(self, rows: Rows) -> Array:
        """The outputs (row, out)."""
        found = predict_without_name_warning(self.outputs.read, self.prepare(rows))
        if found is None:
            raise CapabilityError("predict returns something else than the classes of the estimator (classes_).")
        return to_outputs(found, len(rows))

    def decisions(self, rows: Rows) -> Floats | None:
        """The decisions of ``predict`` (row, class), as 0 and 1; ``None`` where they are not known."""
        decide = self.outputs.decide
        return None if decide is None else predict_without_name_warning(decide, self.prepare(rows))


@dataclass(frozen=True, eq=False)
class Decisions:
    """What ``predict`` of a classifier decides, by its classes; of a multilabel one by the classes of each label."""

    estimator: Any
    classes: Sequence[Any]
    labels: Sequence[Sequence[Any]] | None = None

    def __call__(self, x: Any) -> Floats | None:
        """The decisions (row, class) as 0 and 1; ``None`` where ``predict`` returns something else."""
        found = np.asarray(self.estimator.predict(x))
        if self.labels is not None:
            found = found.reshape(len(found), -1)
            positive = [one[1] if len(one) == 2 else 1 for one in self.labels]
            known = found.shape[1] == len(positive)
            return (found == np.array(positive)[None, :]).astype(np.float64) if known else None
        if found.ndim == 2 and found.shape[1] == 1:
            found = found[:, 0]
        if found.ndim != 1:
            return None
        chosen = (found[:, None] == np.asarray(self.classes)[None, :]).astype(np.float64)
        return chosen if chosen.shape == (len(found), len(self.classes)) and (chosen.sum(axis=1) == 1).all() else None


def refuse_one_class(estimator: Any, classes: Any) -> None:
    """Raise ``InputError`` for a classifier that was trained on one class, which its outputs cannot show."""
    if classes is not None and len(classes) == 1 and not isinstance(classes[0], np.ndarray | list):
        raise InputError(
            f"{type(estimator).__name__} was trained on rows of one class only ({classes[0]}), so that it predicts "
            f"this class everywhere. Train it on rows of two classes."
        )


def last_step(estimator: Any) -> Any:
    """The estimator that predicts: the last step of pipelines, inside searches and threshold classifiers."""
    return _wrappers(estimator)[-1]


def _is_thresholded(estimator: Any) -> bool:
    return type(estimator).__name__ in ("FixedThresholdClassifier", "TunedThresholdClassifierCV")


def _wrappers(estimator: Any) -> list[Any]:
    """The estimator and what it wraps, from the outside to the last step."""
    found = [estimator]
    for _ in range(20):
        inner = _inner(found[-1])
        if inner is None:
            break
        found.append(inner)
    return found


def _inner(estimator: Any) -> Any:
    """What a pipeline ends in, or a search or threshold classifier wraps; ``None`` for other estimators."""
    if hasattr(estimator, "steps"):
        return estimator.steps[-1][1]
    if hasattr(estimator, "best_estimator_"):
        return estimator.best_estimator_
    frozen = type(estimator).__name__ == "FrozenEstimator"
    inner = "estimator" if frozen else "estimator_" if _is_thresholded(estimator) else ""
    return getattr(estimator, inner, None) if inner else None


@dataclass(frozen=True, eq=False)
class LastPredict:
    """``predict`` of the last step with arguments of its own, which searches and threshold classifiers do not pass."""

    estimator: Any
    options: dict[str, Any]

    def __call__(self, x: Any) -> Any:
        """The scores of ``predict`` with these arguments."""
        estimator = self.estimator
        while (inner := _inner(estimator)) is not None:
            if len(getattr(estimator, "steps", ())) > 1:
                x = estimator[:-1].transform(x)
            estimator = inner
        return estimator.predict(x, **self.options)


def decision_threshold(estimator: Any, kind: OutputKind) -> tuple[float, bool] | None:
    """The threshold from which ``predict`` decides for the last of two classes, and whether it is one of the score.

    ``None`` where the highest score decides. Raises ``InputError`` for a threshold of another score than the outputs.
    """
    if len(getattr(estimator, "classes_", ())) != 2:
        return None
    for one in _wrappers(estimator):
        if _is_thresholded(one):
            return _threshold_of(one, kind)
    return None


def decides(last: Any, kind: OutputKind) -> bool:
    """Whether ``predict`` follows from the outputs; estimators that decide by a margin read no probabilities."""
    if type(last).__name__ == "NearestCentroid":  # with equal priors by distances that no output shows
        return not np.isclose(last.class_prior_, 1 / len(last.classes_)).all()
    return kind != "probabilities" or not _decides_by_margin(last)


def _decides_by_margin(last: Any) -> bool:
    """Whether ``predict`` reads a score of which ``predict_proba`` is no function that keeps the order of classes.

    Support vector machines fit their probabilities separately, and libsvm computes them to 0.0025; clipped
    probabilities (modified Huber) are equal where scores differ.
    """
    last, name = last_step(last), type(last_step(last)).__name__
    if name in ("SVC", "NuSVC"):
        return True
    if name == "SGDClassifier":
        return last.loss == "modified_huber" and len(last.classes_) > 2
    inner = [getattr(last, attribute, None) for attribute in ("final_estimator_", "estimator_")]
    if name in ("OneVsRestClassifier", "MultiOutputClassifier", "ClassifierChain"):
        inner = list(last.estimators_)
    elif name not in ("StackingClassifier", "SelfTrainingClassifier", "RFE", "RFECV"):
        inner = []
    return any(_decides_by_margin(one) for one in inner if one is not None)


def _threshold_of(classifier: Any, kind: OutputKind) -> tuple[float, bool]:
    value = getattr(classifier, "best_threshold_", None)
    value = classifier.threshold if value is None else value
    by_probability = _reads_probability(classifier)
    if value == "auto":
        value = 0.5 if by_probability else 0.0
    if by_probability != (kind == "probabilities") and not (by_probability and kind.link != "none"):
        kind_needed = "probabilities" if by_probability else "margin"
        raise InputError(
            f"the decision threshold {value} of {type(classifier).__name__} is one of the {kind_needed}; wrap the "
            f"model with output={kind_needed!r}."
        )
    positive = getattr(classifier, "pos_label", None)
    classes = list(classifier.classes_)
    if positive is not None and classes.index(positive) == 0:  # the first class is decided from the threshold on
        value = np.nextafter(1 - value, 2) if by_probability else np.nextafter(-value, np.inf)
    return float(value), not by_probability


def _reads_probability(classifier: Any) -> bool:
    """Whether the threshold of a threshold classifier is one of the probability, not of the margin."""
    method = classifier.response_method
    return method == "predict_proba" or (method == "auto" and hasattr(classifier.estimator_, "predict_proba"))


def has_margin_threshold(estimator: Any) -> bool:
    """Whether a threshold of the margin decides."""
    return any(_is_thresholded(one) and not _reads_probability(one) for one in _wrappers(estimator))


def margin_link(last: Any) -> Link:
    """Whether a classifier's ``decision_function`` becomes probabilities by a softmax; that of a margin does not."""
    is_log_odds = type(last).__name__ in LOG_ODDS or getattr(last, "loss", None) == "log_loss"
    by_class = type(last).__name__ == "SGDClassifier" or getattr(last, "solver", "") == "liblinear"
    if by_class and len(getattr(last, "classes_", ())) > 2:
        return "none"  # one sigmoid a class, divided by their sum
    return "softmax" if is_log_odds else "none"


def margin_scale(last: Any) -> float:
    """The factor of a classifier's raw score inside its sigmoid: 2 for boosting of the exponential loss."""
    return 2.0 if type(last).__name__ == "GradientBoostingClassifier" and last.loss == "exponential" else 1.0


def regression_kind(last: Any) -> OutputKind:
    """Values, with the link between them and the raw scores that trees or coefficients add up."""
    loss = getattr(last, "loss", None)
    if loss in LOG_LINKS:
        return OutputKind("values", link="log")
    if type(last).__name__ in ("PoissonRegressor", "GammaRegressor"):
        return OutputKind("values", link="log")
    if type(last).__name__ == "TweedieRegressor":
        uses_log = last.link == "log" or (last.link == "auto" and last.power > 0)
        return OutputKind("values", link="log" if uses_log else "identity")
    return OutputKind("values")


def output_names(last: Any, given: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the targets of a regression of several targets; empty for one."""
    if given is not None:
        return tuple(map(str, given))
    return numbered("output", _target_count(last))


def _target_count(last: Any) -> int:
    """How many targets a regression has, from what it was fitted to."""
    if hasattr(last, "regressor_"):  # of a transformed target
        return _target_count(last_step(last.regressor_))
    if hasattr(last, "estimators_") and type(last).__name__ in ("MultiOutputRegressor", "RegressorChain"):
        return len(last.estimators_)
    if getattr(last, "n_outputs_", None):
        return int(last.n_outputs_)
    for name, axis in (("coef_", 0), ("dual_coef_", 1), ("_y", 1), ("y_train_", 1)):
        fitted = np.shape(getattr(last, name, 0))
        if len(fitted) == 2 and type(last).__name__ not in ("SVR", "NuSVR", "LinearSVR"):
            return int(fitted[axis])
    return int(np.size(getattr(last, "intercept_", 0)) or 1)


def multilabel_outputs(estimator: Any, last: Any, given: Sequence[str] | None) -> EstimatorOutputs | None:
    """The outputs of a classifier of several labels that do not exclude each other; ``None`` for other classifiers."""
    classes = getattr(last, "classes_", None)
    per_label = isinstance(classes, list | tuple) and len(classes) > 0 and isinstance(classes[0], np.ndarray | list)
    if not (per_label or _is_multilabel(last)):
        return None
    groups = [list(one) for one in classes] if per_label and classes is not None else None
    if groups is not None and any(len(one) > 2 for one in groups):
        sizes = [len(one) for one in groups]
        raise InputError(
            f"{type(last).__name__} predicts {len(groups)} targets of {sizes} classes. Explain one target at a time: "
            f"wrap a function that returns the probabilities of that target (assay.wrap(f, output='probabilities'))."
        )
    count = len(groups) if groups is not None else len(classes) if classes is not None else 0
    names = tuple(map(str, given)) if given is not None else _label_names(groups, classes, count)
    if len(names) != count:
        raise InputError(f"{len(names)} names for {count} labels.")
    decide = Decisions(estimator, (), groups if groups is not None else [[0, 1]] * count)
    if callable(getattr(estimator, "predict_proba", None)):
        kind = OutputKind("probabilities", exclusive=False)
        kind = kind.but(decides=decides(last, kind))
        return EstimatorOutputs(_PositiveProbabilities(estimator, groups), kind, names, decide=decide)
    kind = OutputKind("margin", link="none", exclusive=False, threshold=ABOVE_ZERO, of_score=True)
    if callable(getattr(estimator, "decision_function", None)):
        return EstimatorOutputs(estimator.decision_function, kind, names, decide=decide)
    return decided_labels(EstimatorOutputs(decide, kind, names, decide=decide))


def decided_labels(outputs: EstimatorOutputs) -> EstimatorOutputs:
    """What ``predict`` decides for each label, as 1 and 0, in place of other outputs."""
    decide = outputs.decide
    assert decide is not None
    kind = OutputKind("margin", link="none", exclusive=False, threshold=0.5, of_score=True)
    return EstimatorOutputs(decide, kind, outputs.classes, score=DECISION, decide=decide)


def _is_multilabel(last: Any) -> bool:
    binarizer = getattr(last, "label_binarizer_", None) or getattr(last, "_label_binarizer", None)
    return bool(getattr(last, "multilabel_", False)) or getattr(binarizer, "y_type_", "") == "multilabel-indicator"


def _label_names(groups: list[list[Any]] | None, classes: Any, count: int) -> tuple[str, ...]:
    if groups is None and classes is not None:
        return tuple(f"label {name}" if not isinstance(name, str) else str(name) for name in classes)
    return numbered("label", count)


def numbered(what: str, count: int) -> tuple[str, ...]:
    """Names ``what 0``, ``what 1``, …; empty for a single one."""
    return tuple(f"{what} {i}" for i in range(count)) if count > 1 else ()


@dataclass(frozen=True)
class _PositiveProbabilities:
    """The probability of each label (row, label), also where an estimator returns a list with one array a label."""

    estimator: Any
    groups: list[list[Any]] | None

    def __call__(self, x: Any) -> Any:
        found = self.estimator.predict_proba(x)
        if not isinstance(found, list):
            return np.asarray(found)
        columns = []
        for one, names in zip(found, self.groups or [[0, 1]] * len(found)):
            if len(names) == 2:
                columns.append(one[:, 1])
            else:  # a label that training showed with one value only
                columns.append(np.full(len(one), float(bool(names[0]))))
        return np.stack(columns, axis=1)
