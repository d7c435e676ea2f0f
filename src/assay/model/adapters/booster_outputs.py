# SPDX-License-Identifier: Apache-2.0
"""What the outputs of XGBoost, LightGBM and CatBoost estimators mean, from their objective."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from assay.basics.errors import CapabilityError, InputError
from assay.model.adapters.estimator_outputs import (
    Decisions,
    EstimatorOutputs,
    LastPredict,
    decision_threshold,
    numbered,
    refuse_one_class,
)
from assay.model.adapters.function import class_names
from assay.nouns.inputs.output_kind import Link, OutputKind

MULTILABEL = ("MultiLogloss", "MultiCrossEntropy")
"""Objectives of CatBoost with a sigmoid for each label."""

RAW: dict[str, dict[str, Any]] = {
    "xgboost": {"output_margin": True},
    "lightgbm": {"raw_score": True},
    "catboost": {"prediction_type": "RawFormulaVal"},
}
"""The arguments with which ``predict`` of these libraries' estimators returns raw scores."""

LINKS: dict[str, Link] = {
    "count:poisson": "log",
    "reg:gamma": "log",
    "reg:tweedie": "log",
    "survival:cox": "log",
    "survival:aft": "log",
    "reg:logistic": "logit",
    "binary:logistic": "logit",
    "binary": "logit",
    "poisson": "log",
    "gamma": "log",
    "tweedie": "log",
    "cross_entropy": "logit",
    "Poisson": "log",
    "Tweedie": "log",
    "CrossEntropy": "logit",
    "Logloss": "logit",
}
"""The link between the value of a regression and its raw score, by objective; every other one is the identity."""

LOG_ODDS = {
    "xgboost": ("binary:logistic", "binary:logitraw", "reg:logistic", "multi:softprob", "multi:softmax"),
    "lightgbm": ("binary", "multiclass", "multiclassova", "cross_entropy"),
    "catboost": ("Logloss", "CrossEntropy", "Focal", "MultiClass", *MULTILABEL, "MultiClassOneVsAll"),
}
"""Objectives of classifiers whose raw scores become probabilities by a sigmoid or a softmax."""

RAW_PREDICTIONS = ("binary:logitraw", "reg:squarederror")
"""Objectives with which an ``XGBClassifier`` takes raw scores for probabilities."""

SCORES = {"survival:cox": "hazard ratio", "survival:aft": "survival time"}
"""Names of what a regression's value is, where it is no target of the data."""


def library_of(estimator: Any) -> str:
    """``"xgboost"``, ``"lightgbm"``, ``"catboost"`` or another package, by the modules of the base classes."""
    origins = [ancestor.__module__.partition(".")[0] for ancestor in type(estimator).__mro__]
    return next((name for name in RAW if name in origins), origins[0])


def booster_outputs(
    owner: Any, booster: Any, output: str | None = None, classes: Sequence[str] | None = None
) -> EstimatorOutputs:
    """The outputs of a boosted estimator, read through ``owner``: the estimator itself, or a Pipeline that it ends.

    ``output`` is ``"margin"`` (the default of classifiers), ``"probabilities"`` or ``"values"``.
    """
    library = library_of(booster)
    objective = _objective(booster, library)
    raw = LastPredict(owner, RAW[library])
    if _is_classifier(booster, objective):
        return _classifier(owner, booster, library, objective, raw, output, classes)
    if output not in (None, "values"):
        advice = " Explain its raw score with target='margin'." if output == "margin" and objective in LINKS else ""
        raise InputError(f"output={output!r}; {type(booster).__name__} gives 'values'.{advice}")
    link: Link = LINKS.get(objective, "identity")
    names = _value_names(booster, library, objective, classes)
    score = "ranking score" if type(booster).__name__.endswith("Ranker") else SCORES.get(objective, "")
    scale = _scale(booster) if library == "lightgbm" and link != "identity" else 1.0
    return EstimatorOutputs(owner.predict, OutputKind("values", link=link, scale=scale), names=names, score=score)


def _is_classifier(booster: Any, objective: str) -> bool:
    if type(booster).__name__ == "CatBoost":  # one class for every task
        return objective in LOG_ODDS["catboost"]
    return bool(is_classifier(booster))


