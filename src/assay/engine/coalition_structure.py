# SPDX-License-Identifier: Apache-2.0
"""Owen values: which coalitions a structure of groups asks, all or in sampled orders, and what they add up to."""

from __future__ import annotations

from math import factorial

import numpy as np

from assay.nouns.hierarchy import Nest, leaves
from assay.nouns.result import Estimate
from assay.words.errors import InputError
from assay.words.seed import Seed
from assay.words.types import Floats, Masks

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
    pairs = (budget - 2) // (2 * (parts - 1)) if parts > 1 else 2
    if pairs < 2:
        raise InputError(
            f"budget={budget} pays for {max(pairs, 0)} antithetic pairs of orders of {parts} parts; two (that is "
            f"{4 * (parts - 1) + 2} evaluations) are needed for a standard error, and {count(nest)} list all."
        )
    generator = seed.generator()

    def shuffled(nest: Nest) -> list[int]:
        if isinstance(nest, int):
            return [nest]
        return [part for place in generator.permutation(len(nest)) for part in shuffled(nest[place])]

    chains = []
    for _ in range(pairs):
        order = np.array(shuffled(nest))
        for way in (order, order[::-1]):
            chains.append(np.argsort(way)[None, :] < np.arange(parts + 1)[:, None])
    return np.stack(chains)


def mean_gains(chains: Masks, values: Floats) -> Estimate:
    """Each part's mean gain over orders, with its standard error over pairs of them; values (row, order · step)."""
    ways, steps, parts = chains.shape
    gains = np.diff(values.reshape(len(values), ways, steps), axis=2)
    joined = (chains[:, 1:] & ~chains[:, :-1]).argmax(axis=2)
    each = np.empty_like(gains)
    np.put_along_axis(each, np.broadcast_to(joined, gains.shape), gains, axis=2)
    paired = each.reshape(len(values), -1, 2, parts).mean(axis=2)
    return Estimate(paired.mean(axis=1), paired.std(axis=1, ddof=1) / np.sqrt(paired.shape[1]), values[:, 0])
