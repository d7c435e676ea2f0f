# SPDX-License-Identifier: Apache-2.0
"""Witnesses of proxy use in a forest: parts whose output is associated with a group, and that change decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assay.basics.seed import Seed
from assay.basics.stats import auc
from assay.basics.types import Floats, Ints, Masks
from assay.engine.proxies.association import ERROR, associations
from assay.engine.proxies.options import ProxyLimits
from assay.engine.proxies.tree_parts import RoutedForest, TreePart, influence_of, tree_parts
from assay.model.forests.forest import Forest

LEAST_INFLUENCE = 0.005
"""Parts of less influence are no witnesses."""

MAX_TESTED = 16
"""Most parts whose influence bounds that of the strongest witness, those of the largest influence."""


@dataclass(frozen=True, eq=False)
class Witness:
    """A part of a forest, its influence on decisions and its association with the groups.

    ``influence`` is Pr[p(X) ≠ p₂(X, p₁(X′))], ``concerned`` (row,) that of each row as X. ``association`` is normalised
    mutual information, ``chance`` what permuted groups give, ``p`` and Cramér's V (``cramer``) as in ``Associations``.
    ``area`` is P(output of a row of the second group > of the first), ties half; NaN for more than two groups.
    ``spread`` (row,) has the influence as its mean and its sampling error: given as X plus taken as X′ less influence.
    """

    part: TreePart
    influence: float
    association: float
    chance: float
    p: float
    cramer: float
    area: float
    concerned: Floats
    spread: Floats
    is_shown: bool

    def described(self, names: Sequence[str]) -> dict[str, Any]:
        """The witness as plain data."""
        return {
            "columns": [names[element] for element in self.part.elements],
            "part": self.part.name,
            "nodes": [int(node) for node in self.part.nodes[:8]],
            "rows that reach it": self.part.share_reached,
            "influence": self.influence,
            "association": self.association,
            "by chance": self.chance,
            "p": self.p,
            "Cramér's V": self.cramer,
            "AUC": self.area,
        }


@dataclass(frozen=True, eq=False)
class TreeSearch:
    """The parts that may be witnesses, the strongest first: shown to be associated with the groups, or not excluded.

    ``left_out`` counts parts that were not tested, ``allowed`` those justified, ``tested`` all tested."""

    found: tuple[Witness, ...]
    left_out: int
    allowed: int
    tested: int = 0

    @property
    def shown(self) -> list[Witness]:
        """The parts that are shown to be associated with the groups, the most influential first."""
        return [one for one in self.found if one.is_shown]

    @property
    def possible(self) -> list[Witness]:
        """The parts that bound the influence of the strongest witness, at most ``MAX_TESTED``."""
        return list(self.found[:MAX_TESTED])

    def maximal(self, forest: Forest) -> list[Witness]:
        """The shown witnesses without those that overlap a more influential one."""
        kept: list[Witness] = []
        covered: list[set[int]] = []
        for one in self.shown:
            below = nodes_below(forest, one.part.nodes) if one.part.turns is None else set(one.part.nodes)
            if all(below.isdisjoint(other) for other in covered):
                kept.append(one)
                covered.append(below)
        return kept


def nodes_below(forest: Forest, nodes: Sequence[int]) -> set[int]:
    """The nodes of the sub-trees at ``nodes``."""
    found, waiting = set(), list(nodes)
    while waiting:
        node = int(waiting.pop())
        found.add(node)
        if forest.column[node] >= 0:
            waiting += [int(forest.left[node]), int(forest.right[node])]
    return found


def search_trees(
    routed: RoutedForest, groups: Ints, names: Sequence[str], limits: ProxyLimits, seed: Seed
) -> TreeSearch:
    """The parts of a forest with their influence and association with ``groups`` (row,), the most influential first.

    A part is shown to be a witness where its association exceeds what permuted groups give by the limit, and exceeds
    it in the test of all parts together at 1 %. It is possible where the upper limit of the association does.
    Influence is computed for these alone.
    """
    parts, left_out = tree_parts(routed)
    allowed, epsilon = set(limits.allowed), limits.association
    kept = [one for one in parts if not {names[element] for element in one.elements} <= allowed]
    if not kept:
        return TreeSearch((), left_out, len(parts))
    measured = associations([one.code for one in kept], groups, seed)
    found = []
    for place, part in enumerate(kept):
        shown = bool(measured.p[place] <= ERROR and measured.excess[place] >= epsilon)
        if not shown and measured.high[place] < epsilon:
            continue
        given, taken = influence_of(routed, part)
        if given.mean() < LEAST_INFLUENCE:
            continue
        found.append(
            Witness(
                part=part,
                influence=float(given.mean()),
                association=float(measured.value[place]),
                chance=float(measured.chance[place]),
                p=float(measured.p[place]),
                cramer=float(measured.cramer[place]),
                area=_area(part.score, groups),
                concerned=given,
                spread=given + taken - given.mean(),
                is_shown=shown,
            )
        )
    found.sort(key=lambda one: (-one.influence, one.part.nodes))
    every = len(found)
    if limits.justifies is not None:
        found = [one for one in found if not limits.justifies(one.described(names))]
    return TreeSearch(tuple(found), left_out, len(parts) - len(kept) + every - len(found), len(kept))


def _area(score: Floats, groups: Ints) -> float:
    second: Masks = groups == 1
    if groups.max() != 1:
        return float("nan")
    return auc(score[~second], score[second])
