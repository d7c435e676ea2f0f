"""Every tree of a small class, one after another: the oracle of the tree searches."""

from collections.abc import Iterator

import numpy as np

from assay.engine.distinct.table import DistinctRows, distinct_rows
from assay.engine.distinct.trees import Tree, count_leaves, decide


def all_trees(masks: np.ndarray, labels: np.ndarray, classes: int, depth: int, splits_agree: bool) -> Iterator[Tree]:
    """Trees that split only where both sides get a row, with leaves of the commonest class."""
    yield int(np.bincount(labels, minlength=classes).argmax())
    for condition in range(masks.shape[1] if depth else 0):
        yes = masks[:, condition]
        if yes.all() or not yes.any():
            continue
        others = list(all_trees(masks[yes], labels[yes], classes, depth - 1, splits_agree))
        for one in all_trees(masks[~yes], labels[~yes], classes, depth - 1, splits_agree):
            for other in others:
                if splits_agree or not (isinstance(one, int) and one == other):
                    yield condition, one, other


def objective(tree: Tree, masks: np.ndarray, labels: np.ndarray, penalty: float) -> float:
    """Share of errors + penalty · leaves, counted row by row."""
    return float((decide(tree, masks) != labels).mean()) + penalty * count_leaves(tree)


def problem(seed: int, most: int = 6, rows: int = 60) -> tuple[np.ndarray, np.ndarray, int, DistinctRows]:
    """A random binary table with labels that depend on some of it."""
    generator = np.random.default_rng(seed)
    columns, classes = int(generator.integers(1, most + 1)), int(generator.integers(2, 4))
    masks = generator.random((int(generator.integers(4, rows)), columns)) < generator.uniform(0.2, 0.8, columns)
    score = masks @ generator.integers(0, 3, columns) + generator.integers(0, 3, len(masks))
    labels = (score % classes).astype(np.int64)
    return masks, labels, classes, distinct_rows(masks, labels, classes)
