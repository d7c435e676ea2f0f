# SPDX-License-Identifier: Apache-2.0
"""A logistic regression of a table's own columns, as text."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from assay.basics.errors import InputError
from assay.basics.types import Floats
from assay.engine.distinct.table import read_columns
from assay.nouns.inputs.frames import is_frame, open_frame, with_text_names


class LogisticModel(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no stubs
    """Logistic regression on columns of numbers, standardised, and on the levels of the others.

    Missing numbers get the mean and a mark of their own; levels of less than the share ``least`` of the training rows
    share the reference. ``strength`` is scikit-learn's 1 / C of the squared penalty on standardised columns.
    ``text_`` has the log odds of the last class for one unit of each column, the largest effects first.
    """

    def __init__(self, strength: float = 1.0, *, least: float = 0.01) -> None:
        self.strength = strength
        self.least = least

    def fit(self, X: Any, y: Any) -> LogisticModel:
        """Fit to a frame or a matrix; ``InputError`` for labels of one class."""
        self.classes_ = np.unique(np.asarray(y))
        if len(self.classes_) < 2 or not self.strength > 0:
            raise InputError(f"{len(self.classes_)} classes, strength={self.strength}; needed: two, and above 0.")
        self.n_features_in_ = np.shape(X)[1]
        if is_frame(X):
            self.feature_names_in_ = np.array(open_frame(with_text_names(X)).columns, dtype=object)
        self.numbers_: dict[str, tuple[float, float]] = {}
        self.levels_: dict[str, tuple[Any, ...]] = {}
        for column in read_columns(X):
            if column.numeric:
                known = column.numbers()[~column.missing]
                spread = float(known.std()) if len(known) else 0.0
                self.numbers_[column.name] = (float(known.mean()) if len(known) else 0.0, spread or 1.0)
            else:
                known = [v for v, gone in zip(column.values, column.missing) if not gone]
                kept = [one for one in dict.fromkeys(known) if known.count(one) >= self.least * len(column.missing)]
                self.levels_[column.name] = tuple(sorted(kept, key=str)[1:] or kept)
        design, self.names_ = self._design(X)
        self.regression_ = LogisticRegression(C=1 / self.strength, max_iter=500).fit(design, y)
        self.text_ = self.as_text()
        return self

    def predict_proba(self, X: Any) -> Floats:
        """Probabilities (row, class)."""
        check_is_fitted(self)
        return np.asarray(self.regression_.predict_proba(self._design(X)[0]))

    def predict(self, X: Any) -> Any:
        """The class of the largest probability (row,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _design(self, x: Any) -> tuple[Floats, list[str]]:
        """The design matrix (row, term) and the name of each term."""
        columns, terms, names = {one.name: one for one in read_columns(x)}, [], []
        absent = [name for name in (*self.numbers_, *self.levels_) if name not in columns]
        if absent:
            raise InputError(f"the model was fitted to columns that the rows lack: {absent[:8]}.")
        for name, (mean, spread) in self.numbers_.items():
            column = columns[name]
            terms += [np.where(column.missing, 0.0, (column.numbers() - mean) / spread), column.missing.astype(float)]
            names += [name, f"{name} is missing"]
        for name, levels in self.levels_.items():
            terms += [columns[name].equal_to(level).astype(float) for level in levels]
            names += [f"{name} = {level}" for level in levels]
        return np.stack(terms, axis=1), names

    def as_text(self) -> str:
        """The coefficients in lines."""
        weights = self.regression_.coef_
        spreads = np.array([self.numbers_.get(name, (0.0, 1.0))[1] for name in self.names_])
        lines = [f"log odds of {self.classes_[-1]} against the rest:"]
        for at in np.argsort(-np.abs(weights[-1]), kind="stable"):
            if weights[:, at].any():
                unit = " for each unit" if self.names_[at] in self.numbers_ else ""
                lines.append(f"{weights[-1, at] / spreads[at]:+.3g} {self.names_[at]}{unit}")
        return "\n".join(lines)
