"""Data in which a column stands in for a group, models that use it, and the definitions of proxy use word for word."""

from __future__ import annotations

from typing import Any

import numpy as np


def people(rows: int = 600, seed: int = 0, strength: float = 0.5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns (score, married, noise), the label, and the group, with which married is associated."""
    g = np.random.default_rng(seed)
    group = g.integers(2, size=rows)
    married = (g.random(rows) < 0.5 + strength * (group - 0.5)).astype(float)
    score, noise = g.normal(size=rows), g.normal(size=rows)
    label = ((score > -0.5) & (married > 0.5) | (score > 1.2)) ^ (g.random(rows) < 0.03)
    return np.stack([score, married, noise], axis=1), label.astype(int), group


def leaf_below(tree: Any, node: int, row: np.ndarray) -> int:
    """The leaf that a row reaches from a node on, in scikit-learn's own arrays."""
    while tree.children_left[node] >= 0:
        goes_left = np.float32(row[tree.feature[node]]) <= tree.threshold[node]
        node = int(tree.children_left[node] if goes_left else tree.children_right[node])
    return node


def path(tree: Any, row: np.ndarray) -> list[int]:
    """The nodes that a row passes."""
    node, found = 0, [0]
    while tree.children_left[node] >= 0:
        goes_left = np.float32(row[tree.feature[node]]) <= tree.threshold[node]
        node = int(tree.children_left[node] if goes_left else tree.children_right[node])
        found.append(node)
    return found


def influence_by_enumeration(trees: list[Any], chosen: list[tuple[int, int]], x: np.ndarray, decide: Any) -> float:
    """Pr[p(X) ≠ p₂(X, p₁(X′))] over ordered pairs of different rows; ``chosen`` are (tree, node) of p₁.

    ``decide`` maps the leaf of each tree to a decision.
    """
    changed = 0
    for i, row in enumerate(x):
        own = [path(tree, row) for tree in trees]
        before = decide([nodes[-1] for nodes in own])
        for j, other in enumerate(x):
            if i == j:
                continue
            leaves = [nodes[-1] for nodes in own]
            for place, node in chosen:
                if node in own[place]:
                    leaves[place] = leaf_below(trees[place], node, other)
            changed += decide(leaves) != before
    return changed / (len(x) * (len(x) - 1))
