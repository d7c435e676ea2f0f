# SPDX-License-Identifier: Apache-2.0
"""Trees of scikit-learn, XGBoost, LightGBM and CatBoost, each read into a ``Forest`` from its own structures."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from assay.model.adapters.function import as_given, quietly
from assay.model.forests.forest import Forest, Parsed, no_forest
from assay.nouns.inputs.rows import Rows

ENSEMBLES = ("AdaBoost", "Bagging", "Voting", "Stacking", "RandomTrees")
"""Beginnings of names of estimators that may hold trees and are yet no sum of them."""


def parsed(estimator: Any, preprocess: Any, written: Callable[[Any], Any] | None = None) -> Parsed | None:
    """What reads the trees of an estimator or Pipeline when asked, once; ``None`` where there are none.

    ``written`` turns rows into what the estimator is given, as the model does. Where the estimator's raw score passes
    through a link before it is the prediction, the forest gives ``"margin"`` whatever the model gives.
    """
    last = estimator.steps[-1][1] if type(estimator).__name__ == "Pipeline" else estimator
    parser = _parser(last)
    if parser is None and not type(last).__name__.startswith(ENSEMBLES):
        return None

    @cache
    def forest() -> Forest:
        return _forest(estimator, last, parser, preprocess, written)

    return forest


def _forest(estimator: Any, last: Any, parser: str | None, preprocess: Any, written: Any) -> Forest:
    name = type(last).__name__
    if parser is None:
        raise no_forest(name, "its prediction is no sum over trees")
    if preprocess is not None:
        raise no_forest(name, "preprocess changes the rows before the trees see them, in a way assay cannot follow")
    grown = import_module(f"assay.model.forests.{parser}").grown(last)
    from assay.model.forests.trees import planted

    if last is estimator:
        return planted(grown, lambda rows: _given(rows, written), np.arange(1 + max(grown.origin, default=-1)))
    from assay.model.forests.pipeline import sources

    head = estimator[:-1]
    counts = [step.n_features_in_ for _, step in estimator.steps if "n_features_in_" in dir(step)]
    origin = np.arange(next(iter(counts), 0))
    for _, step in head.steps:
        origin = sources(step, origin)
    return planted(grown, lambda rows: quietly(head.transform, _given(rows, written)), origin)


def _given(rows: Rows, written: Callable[[Any], Any] | None) -> Any:
    given = as_given(rows, None)
    return given if written is None else written(given)


def _parser(last: Any) -> str | None:
    """The file that reads this estimator; a subclass from elsewhere may predict otherwise and is read by none."""
    from assay.model.forests import hist, sklearn

    package, name = type(last).__module__.partition(".")[0], type(last).__name__
    if package in ("xgboost", "lightgbm", "catboost"):
        return package
    if package != "sklearn":
        return None
    return "sklearn" if name in sklearn.NAMES else "hist" if name in hist.NAMES else None
