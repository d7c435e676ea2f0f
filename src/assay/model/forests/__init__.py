# SPDX-License-Identifier: Apache-2.0
"""Parsers that turn the trees of scikit-learn, XGBoost, LightGBM and CatBoost into a ``Forest``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from assay.model.adapters.function import prepare_rows
from assay.model.forests.forest import Forest, ForestReader, no_forest
from assay.model.forests.pipeline import pipeline_columns, transform, unwrap
from assay.nouns.inputs.rows import Rows

ENSEMBLES = ("AdaBoost", "Bagging", "Voting", "Stacking", "RandomTrees")
"""Prefixes of estimator names that may hold trees but whose prediction is not a sum of trees."""


def forest_reader(estimator: Any, preprocess: Any, convert: Callable[[Any], Any] | None = None) -> ForestReader | None:
    """A function that parses the trees of an estimator or Pipeline on its first call; ``None`` if it has no trees.

    ``convert`` turns rows into the estimator's input, as the model does. If a link function turns the estimator's raw
    score into the prediction, the forest gives ``"margin"`` whatever the model gives.
    """
    steps, last = unwrap(estimator)
    parser = _parser(last)
    if parser is None and not type(last).__name__.startswith(ENSEMBLES):
        return None

    @cache
    def forest() -> Forest:
        return _forest(steps, last, parser, preprocess, convert)

    return forest


def _forest(steps: Sequence[Any], last: Any, parser: str | None, preprocess: Any, convert: Any) -> Forest:
    name = type(last).__name__
    if parser is None:
        raise no_forest(name, "its prediction is not a sum of trees")
    if preprocess is not None:
        raise no_forest(
            name, "preprocess changes the rows before the trees read them, and assay cannot trace that change"
        )
    parsed = import_module(f"assay.model.forests.{parser}").parse_trees(last)
    from assay.model.forests.trees import build_forest

    origin = pipeline_columns(steps, 1 + max(parsed.origin, default=-1))
    return build_forest(parsed, lambda rows: transform(steps, _estimator_input(rows, convert)), origin)


def _estimator_input(rows: Rows, convert: Callable[[Any], Any] | None) -> Any:
    given = prepare_rows(rows, None)
    return given if convert is None else convert(given)


def _parser(last: Any) -> str | None:
    """Name of the module that parses this estimator; ``None`` for subclasses from other packages.

    Such a subclass may predict differently.
    """
    from assay.model.forests import hist, sklearn

    package, name = type(last).__module__.partition(".")[0], type(last).__name__
    if package in ("xgboost", "lightgbm", "catboost"):
        return package
    if package != "sklearn":
        return None
    return "sklearn" if name in sklearn.NAMES else "hist" if name in hist.NAMES else None
