# SPDX-License-Identifier: Apache-2.0
"""What the interpretable estimators share: binarisation, classes, probabilities."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints, Masks
from assay.engine.distinct.table import Binariser, DistinctRows, distinct_rows, fit_binariser
from assay.interpretable.certificate import OptimalityCertificate
from assay.nouns.inputs.frames import is_frame, open_frame, with_text_names


class InterpretableClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no stubs
    """A classifier of binary conditions that a person can read, found by a search that bounds its objective.

    Subclasses define ``__init__`` (every option an attribute, as scikit-learn asks; ``cuts``, ``most`` and ``least``
    are those of ``fit_binariser``), ``_search`` and ``_probabilities``. Fitted attributes: ``classes_``,
    ``binariser_``, ``certificate_``, ``text_``, ``n_features_in_`` and, for frames, ``feature_names_in_``.
    """

    cuts: int | Mapping[str, Sequence[float]]
    most: int
    least: float
    classes_: Any
    binariser_: Binariser
    certificate_: OptimalityCertificate
    text_: str
    max_classes = 2

    def fit(self, X: Any, y: Any) -> InterpretableClassifier:
        """Fit to a frame (with levels and missing values) or a matrix; ``InputError`` for one class or too many."""
        labels = np.asarray(y)
        if labels.ndim != 1 or len(labels) != len(X):
            raise InputError(f"{len(X)} rows and labels of shape {labels.shape}; one label a row is needed.")
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if not 2 <= len(self.classes_) <= self.max_classes:
            taken = "2" if self.max_classes == 2 else f"2 to {self.max_classes}"
            raise InputError(f"{type(self).__name__} takes {taken} classes; the labels have {len(self.classes_)}.")
        self.binariser_ = fit_binariser(X, codes, cuts=self.cuts, most=self.most, least=self.least)
        self.n_features_in_ = self.binariser_.width
        self.__dict__.pop("feature_names_in_", None)
        if is_frame(X):
            self.feature_names_in_ = np.array(open_frame(with_text_names(X)).columns, dtype=object)
        table = distinct_rows(self.binariser_(X), codes.reshape(-1).astype(np.int64), len(self.classes_))
        self._search(table)
        return self

    def predict_proba(self, X: Any) -> Floats:
        """Probabilities (row, class)."""
        check_is_fitted(self)
        return self._probabilities(self.binariser_(X))

    def predict(self, X: Any) -> Any:
        """The class of the largest probability (row,); of equal ones the first."""
        return self.classes_[np.argmax(self.predict_proba(X), axis=1)]

    @abstractmethod
    def _search(self, table: DistinctRows) -> None:
        """Find the model on the distinct rows; set ``certificate_``, ``text_`` and what ``_probabilities`` reads."""

    @abstractmethod
    def _probabilities(self, masks: Masks) -> Floats:
        """Probabilities (row, class) of rows of the binary table (row, condition)."""


def class_rates(counts: Floats) -> Floats:
    """Shares of the classes (…, class); equal shares where nothing is counted."""
    total = counts.sum(axis=-1, keepdims=True)
    return np.divide(counts, total, out=np.full(counts.shape, 1 / counts.shape[-1]), where=total > 0)


def row_set(mask: Masks) -> int:
    """A set of distinct rows (row,) as one Python integer, bit i for row i: cheap to intersect and to hash."""
    return int.from_bytes(np.packbits(mask, bitorder="little").tobytes(), "little")


def rows_of(found: int, count: int) -> Ints:
    """The positions of the rows in a set of ``row_set``."""
    raw = np.frombuffer(found.to_bytes((count + 7) // 8 or 1, "little"), dtype=np.uint8)
    return np.flatnonzero(np.unpackbits(raw, bitorder="little", count=count or None)).astype(np.int64)
