# SPDX-License-Identifier: Apache-2.0
"""Linear classifiers, also behind a Pipeline, as sums of one function for each input column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Floats, Ints
from assay.model.adapters.estimator_outputs import EstimatorForward
from assay.model.forests.pipeline import pipeline_columns, transform, unwrap
from assay.model.model import Model
from assay.nouns.inputs.rows import Rows, to_floats

LINEAR = {
    "LogisticRegression", "LogisticRegressionCV", "SGDClassifier", "RidgeClassifier", "RidgeClassifierCV", "LinearSVC",
    "Perceptron", "PassiveAggressiveClassifier", "LinearDiscriminantAnalysis",
}  # fmt: skip
"""Classifiers of scikit-learn that decide by ``coef_`` and ``intercept_``."""

AFFINE = {"StandardScaler", "MaxAbsScaler", "RobustScaler", "MinMaxScaler"}
"""Steps that map each number to a multiple of it and a constant (``MinMaxScaler`` where it does not clip)."""

NEUTRAL = {"OneHotEncoder", "OrdinalEncoder", "SimpleImputer", "VarianceThreshold", "FunctionTransformer"}
"""Steps that pass numbers on or read codes; what they make of numbers is checked where it is used."""


@dataclass(frozen=True, eq=False)
class LinearScores:
    """Scores (row, out) = ``intercept`` (out,) + Σ over columns of coefficient · column of ``matrix(rows)``.

    ``origin`` (column,) is the input element that each column comes from, ``coef`` (out, column). ``affine`` says that
    a step before the classifier is known to map numbers by a straight line, unless it reads them as codes.
    """

    coef: Floats
    intercept: Floats
    origin: Ints
    affine: bool
    matrix: Callable[[Rows], Floats] = field(repr=False)

    def parts(self, rows: Rows, element: int) -> Floats:
        """What an element adds to each score of each row (row, out)."""
        columns = np.flatnonzero(self.origin == element)
        return np.asarray(self.matrix(rows)[:, columns] @ self.coef[:, columns].T)


def is_linear(model: Model) -> bool:
    """Whether the model is a linear classifier that ``read_linear`` may read."""
    found = estimator_of(model)
    return found is not None and type(unwrap(found)[1]).__name__ in LINEAR


def read_linear(model: Model) -> LinearScores:
    """The coefficients of a linear classifier; ``CapabilityError`` where a step before it mixes columns."""
    estimator = estimator_of(model)
    assert estimator is not None
    assert isinstance(model.forward, EstimatorForward)
    steps, last = unwrap(estimator)
    coef = np.atleast_2d(np.asarray(last.coef_, dtype=np.float64))
    if coef.shape[0] > 1 and coef.shape[0] != len(last.classes_):
        raise CapabilityError(f"{model.name} has {coef.shape[0]} scores for {len(last.classes_)} classes.")
    intercept = np.broadcast_to(np.asarray(last.intercept_, dtype=np.float64), (len(coef),))
    prepare = model.forward.prepare

    def matrix(rows: Rows) -> Floats:
        found = transform(steps, prepare(rows))
        found = found.toarray() if hasattr(found, "toarray") else found
        return to_floats(np.asarray(found, dtype=np.float64))

    return LinearScores(coef, intercept, pipeline_columns(steps, coef.shape[1]), _are_affine(steps), matrix)


def estimator_of(model: Model) -> Any:
    """The estimator behind a model's forward pass; ``None`` where there is none, or it is no bound method."""
    if not isinstance(model.forward, EstimatorForward):
        return None
    found = getattr(model.forward.outputs.read, "__self__", None)
    return found if hasattr(found, "predict") else None


def _are_affine(steps: Any) -> bool:
    """Whether every step is known to map numbers by straight lines, or reads codes."""
    for step in steps:
        kind = type(step).__name__
        if isinstance(step, str) or step is None:
            continue
        if kind == "ColumnTransformer":
            if not _are_affine([one for _, one, _ in step.transformers_]):
                return False
        elif kind == "Pipeline":
            if not _are_affine([one for _, one in step.steps]):
                return False
        elif kind == "FunctionTransformer":
            if step.func is not None:
                return False
        elif kind not in AFFINE | NEUTRAL or getattr(step, "clip", False):
            return False
    return True
