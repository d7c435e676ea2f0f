# SPDX-License-Identifier: Apache-2.0
"""Similarity to prototypes, their choice among the cells of training rows, and the convex head on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from assay.basics.types import Floats, Ints, Masks

EPSILON = 1e-4
"""ε of the similarity: s ≤ log(1 + 1/ε) = 9.21."""

BLOCK = 2**24
"""Differences of cells and prototypes that are held at a time."""


def similarity(distance: Floats) -> Floats:
    """s = log((d + 1) / (d + ε)) of squared distances d."""
    return np.asarray(np.log((distance + 1.0) / (distance + EPSILON)))


def squared_distances(cells: Floats, prototypes: Floats) -> Floats:
    """‖cell − prototype‖² (cell, prototype) of cells (cell, unit), from the differences: 0 for equal bytes."""
    size = max(1, BLOCK // max(1, prototypes.size))
    parts = [
        ((cells[start : start + size, None] - prototypes) ** 2).sum(axis=2) for start in range(0, len(cells), size)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, len(prototypes)))


def best_matches(cells: Floats, prototypes: Floats) -> tuple[Floats, Ints]:
    """Similarity (row, prototype) of the nearest of a row's cells (row, position, unit), and its position."""
    rows, positions, width = cells.shape
    d = squared_distances(cells.reshape(-1, width), prototypes).reshape(rows, positions, len(prototypes))
    return similarity(d.min(axis=1)), np.asarray(d.argmin(axis=1))


@dataclass(frozen=True, eq=False)
class Prototypes:
    """Prototypes (prototype, unit), each the cell of a training row: its row, its position, its class."""

    cells: Floats
    row: Ints
    position: Ints
    label: Ints


def choose_prototypes(cells: Floats, labels: Ints, classes: int, per_class: int) -> Prototypes:
    """For each class, the cells that its rows have near and the rows of other classes have not.

    Candidates are the cells nearest to the centres of 4 · ``per_class`` clusters (k-means) of the class's cells; taken
    are those with the largest mean similarity to the rows of the class minus that to the others. Nothing is drawn.
    """
    positions, width = cells.shape[1:]
    taken = []
    for label in range(classes):
        own = np.flatnonzero(labels == label)
        flat = cells[own].reshape(-1, width)
        if not len(flat):
            continue
        nearest = np.unique(squared_distances(_centres(flat, 4 * per_class), flat).argmin(axis=1))
        s, _ = best_matches(cells, flat[nearest])
        others = labels != label
        score = s[own].mean(axis=0) - (s[others].mean(axis=0) if others.any() else 0.0)
        best = nearest[np.argsort(-score, kind="stable")[:per_class]]
        taken += [(own[one // positions], one % positions, label) for one in best]
    row, position, label_ = np.array(taken, dtype=np.int64).reshape(-1, 3).T
    return Prototypes(cells[row, position], row, position, label_)


def _centres(cells: Floats, count: int, steps: int = 8) -> Floats:
    """Centres of clusters by k-means, from cells each far from the earlier ones."""
    chosen = [int(((cells - cells.mean(axis=0)) ** 2).sum(axis=1).argmin())]
    far = ((cells - cells[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < min(count, len(cells)) and far.max() > 0:
        chosen.append(int(far.argmax()))
        far = np.minimum(far, ((cells - cells[chosen[-1]]) ** 2).sum(axis=1))
    centres = cells[chosen]
    for _ in range(steps):
        d = (centres**2).sum(axis=1) - 2 * cells @ centres.T
        member = d.argmin(axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, member, cells)
        counts = np.bincount(member, minlength=len(centres))[:, None]
        centres = np.where(counts > 0, sums / np.maximum(counts, 1), centres)
    return np.asarray(centres)


def fit_head(s: Floats, target: Floats, own: Masks, penalty: float, steps: int = 300) -> Floats:
    """Weights W (class, prototype) of logits W · s: the cross-entropy to ``target`` (row, class) + an L1 penalty.

    The penalty counts the connections of a prototype to other classes than its own (``own`` (class, prototype)).
    Convex: L-BFGS-B on positive and negative parts, from 1 for the own class and −0.5 for others. Probabilities do not
    change when a number is added to all connections of a prototype; it is chosen so that the median connection to other
    classes is 0, where the penalty is least. So points are evidence for a class against most others.
    """
    classes, count = own.shape
    size = classes * count
    cost = np.where(own, 0.0, penalty).ravel()

    def loss(parts: Floats) -> tuple[float, Floats]:
        weights = (parts[:size] - parts[size:]).reshape(classes, count)
        logits = s @ weights.T
        logits -= logits.max(axis=1, keepdims=True)
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        slope = ((np.exp(logs) - target).T @ s / len(s)).ravel()
        value = -(target * logs).sum() / len(s) + cost @ (parts[:size] + parts[size:])
        return float(value), np.concatenate([slope + cost, cost - slope])

    start = np.where(own, 1.0, -0.5).ravel()
    parts = np.concatenate([np.maximum(start, 0), np.maximum(-start, 0)])
    found = minimize(
        loss, parts, jac=True, method="L-BFGS-B", bounds=[(0, None)] * (2 * size), options={"maxiter": steps}
    )
    weights = (found.x[:size] - found.x[size:]).reshape(classes, count)
    return np.asarray(weights - np.nanmedian(np.where(own, np.nan, weights), axis=0))