def _classifier(
    owner: Any,
    booster: Any,
    library: str,
    objective: str,
    raw: Callable[[Any], Any],
    output: str | None,
    classes: Sequence[str] | None,
) -> EstimatorOutputs:
    if output not in (None, "margin", "probabilities"):
        raise InputError(f"output={output!r}; {type(booster).__name__} gives 'margin' or 'probabilities'.")
    labels = _multilabel_count(booster, library, objective)
    if not labels:
        refuse_one_class(booster, getattr(booster, "classes_", None))
    scale = _scale(booster) if library == "lightgbm" else 1.0
    one_vs_all = objective in ("multiclassova", "MultiClassOneVsAll")
    own_two = objective.startswith("PythonUserDefined") and len(getattr(booster, "classes_", ())) == 2  # CatBoost's
    link: Link = "softmax" if objective in LOG_ODDS[library] or own_two else "none"
    kind = OutputKind("margin", link="sigmoid" if labels or one_vs_all else link, exclusive=not labels, scale=scale)
    names = (
        tuple(classes)
        if classes is not None
        else numbered("label", labels)
        if labels
        else class_names(classes, getattr(owner, "classes_", getattr(booster, "classes_", None)))
    )
    threshold = decision_threshold(owner, kind) or _threshold(booster, library, objective, len(names))
    if threshold is not None:
        kind = kind.with_threshold(threshold[0], of_score=threshold[1])
    known = getattr(owner, "classes_", getattr(booster, "classes_", ()))
    decide = Decisions(owner, known, [[0, 1]] * labels if labels else None)
    if output == "probabilities":
        if not hasattr(owner, "predict_proba") or kind.link == "none" or kind.of_score:
            raise CapabilityError(
                f"{type(owner).__name__} with objective {objective or 'of its own'} gives no probabilities. Use "
                f"output='margin'."
            )
        return EstimatorOutputs(owner.predict_proba, kind.but("probabilities", scale=1.0), names, decide=decide)
    return EstimatorOutputs(raw, kind, names, decide=decide)


def _objective(booster: Any, library: str) -> str:
    """The name of the objective, without its parameters; empty for one of the user's own."""
    if library == "catboost":
        return str(booster.get_all_params().get("loss_function", "")).partition(":")[0] if _has_params(booster) else ""
    if library == "lightgbm":
        return lightgbm_objective(booster.booster_).partition(" ")[0]
    learner = json.loads(booster.get_booster().save_config())["learner"]
    return str(learner["objective"]["name"])


def _has_params(booster: Any) -> bool:
    return callable(getattr(booster, "get_all_params", None))


def lightgbm_objective(booster: Any) -> str:
    """The line of the objective in a booster's text, with its parameters: ``"binary sigmoid:1"``."""
    header = booster.model_to_string(num_iteration=1).partition("\n\n")[0].splitlines()
    return dict(line.partition("=")[::2] for line in header).get("objective", "none")


def _scale(booster: Any) -> float:
    """The factor of the raw score inside the sigmoid; in random-forest mode the score is a sum over the trees."""
    return lightgbm_scale(booster.booster_)


def lightgbm_scale(booster: Any) -> float:
    """The factor of a LightGBM booster's raw score inside its sigmoid or softmax."""
    found = re.search(r"sigmoid:([\d.eE+-]+)", lightgbm_objective(booster))
    scale = float(found[1]) if found else 1.0
    if "average_output" in booster.model_to_string(num_iteration=1).partition("\n\n")[0].splitlines():
        rounds = booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()
        scale /= max(1, rounds)
    return scale


def _multilabel_count(booster: Any, library: str, objective: str) -> int:
    """How many labels that do not exclude each other; 0 for classes."""
    if library == "catboost" and objective in MULTILABEL:
        return len(booster.classes_)
    if library == "xgboost" and objective == "binary:logistic":
        return _targets(booster) if _targets(booster) > 1 else 0
    return 0


def _targets(booster: Any) -> int:
    learner = json.loads(booster.get_booster().save_config())["learner"]
    return int(learner["learner_model_param"].get("num_target", 1))


def _threshold(booster: Any, library: str, objective: str, classes: int) -> tuple[float, bool] | None:
    """The threshold of the library's own ``predict``, and whether it is one of the score; ``None`` for the default."""
    if classes != 2:
        return None
    if library == "xgboost" and objective in RAW_PREDICTIONS:
        return float(np.nextafter(0.5, 1.0)), True
    if library != "catboost" or not hasattr(booster, "get_probability_threshold"):
        return None
    value = float(booster.get_probability_threshold())
    return None if value == 0.5 else (value, False)


def _value_names(booster: Any, library: str, objective: str, given: Sequence[str] | None) -> tuple[str, ...]:
    """Names of several values a row; empty for one."""
    if given is not None:
        return tuple(map(str, given))
    if objective == "RMSEWithUncertainty":
        return ("mean", "variance")
    if library == "catboost" and objective == "MultiQuantile":
        text = str(booster.get_all_params()["loss_function"])
        levels = re.search(r"alpha=([\d.,\s]+)", text)
        return tuple(f"quantile {float(level):g}" for level in levels[1].split(",")) if levels else ()
    if library == "catboost":
        return numbered("output", _catboost_dimension(booster, objective))
    if library == "xgboost":
        return xgboost_quantiles(booster.get_booster()) or numbered("output", _targets(booster))
    return ()


def xgboost_quantiles(booster: Any) -> tuple[str, ...]:
    """Names of the quantiles that an XGBoost ``Booster`` gives; empty for one, and for other objectives."""
    objective = json.loads(booster.save_config())["learner"]["objective"]
    levels = re.findall(r"[\d.eE+-]+", objective.get("quantile_loss_param", {}).get("quantile_alpha", ""))
    return tuple(f"quantile {float(level):g}" for level in levels) if len(levels) > 1 else ()


def _catboost_dimension(booster: Any, objective: str) -> int:
    if not objective.startswith("Multi"):
        return 1
    scale_and_bias = booster.get_scale_and_bias()
    return len(scale_and_bias[1]) if isinstance(scale_and_bias[1], list | tuple) else 1
