# SPDX-License-Identifier: Apache-2.0
"""How typical a row is: the mean depth at which random splits isolate it, as a sum over trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.engine.boxes.allowed_changes import Options, Splits, option_boxes
from assay.engine.boxes.leaf_boxes import LeafBoxes

TREES = 100
"""Trees of the isolation forest."""


@dataclass(frozen=True, eq=False)
class Plausibility:
    """An isolation forest of reference rows. A row is plausible where its depths (summed over trees) reach ``limit``.

    ``level`` (node,) is the code that a split asks for, −1 where it compares a number with ``threshold``. ``depth``
    (node,) is the depth of a leaf and the mean depth of a tree of the rows in it (Liu, Ting and Zhou 2008).
    """

    splits: Splits
    level: Ints
    threshold: Floats
    depth: Floats
    fill: Floats
    limit: float = 0.0

    def depths(self, x: Floats) -> Floats:
        """The sum over trees of the depths of each row (row,)."""
        at = np.repeat(self.splits.roots[:, None], len(x), axis=1)
        while (self.splits.element[at] >= 0).any():
            element = self.splits.element[at]
            values = x[np.arange(len(x)), np.maximum(element, 0)]
            left = self._left(values, at)
            below = np.where(left, self.splits.left[at], self.splits.right[at])
            at = np.where(element >= 0, below, at)
        return np.asarray(self.depth[at].sum(axis=0))

    def boxes(self, x: Floats, options: Sequence[Options]) -> LeafBoxes:
        """The leaves that a row (column,) reaches by its options."""
        split = self.splits.element >= 0
        values = x[np.where(split, self.splits.element, 0)]
        stays = self._left(values, np.arange(len(split)))

        def goes_left(one: Options, place: int, nodes: Ints) -> Masks:
            options = one.values if place == one.column.place else one.follow[place]
            return self._left(options, nodes[:, None])

        return option_boxes(self.splits, options, goes_left, stays)

    def _left(self, values: Floats, nodes: Ints) -> Masks:
        """Whether values go to the left: numbers and the 0 or 1 of a level are compared in float32; gaps are filled."""
        level = self.level[nodes]
        values = np.where(np.isnan(values), self.fill[np.maximum(self.splits.element[nodes], 0)], values)
        compared = np.where(level >= 0, (values == level).astype(np.float64), values)
        with np.errstate(over="ignore"):
            return np.asarray(compared.astype(np.float32) <= self.threshold[nodes])


def fit_plausibility(reference: Floats, coded: Masks, share: float, seed: Seed) -> Plausibility:
    """The isolation forest of the rows, and the depth below which the ``share`` least typical of them lie.

    Levels are 0 and 1 for each level; missing numbers are the column's median, or most frequent level.
    """
    from sklearn.ensemble import IsolationForest

    if not 0 < share < 1:
        raise InputError(f"plausible={share}; a share of the background's rows between 0 and 1 is needed.")
    if len(reference) < 10:
        raise InputError(f"plausible={share} needs at least 10 rows as background; got {len(reference)}.")
    fill = np.zeros(reference.shape[1])
    columns: list[Floats] = []
    origin: list[tuple[int, int]] = []
    for place, is_coded in enumerate(coded.tolist()):
        own = reference[:, place]
        known, counts = np.unique(own[~np.isnan(own)], return_counts=True)
        if not len(known):
            continue
        fill[place] = known[int(counts.argmax())] if is_coded else np.median(own[~np.isnan(own)])
        filled = np.where(np.isnan(own), fill[place], own)
        for code in known.astype(np.int64).tolist() if is_coded else [-1]:
            columns.append(filled if code < 0 else (filled == code).astype(np.float64))
            origin.append((place, code))
    model = IsolationForest(n_estimators=TREES, random_state=seed.child("isolation forest").entropy % 2**32, n_jobs=1)
    model.fit(np.stack(columns, axis=1))
    parts: list[tuple[np.ndarray, ...]] = []
    start, roots = 0, []
    for tree in (one.tree_ for one in model.estimators_):
        leaf = tree.children_left < 0
        places = np.array(origin)[np.where(leaf, 0, tree.feature)]
        left, right = (np.where(leaf, -1, side + start) for side in (tree.children_left, tree.children_right))
        depth = tree.compute_node_depths() - 1 + _mean_depth(tree.n_node_samples)
        parts.append(
            (left, right, np.where(leaf, -1, places[:, 0]), np.where(leaf, -1, places[:, 1]), tree.threshold, depth)
        )
        roots.append(start)
        start += len(leaf)
    joined = [np.concatenate(part) for part in zip(*parts)]
    found = Plausibility(Splits(np.array(roots), *joined[:3]), joined[3], joined[4], joined[5], fill)
    limit = float(np.quantile(found.depths(reference), share))
    return Plausibility(found.splits, found.level, found.threshold, found.depth, fill, limit)


def _mean_depth(count: Ints) -> Floats:
    """The mean depth of an unsuccessful search in a binary tree of so many rows (row count,)."""
    size = np.asarray(count, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = 2 * (np.log(size - 1) + np.euler_gamma) - 2 * (size - 1) / size
    return np.where(size <= 1, 0.0, np.where(size == 2, 1.0, found))
