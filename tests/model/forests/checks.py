"""Forests read from estimators, and what holds for all of them."""

from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
from numpy.testing import assert_allclose, assert_array_equal

import assay
from assay.model.forests.forest import Forest
from assay.model.forests.trees import build_forest

generator = np.random.default_rng(0)
ROWS = 300
X = generator.normal(size=(ROWS, 5))
X[:, 3] = np.round(X[:, 3], 1)
GAPS = np.where(generator.random(X.shape) < 0.15, np.nan, X)
VALUE = X[:, 0] * (X[:, 1] > 0) + np.sin(3 * X[:, 2]) + X[:, 3]
TWO, THREE = (VALUE > 0.3).astype(int), np.digitize(VALUE, [-0.5, 0.7])
WEIGHT = generator.uniform(0.1, 3.0, ROWS)
FRAME = pd.DataFrame(
    {
        "age": generator.integers(20, 70, ROWS),
        "income": X[:, 0],
        "purpose": generator.choice(["car", "tv", "boat", "zoo", "sea"], ROWS),
        "band": generator.integers(3, 9, ROWS),
        "old": generator.random(ROWS) < 0.4,
    }
)
SCORE = FRAME["income"] * FRAME["band"] + (FRAME["purpose"] == "car") - FRAME["old"]
CLASSES = np.digitize(SCORE, [-1.0, 2.0])


def read(parser: str, estimator: Any) -> tuple[Forest, Any]:
    """The forest of an estimator, and how it reads what it is given, gaps too."""
    parsed = import_module(f"assay.model.forests.{parser}").parse_trees(estimator)
    forest = build_forest(parsed, lambda rows: rows, np.arange(1 + max(parsed.origin, default=-1)))
    adds_up(forest)
    return forest, parsed.read


def agrees(parser: str, estimator: Any, given: Any, expected: Any, tolerance: float = 1e-10) -> Forest:
    """The sum of the trees is what the library predicts."""
    forest, matrix = read(parser, estimator)
    expected = np.asarray(expected, dtype=np.float64).reshape(len(given), -1)
    assert_allclose(forest.outputs(matrix(given)), expected, rtol=tolerance, atol=tolerance)
    return forest


def adds_up(forest: Forest) -> None:
    """Children share their parent's cover, are later nodes of the same tree, and leaves split nothing."""
    inner = np.flatnonzero(forest.column >= 0)
    children = forest.cover[forest.left[inner]] + forest.cover[forest.right[inner]]
    assert_allclose(children, forest.cover[inner], rtol=1e-5, atol=1e-6)
    leaves = forest.column < 0
    assert_array_equal(forest.left[leaves], -1)
    assert_array_equal(forest.right[leaves], -1)
    assert_array_equal(forest.value[inner], 0.0)
    assert_array_equal(forest.levels[leaves], -1)
    tree = np.searchsorted(forest.roots, np.arange(len(forest.column)), side="right")
    assert_array_equal(tree[forest.left[inner]], tree[inner])
    assert_array_equal(tree[forest.right[inner]], tree[inner])


def wired(estimator: Any, given: Any, tolerance: float = 1e-10) -> Forest:
    """The forest that the wrapped model shows gives what the model gives."""
    model = assay.wrap(estimator)
    case = assay.case(model, given)
    assert model.forest is not None
    forest = model.forest()
    assert forest is model.forest()
    assert forest.gives == model.gives
    matrix = forest.matrix(case.rows)
    assert_allclose(forest.outputs(matrix), case.prediction, rtol=tolerance, atol=tolerance)
    assert forest.origin.shape == matrix.shape[1:]
    return forest
