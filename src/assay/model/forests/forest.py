# SPDX-License-Identifier: Apache-2.0
"""Decision trees of any library in one format, which tree methods read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from assay.basics.types import Floats, Ints, Masks
from assay.nouns.inputs.rows import Rows
from assay.nouns.inputs.target import Gives


@dataclass(frozen=True, eq=False)
class Forest:
    """A sum of trees: base + Σ values of the leaves a row reaches.

    The nodes of all trees are stored one after another, each tree's root first; ``roots`` (tree,) holds the index of
    each root. A split compares ``column`` (node,) of ``matrix(rows)``: numbers go left where x ≤ ``threshold``, NaN
    where ``missing_left``. Where ``levels`` (node,) is not −1 the column holds codes of categories: code c goes left
    where ``sets[levels, c]``; codes outside the table and NaN go left where ``missing_left``. Leaves have −1 as
    ``column``, ``left`` and ``right``.
    ``cover`` (node,) is the weight of the training rows that reached the node. ``value`` (node, out) holds the values
    of the leaves, already multiplied by learning rates and weights.

    ``matrix`` converts rows to the trees' input, (row, column), rounded to float32 where the library compares in
    float32; thresholds are exact for that comparison. ``origin`` (column,) is the element of a row that a column comes
    from: several columns of one element (one-hot codes) are one player. ``gives`` is the kind of output of the sum; it
    is ``"margin"`` where the model applies a link to the sum and gives probabilities or values itself.
    """

    roots: Ints
    left: Ints
    right: Ints
    column: Ints
    threshold: Floats
    missing_left: Masks
    cover: Floats
    value: Floats
    base: Floats
    gives: Gives
    matrix: Callable[[Rows], Floats] = field(repr=False)
    origin: Ints
    levels: Ints
    sets: Masks

    def goes_left(self, matrix: Floats) -> Masks:
        """Whether each row would go left at each node: (node, row); False at leaves."""
        out = np.zeros((len(self.column), len(matrix)), dtype=bool)
        columns = np.ascontiguousarray(matrix.T)
        missing = np.isnan(columns)
        plain = np.flatnonzero((self.column >= 0) & (self.levels < 0))
        for column in np.unique(self.column[plain]):
            nodes = plain[self.column[plain] == column]
            out[nodes] = columns[column] <= self.threshold[nodes, None]
            if missing[column].any():
                out[np.ix_(nodes, np.flatnonzero(missing[column]))] = self.missing_left[nodes, None]
        for node in np.flatnonzero(self.levels >= 0):
            codes = columns[self.column[node]]
            known = (codes >= 0) & (codes < self.sets.shape[1])
            inside = self.sets[self.levels[node], np.where(known, codes, 0).astype(np.int64)]
            out[node] = np.where(known, inside, self.missing_left[node])
        return out

    def outputs(self, matrix: Floats) -> Floats:
        """The sum of the trees (row, out), in float64."""
        left = self.goes_left(matrix)
        at = np.repeat(self.roots[:, None], len(matrix), axis=1)
        rows = np.arange(len(matrix))
        for _ in range(self.depth):
            below = np.where(left[at, rows], self.left[at], self.right[at])
            at = np.where(self.column[at] >= 0, below, at)
        total = np.zeros((len(matrix), self.value.shape[1]))
        for leaves in at:
            total += self.value[leaves]
        return total + self.base

    def split(self, max_nodes: int) -> Iterator[Forest]:
        """The trees in groups of at most ``max_nodes`` nodes (at least one tree); each group repeats ``base``."""
        ends = np.append(self.roots[1:], len(self.column))
        first = 0
        while first < len(self.roots):
            past = max(first + 1, int(np.searchsorted(ends, self.roots[first] + max_nodes, side="right")))
            start, stop = self.roots[first], ends[past - 1]
            here = {name: getattr(self, name)[start:stop] for name in NODES}
            for side in ("left", "right"):
                here[side] = np.where(here["column"] >= 0, here[side] - start, -1)
            yield replace(self, roots=self.roots[first:past] - start, **here)
            first = past

    @cached_property
    def depth(self) -> int:
        """Number of splits on the longest path."""
        depth, at = 0, self.roots
        while len(at := at[self.column[at] >= 0]):
            at = np.concatenate([self.left[at], self.right[at]])
            depth += 1
        return depth

    def __repr__(self) -> str:
        leaves = int((self.column < 0).sum())
        return f"Forest({len(self.roots)} trees, {leaves:,} leaves, depth {self.depth}, gives {self.gives})"


NODES = ("left", "right", "column", "threshold", "missing_left", "cover", "value", "levels")
"""Fields with one entry per node."""

ForestReader = Callable[[], Forest]
"""A function that parses the trees of a model on its first call."""


def no_forest(name: str, why: str = "") -> Any:
    """The ``CapabilityError`` for a model whose trees cannot be read."""
    from assay.basics.errors import CapabilityError

    return CapabilityError(
        f"{name} has no trees that assay can read{f' ({why})' if why else ''}. Tree methods read scikit-learn's trees, "
        f"forests and gradient boosting, XGBoost, LightGBM and CatBoost; explain.shapley takes any model."
    )
