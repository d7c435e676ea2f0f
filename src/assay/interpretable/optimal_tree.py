# SPDX-License-Identifier: Apache-2.0
"""Decision trees that are proved to be the best of their class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from assay.basics.types import Floats, Masks
from assay.engine.distinct.table import DistinctRows
from assay.engine.distinct.trees import best_tree, leaf_numbers, tree_text
from assay.interpretable.certificate import OptimalityCertificate
from assay.interpretable.estimator import InterpretableClassifier, class_rates


class OptimalTree(InterpretableClassifier):
    """A tree of at most ``depth`` conditions a path, with the least misclassified share + ``penalty`` · leaves.

    Conditions are those of ``fit_binariser``: thresholds at quantiles of the training rows, levels, gaps. A leaf
    predicts the commonest class of its training rows; probabilities are the shares of the classes among them.
    ``certificate_`` says whether the search proved the tree the best of its class on these conditions, and the gap if
    it stopped after ``nodes`` sets of rows. ``tree_`` is a class number or (condition, tree if no, tree if yes).
    Several trees may be best; one is returned, and ``diagnose.rashomon`` counts those that are nearly as good. A leaf
    has to save ``penalty`` of all rows: with .02 labels without relation to the rows give a single leaf.

    GOSDT (Lin et al., 2020) solves the same problem; here by distinct rows and counts of pairs of conditions. About 40
    conditions at depth 4 take seconds. Not for smooth scores, which need many leaves: use ``RiskScore``.
    """

    max_classes = 20

    def __init__(
        self,
        penalty: float = 0.01,
        *,
        depth: int = 3,
        least: float = 0.01,
        cuts: int | Mapping[str, Sequence[float]] = 4,
        most: int = 40,
        nodes: int = 20_000,
    ) -> None:
        self.penalty = penalty
        self.depth = depth
        self.least = least
        self.cuts = cuts
        self.most = most
        self.nodes = nodes

    def _search(self, table: DistinctRows) -> None:
        found = best_tree(table, self.penalty, self.depth, self.nodes)
        self.tree_ = found.tree
        self.n_leaves_ = found.leaves
        numbers = leaf_numbers(found.tree, table.masks)
        self.leaf_counts_ = np.stack([table.counts[numbers == leaf].sum(axis=0) for leaf in range(found.leaves)])
        self.certificate_ = OptimalityCertificate(
            found.objective,
            found.lower_bound,
            "misclassified share + penalty · leaves",
            self.penalty,
            f"decision trees of depth at most {self.depth}",
            self.binariser_.names,
            found.nodes,
            found.status,
        )
        self.text_ = self.as_text()

    def as_text(self) -> str:
        """The tree in indented lines."""
        conditions = self.binariser_.conditions
        return tree_text(
            self.tree_, [one.text for one in conditions], [one.negated for one in conditions], self._leaf_text
        )

    def _probabilities(self, masks: Masks) -> Floats:
        return np.asarray(class_rates(self.leaf_counts_)[leaf_numbers(self.tree_, masks)])

    def _leaf_text(self, leaf: int) -> str:
        counts = self.leaf_counts_[leaf]
        return f"{self.classes_[counts.argmax()]} ({counts.max() / counts.sum():.0%} of {counts.sum():.0f} rows)"
