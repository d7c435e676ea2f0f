# SPDX-License-Identifier: Apache-2.0
"""Owen values: which coalitions a structure of groups asks, all or in sampled orders, and what they add up to."""

from __future__ import annotations

from math import factorial

import numpy as np

from assay.basics.seed import Seed
from assay.basics.types import Floats, Masks
from assay.engine.coalitions.permutations import antithetic
from assay.nouns.inputs.hierarchy import Nest, leaves

WIDEST = 20
"""Members of a group beyond which its subsets are not listed."""


def count(nest: Nest, contexts: int = 1, top: bool = True) -> int:
    """How many coalitions determine the values: whole groups beside the own one, and all subsets within it, at each
    level; each counted once."""
    if isinstance(nest, int):
        return 0
    members = len(nest)
    own = contexts * (2**members if top else 2**members - 2)
    return own + sum(count(inner, contexts * 2 ** (members - 1), top=False) for inner in nest)


def listed(nest: Nest, budget: int) -> bool:
    """Whether these coalitions fit in ``budget``."""
    return _widest(nest) <= WIDEST and count(nest) <= budget


def _widest(nest: Nest) -> int:
    return 0 if isinstance(nest, int) else max(len(nest), *map(_widest, nest))


def all_coalitions(nest: Nest, parts: int) -> tuple[Masks, Floats]:
    """The coalitions (mask, part), the empty one first, and what each counts for a part's value (mask, part)."""
    place: dict[bytes, int] = {}
    masks: list[Masks] = []
    weights: list[Floats] = []

    def at(mask: Masks) -> int:
        key = np.packbits(mask).tobytes()
        if key not in place:
            place[key] = len(masks)
            masks.append(mask)
            weights.append(np.zeros(parts))
        return place[key]

    def walk(nest: Nest, contexts: list[tuple[Masks, float]]) -> None:
        inside = np.zeros(parts, dtype=bool)
        inside[leaves(nest)] = True
        if isinstance(nest, int):
            for mask, weight in contexts:
                weights[at(mask)][nest] -= weight
                weights[at(mask | inside)][nest] += weight
            return
        for own, inner in enumerate(nest):
            walk(inner, [(m | more, w * share) for m, w in contexts for more, share in _beside(nest, own, parts)])

    at(np.zeros(parts, dtype=bool))
    walk(nest, [(masks[0], 1.0)])
    return np.stack(masks), np.stack(weights)


def _beside(nest: tuple[Nest, ...], own: int, parts: int) -> list[tuple[Masks, float]]:
    """Every set of the other members, whole, with its chance to stand before one's own in a random order."""
    others = [leaves(inner) for place, inner in enumerate(nest) if place != own]
    found = []
    for code in range(2 ** len(others)):
        mask = np.zeros(parts, dtype=bool)
        chosen = [members for bit, members in enumerate(others) if code >> bit & 1]
        mask[[part for members in chosen for part in members]] = True
        before = len(chosen)
        found.append((mask, factorial(before) * factorial(len(others) - before) / factorial(len(nest))))
    return found


def orders(nest: Nest, parts: int, budget: int, seed: Seed) -> Masks:
    """Chains of growing coalitions (order, step, part): orders that keep groups together, each with its reverse."""

    def shuffled(nest: Nest, generator: np.random.Generator) -> list[int]:
        if isinstance(nest, int):
            return [nest]
        return [part for place in generator.permutation(len(nest)) for part in shuffled(nest[place], generator)]

    return antithetic(parts, budget, seed, lambda generator: np.array(shuffled(nest, generator)))
