# SPDX-License-Identifier: Apache-2.0
"""Adapter for scikit-learn estimators and pipelines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sklearn.base import BaseEstimator, is_classifier, is_outlier_detector, is_regressor
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from assay.basics.errors import CapabilityError, InputError
from assay.basics.fingerprint import digest
from assay.model.adapters.booster_outputs import RAW, booster_outputs, library_of
from assay.model.adapters.estimator_outputs import (
    DECISION,
    DECISIONS,
    Decisions,
    EstimatorForward,
    EstimatorOutputs,
    decided_labels,
    decides,
    decision_threshold,
    has_margin_threshold,
    last_step,
    margin_link,
    margin_scale,
    multilabel_outputs,
    output_names,
    refuse_one_class,
    regression_kind,
)
from assay.model.adapters.function import class_names, prepare_rows
from assay.model.forests import forest_reader
from assay.model.model import Model
from assay.model.state_fingerprint import read_state
from assay.nouns.inputs.output_kind import OutputKind

OUTLIER_SCORES = {
    "decision_function": "negative for outliers",
    "score_samples": "the lower, the more unusual",
}
"""Scores of an outlier detector, and how they are read."""


def sklearn(
    estimator: Any,
    *,
    classes: Sequence[str] | None = None,
    preprocess: Callable[[Any], Any] | None = None,
    output: str | None = None,
    batch: int = 65536,
    name: str | None = None,
) -> Model:
    """A fitted estimator, search or Pipeline as a model; its features are the input columns, not the encoded ones.

    ``output`` names a classifier's output: ``"probabilities"`` (the default where ``predict_proba`` exists) or
    ``"margin"`` (``decision_function``, or raw scores; the default of gradient-boosted classifiers, including those of
    XGBoost, LightGBM and CatBoost at the end of a Pipeline); or ``"decisions"``, what ``predict`` decides as 1 and 0,
    also where that does not follow from the others. A decision threshold of the estimator
    (``FixedThresholdClassifier``, ``TunedThresholdClassifierCV``, the margin of a support vector machine) is kept.
    Multilabel classifiers give one probability a label, named by the label; regressions of several targets one value a
    target. An outlier detector has several scores and no classes: ``"decision_function"`` or ``"score_samples"`` has to
    be stated, else ``CapabilityError``. The estimator decides which missing values it takes.
    """
    last = last_step(estimator)
    require_fitted_predictor(last, estimator, "Wrap a function of rows instead.")
    outputs = _outputs(estimator, last, output, classes)
    state = read_state(estimator, preprocess)
    columns = getattr(estimator, "feature_names_in_", None)
    return Model(
        forward=EstimatorForward(outputs, lambda rows: prepare_rows(rows, preprocess)),
        name=name or type(last).__name__,
        fingerprint=digest(state.digest, outputs.kind.key),
        partial_fingerprint=bool(state.unread),
        gives=outputs.kind,
        classes=outputs.classes,
        output_names=outputs.names,
        columns=tuple(map(str, columns)) if columns is not None else None,
        batch=batch,
        default_target=outputs.target,
        accepts_missing=True,
        forest=forest_reader(estimator, preprocess),
        about={
            "estimator": " ".join(repr(last).split()),
            "pipeline": " → ".join(n for n, _ in estimator.steps) if isinstance(estimator, Pipeline) else "no",
            **({"explained score": outputs.score} if outputs.score else {}),
        },
    )


def require_fitted_predictor(last: Any, estimator: Any, otherwise: str) -> None:
    """Raise unless ``last`` predicts something, and ``estimator``, whose last step it is, is fitted."""
    known = isinstance(last, BaseEstimator) or library_of(last) == "catboost"  # the same interface
    if not known or not (is_classifier(last) or is_regressor(last) or _is_scorer(last)):
        raise CapabilityError(
            f"{type(last).__name__} is neither a classifier, a regressor, a ranker nor an outlier detector. {otherwise}"
        )
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise InputError(f"{type(last).__name__} is not fitted yet. Call fit first.") from error


def _is_scorer(last: Any) -> bool:
    """Whether an estimator gives a score a row that is neither a class nor a target: outlier detectors and rankers."""
    return is_outlier_detector(last) or type(last).__name__ in ("XGBRanker", "LGBMRanker", "CatBoostRanker", "CatBoost")


def _outputs(estimator: Any, last: Any, asked: str | None, classes: Sequence[str] | None) -> EstimatorOutputs:
    """What the estimator returns for the output asked for, and the method that returns it."""
    if library_of(last) in RAW:
        return booster_outputs(estimator, last, asked, classes)
    if is_outlier_detector(last):
        return _outlier_score(estimator, last, asked)
    if not is_classifier(last):
        _refuse_other(asked, ("values",), "a regressor")
        return EstimatorOutputs(estimator.predict, regression_kind(last), names=output_names(last, classes))
    found = multilabel_outputs(estimator, last, classes)
    if found is not None:
        _refuse_other(asked, ("multilabel probabilities", "probabilities", DECISIONS), "a multilabel classifier")
        return found if asked != DECISIONS else decided_labels(found)
    refuse_one_class(last, getattr(estimator, "classes_", None))
    names = class_names(classes, getattr(estimator, "classes_", None))
    decide = Decisions(estimator, getattr(estimator, "classes_", ()))
    scores = _choose_scores(estimator, last, asked)
    if scores == DECISIONS:
        return EstimatorOutputs(decide, OutputKind("margin", link="none"), names, score=DECISION, decide=decide)
    is_margin = scores == "margin"
    kind = OutputKind(
        scores, link=margin_link(last) if is_margin else None, scale=margin_scale(last) if is_margin else 1
    )
    threshold = decision_threshold(estimator, kind)
    if threshold is not None:
        kind = kind.with_threshold(threshold[0], of_score=threshold[1])
    else:
        kind = kind.but(decides=decides(last, kind))
    return EstimatorOutputs(_score_method(estimator, last, kind), kind, names, decide=decide)


def _outlier_score(estimator: Any, last: Any, asked: str | None) -> EstimatorOutputs:
    """The score asked for of an outlier detector, which has several and no classes."""
    offered = {name: read for name in OUTLIER_SCORES if callable(read := getattr(estimator, name, None))}
    if asked is None:
        ways = " or ".join(f"output={name!r} ({OUTLIER_SCORES[name]})" for name in offered)
        raise CapabilityError(
            f"{type(last).__name__} is an outlier detector: it has no classes, and several scores. State the one to "
            f"explain: {ways}; or wrap a function of rows with output='values'."
        )
    _refuse_other(asked, tuple(offered), "an outlier detector")
    score = f"{asked} ({OUTLIER_SCORES[asked]})"
    return EstimatorOutputs(offered[asked], OutputKind("values"), score=score)


def _refuse_other(asked: str | None, offered: tuple[str, ...], what: str) -> None:
    if asked is not None and asked not in offered:
        raise InputError(f"output={asked!r}; {what} gives {' or '.join(map(repr, offered))}.")


def _choose_scores(estimator: Any, last: Any, asked: str | None) -> str:
    """A classifier's output: the one asked for, else raw scores of boosted trees, probabilities, scores, decisions."""
    offered = [m for m in ("predict_proba", "decision_function") if callable(getattr(estimator, m, None))]
    if getattr(last, "multi_class", "") == "one_vs_one" and len(last.classes_) > 2:  # a Gaussian process: by votes
        offered = []
    if asked == DECISIONS or (not offered and asked is None and len(getattr(estimator, "classes_", ()))):
        return DECISIONS
    if not offered:
        raise CapabilityError(
            f"{type(last).__name__} gives neither probabilities nor decision scores. Leave out output=: its decisions "
            f"are explained, by its classes_."
        )
    boosted = isinstance(last, GradientBoostingClassifier | HistGradientBoostingClassifier)
    by_margin = boosted or offered == ["decision_function"] or has_margin_threshold(estimator)
    chosen = asked or ("margin" if by_margin else "probabilities")
    if chosen not in ("margin", "probabilities"):
        raise InputError(f"output={chosen!r}; a classifier gives 'probabilities', 'margin' or 'decisions'.")
    return chosen


def _score_method(estimator: Any, last: Any, kind: OutputKind) -> Callable[[Any], Any]:
    """The method of the estimator that returns scores of this kind."""
    if kind == "margin" and getattr(last, "decision_function_shape", "") == "ovo" and len(estimator.classes_) > 2:
        raise CapabilityError(f"{type(last).__name__} scores pairs of classes. Use decision_function_shape='ovr'.")
    name = "decision_function" if kind == "margin" else "predict_proba"
    read: Callable[[Any], Any] | None = getattr(estimator, name, None)
    if read is None:
        raise CapabilityError(f"{type(last).__name__} has no method that gives {kind}.")
    return read
