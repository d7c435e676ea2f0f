"""Kinds of models with what their own library predicts: what the tables of the sweep share."""

from __future__ import annotations

import copy
import functools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

generator = np.random.default_rng(0)
X = generator.normal(size=(60, 4))
SCORE = X[:, 0] * (X[:, 1] > 0) + X[:, 2] + 0.5 * generator.normal(size=60)
TWO, THREE = (SCORE > 0.2).astype(int), np.digitize(SCORE, [-0.4, 0.7])
TEXT, BOOLS, FLOATS, SIGNS = np.array(["no", "yes"])[TWO], TWO == 1, TWO + 1.0, 2 * TWO - 1
WORDS = np.array(["low", "mid", "top"])[THREE]
LABELS = np.stack([TWO, X[:, 3] > 0, X[:, 1] + X[:, 2] > 0], axis=1).astype(int)
POSITIVE, COUNTS = np.exp(SCORE / 2), generator.poisson(np.exp(SCORE / 2)).astype(float)
SHARES = (SCORE > 0) * 0.5 + 0.25
MANY = np.stack([SCORE, X[:, 0] - X[:, 3]], axis=1)
GAPS = np.where(generator.random(X.shape) < 0.15, np.nan, X)
FRAME = pd.DataFrame(
    {
        "income": X[:, 0],
        "age": generator.integers(20, 70, 60),
        "purpose": pd.Categorical(generator.choice(["car", "tv", "boat"], 60)),
        "old": X[:, 3] > 0,
    }
)

Read = Callable[[Any], Any]


@dataclass(frozen=True)
class Own:
    """What the library itself predicts (row, class or output); ``names`` are the classes as the user writes them."""

    names: tuple[Any, ...] = ()
    probability: Read | None = None
    margin: Read | None = None
    decision: Read | None = None
    value: Read | None = None


@dataclass(frozen=True)
class Kind:
    """A kind of model: how it is fitted, the rows, what it predicts, and which targets have no right answer.

    ``refused`` holds a part of the refusal by target. ``also`` are further outputs that ``wrap`` offers; there a target
    may be refused. ``trees`` says that the trees can be read.
    """

    fit: Callable[[], Any]
    x: Any = field(default_factory=lambda: X)
    own: Callable[[Any], Own] = field(default=lambda estimator: own_of_estimator(estimator))
    options: Mapping[str, Any] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    trees: bool = False
    tolerance: float = 1e-6

    @functools.cached_property
    def model(self) -> Any:
        """The fitted model; what libraries say of fits on few rows is not the point here."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.fit()


def two_columns(scores: Any) -> np.ndarray:
    """Scores (row, class), also where a library gives one score for two classes."""
    scores = np.asarray(scores, dtype=np.float64)
    return np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores


def complements(positive: Any) -> np.ndarray:
    """Probabilities, or decisions, of two classes from those of the last (row,)."""
    positive = np.asarray(positive, dtype=np.float64)
    return np.stack([1 - positive, positive], axis=1)


def as_columns(values: Any) -> np.ndarray:
    """Values (row, output)."""
    values = np.asarray(values, dtype=np.float64)
    return values.reshape(len(values), -1)


def chosen(predicted: Any, names: Any) -> np.ndarray:
    """Which class was predicted (row, class)."""
    return np.asarray(predicted).reshape(-1, 1) == np.array(names)[None, :]


def own_of_estimator(estimator: Any) -> Own:
    """The predictions of an estimator with scikit-learn's interface."""
    predict_proba, decision = (getattr(estimator, name, None) for name in ("predict_proba", "decision_function"))
    if not hasattr(estimator, "classes_"):
        return Own(value=lambda x: as_columns(estimator.predict(x)))
    names = tuple(estimator.classes_)
    margin = None if decision is None else lambda x: two_columns(decision(x))
    return Own(names, predict_proba, margin, lambda x: chosen(estimator.predict(x), names))


def own_of_decisions(estimator: Any) -> Own:
    """The predictions of a classifier that gives nothing but classes."""
    own = own_of_estimator(estimator)
    return Own(own.names, None, own.decision, own.decision)


def own_of_labels(estimator: Any) -> Own:
    """The predictions of a classifier of several labels."""

    def probability(x: Any) -> np.ndarray:
        found = estimator.predict_proba(x)
        return np.stack([one[:, 1] for one in found], axis=1) if isinstance(found, list) else np.asarray(found)

    names, decision = tuple(range(LABELS.shape[1])), lambda x: np.asarray(estimator.predict(x), dtype=float)
    if hasattr(estimator, "predict_proba"):
        return Own(names, probability, None, decision)
    return Own(names, None, getattr(estimator, "decision_function", estimator.predict), decision)


def fitted(estimator: Any, y: Any, x: Any = X, **options: Any) -> Callable[[], Any]:
    """A function that fits a copy of an estimator."""
    return lambda: copy.deepcopy(estimator).fit(x, y, **options)


NO_PROBABILITIES = {"probability": "no probabilities"}
NO_DECISIONS = {"decision": "do not show its decisions"}
SCORES: dict[str, Any] = {"refused": NO_PROBABILITIES}
"""A classifier with scores that become no probabilities."""
UNDECIDED: dict[str, Any] = {"refused": NO_DECISIONS}
"""A classifier whose decisions do not follow from its probabilities."""
DECISIONS: dict[str, Any] = {"refused": NO_PROBABILITIES, "own": own_of_decisions}
"""A classifier that gives nothing but classes."""
MARGIN: dict[str, Any] = {"also": ("margin",)}
TREES: dict[str, Any] = {"trees": True}
BOOSTED: dict[str, Any] = {"also": ("probabilities",), "trees": True}
