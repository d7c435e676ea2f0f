# SPDX-License-Identifier: Apache-2.0
"""Owen values: the coalitions that a coalition structure (nested groups) needs, enumerated or in sampled orders."""

from __future__ import annotations

from math import factorial

import numpy as np

from assay.basics.seed import Seed
from assay.basics.types import Floats, Masks
from assay.engine.coalitions.permutations import draw_antithetic_orders
from assay.nouns.inputs.hierarchy import FeatureTree, tree_leaves

MAX_MEMBERS = 20
"""The largest group whose subsets are enumerated."""


def count_coalitions(nest: FeatureTree, contexts: int = 1, top: bool = True) -> int:
    """Number of distinct coalitions that determine the values.

    At each level these are all subsets of a group's members, each united with any union of the group's siblings.
    """
    if isinstance(nest, int):
        return 0
    members = len(nest)
    own = contexts * (2**members if top else 2**members - 2)
    return own + sum(count_coalitions(inner, contexts * 2 ** (members - 1), top=False) for inner in nest)


def is_enumerable(nest: FeatureTree, budget: int) -> bool:
    """Whether all these coalitions fit in ``budget``."""
    return _largest_group(nest) <= MAX_MEMBERS and count_coalitions(nest) <= budget


def _largest_group(nest: FeatureTree) -> int:
    return 0 if isinstance(nest, int) else max(len(nest), *map(_largest_group, nest))


def owen_coalitions(nest: FeatureTree, parts: int) -> tuple[Masks, Floats]:
    """The coalitions (mask, part), the empty one first, and the weight of each in a part's Owen value (mask, part)."""
    index: dict[bytes, int] = {}
    masks: list[Masks] = []
    weights: list[Floats] = []

    def at(mask: Masks) -> int:
        key = np.packbits(mask).tobytes()
        if key not in index:
            index[key] = len(masks)
            masks.append(mask)
            weights.append(np.zeros(parts))
        return index[key]

    def walk(nest: FeatureTree, contexts: list[tuple[Masks, float]]) -> None:
        inside = np.zeros(parts, dtype=bool)
        inside[tree_leaves(nest)] = True
        if isinstance(nest, int):
            for mask, weight in contexts:
                weights[at(mask)][nest] -= weight
                weights[at(mask | inside)][nest] += weight
            return
        for own, inner in enumerate(nest):
            siblings = _sibling_unions(nest, own, parts)
            walk(inner, [(m | more, w * share) for m, w in contexts for more, share in siblings])

    at(np.zeros(parts, dtype=bool))
    walk(nest, [(masks[0], 1.0)])
    return np.stack(masks), np.stack(weights)


def _sibling_unions(nest: tuple[FeatureTree, ...], own: int, parts: int) -> list[tuple[Masks, float]]:
    """Every union of the other members, with the probability that exactly these precede ``own`` in a random order."""
    others = [tree_leaves(inner) for position, inner in enumerate(nest) if position != own]
    found = []
    for code in range(2 ** len(others)):
        mask = np.zeros(parts, dtype=bool)
        chosen = [members for bit, members in enumerate(others) if code >> bit & 1]
        mask[[part for members in chosen for part in members]] = True
        before = len(chosen)
        found.append((mask, factorial(before) * factorial(len(others) - before) / factorial(len(nest))))
    return found


def draw_orders(nest: FeatureTree, parts: int, budget: int, seed: Seed) -> Masks:
    """Chains of growing coalitions (order, step, part): random orders that keep groups together, and their reverses."""

    def shuffle(nest: FeatureTree, generator: np.random.Generator) -> list[int]:
        if isinstance(nest, int):
            return [nest]
        return [part for position in generator.permutation(len(nest)) for part in shuffle(nest[position], generator)]

    return draw_antithetic_orders(parts, budget, seed, lambda generator: np.array(shuffle(nest, generator)))
