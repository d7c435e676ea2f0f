# SPDX-License-Identifier: Apache-2.0
"""Which coalitions an interaction index asks, and the estimate from some of them with its standard error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.engine.coalitions.interaction_indices import Index, subsets
from assay.engine.coalitions.leverage import sets

MOST = 1000
"""Parts beyond which counts of coalitions leave the range of floats."""


@dataclass(frozen=True)
class Drawn:
    """∅ and N, then complementary pairs (2 j, 2 j + 1), the smaller first.

    ``size`` (pair,) is the smaller one's; ``held`` (pair,) how many pairs of that size there are, ``taken`` (pair,) how
    many of them were drawn without replacement. The pair of ∅ and N is the first.
    """

    masks: Masks
    size: Ints
    held: Floats
    taken: Floats


def pairs_needed(index: Index, order: int, parts: int) -> int:
    """Pairs that determine the polynomial of this order, with one to spare to judge it by.

    What v(S) + v(N∖S) says is told by pairs alone, likewise v(S) − v(N∖S): so each of the two halves of the polynomial,
    products of an even and of an odd number of parts' signs, needs as many pairs as it has coefficients.
    """
    even, odd = (sum(comb(parts, size) for size in range(start, order + 1, 2)) for start in (0, 1))
    return min(max(even, odd, sum(_floor(index, order, parts)) + 1), sum(_held(parts)))


def _held(parts: int) -> list[int]:
    """Complementary pairs whose smaller set has 1, 2, … parts."""
    return [comb(parts, size) // (2 if 2 * size == parts else 1) for size in range(1, parts // 2 + 1)]


def _floor(index: Index, order: int, parts: int) -> list[int]:
    """Pairs asked of each size whatever the budget: all near the border, two of every other size."""
    return [held if size < order + index.border else min(2, held) for size, held in enumerate(_held(parts), start=1)]


def drawn(index: Index, order: int, parts: int, budget: int, seed: Seed) -> Drawn:
    """As many pairs as the budget pays for: sizes equally often (``even`` indices: as often as they are)."""
    if parts > MOST:
        raise InputError(f"{parts} parts; interactions are sampled for up to {MOST}. Group parts.")
    held, floor = _held(parts), _floor(index, order, parts)
    pairs, needed = min((budget - 2) // 2, sum(held)), pairs_needed(index, order, parts)
    if pairs < needed:
        count = sum(comb(parts, size) for size in range(1, order + 1))
        raise InputError(
            f"budget={budget} does not determine the {count} interactions of {parts} parts up to order {order}; at "
            f"least {2 + 2 * needed} evaluations do. Raise budget, lower order, or group parts."
        )
    share = np.array(
        [float(h) if index.even else (0.5 if 2 * size == parts else 1.0) for size, h in enumerate(held, 1)]
    )
    taken = _spread(pairs, held, floor, share / share.max())
    drawn_ = zip(range(1, len(held) + 1), taken, held)
    half = np.concatenate([sets(parts, size, count, total, seed.child(size)) for size, count, total in drawn_])
    both = np.stack([half, ~half], axis=1).reshape(-1, parts)
    ends = np.array([[False] * parts, [True] * parts])
    size = np.concatenate([[0], np.repeat(np.arange(1, len(held) + 1), taken)])
    return Drawn(
        np.concatenate([ends, both]),
        size,
        np.array([1.0, *map(float, held)])[size],
        np.array([1.0, *map(float, taken)])[size],
    )


def _spread(pairs: int, held: list[int], floor: list[int], share: Floats) -> list[int]:
    """Pairs to each size: proportional to its share, no fewer than its floor, no more than it holds."""
    most = np.array([float(min(h, pairs)) for h in held])
    least = np.array(floor, dtype=float)
    low, high = 0.0, pairs / share.min()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.clip(middle * share, least, most).sum() <= pairs else (low, middle)
    wanted = np.clip(low * share, least, most)
    taken = np.floor(wanted + 1e-9).astype(np.int64)
    for position in np.argsort(-(wanted - taken), kind="stable"):
        if taken.sum() < pairs and taken[position] < most[position]:
            taken[position] += 1
    return [int(count) for count in taken]


def estimated(index: Index, order: int, design: Drawn, values: Floats) -> tuple[Floats, Floats, Floats]:
    """Interactions (row, subset), their standard errors, and those of each part's sum of shares (row, part).

    A polynomial of degree ``order`` is fitted by weighted least squares (through v(∅) and v(N), unless all coalitions
    count alike); the index of the polynomial is known, and that of what it leaves is estimated by weighing each
    coalition with how many it stands for. The sum is consistent for any game; for FSII and FBII, which are defined by
    that fit, the second term vanishes.
    """
    parts = design.masks.shape[1]
    wanted, table = subsets(parts, order), index.weights(order, parts)
    padded = np.concatenate([design.masks, np.ones((len(design.masks), 1), dtype=bool)], axis=1)
    products = np.asarray(padded[:, wanted].all(axis=2))
    overlap = design.masks.astype(float) @ _members(wanted, parts).T  # (mask, subset)
    sizes, total = (wanted >= 0).sum(axis=1), design.masks.sum(axis=1)
    plain = table[sizes[:, None], total[None, :], overlap.T.astype(np.int64)]  # (subset, mask)
    fitted = _fitted(products.astype(float), design, index.even)
    missed = np.eye(len(design.masks)) - np.column_stack([np.ones(len(products)), products]) @ fitted
    inner = _of_polynomials(index, order, wanted, parts)
    lever = inner @ fitted[1:] + (plain * np.repeat(design.held / design.taken, 2)) @ missed
    spread = _spread_of_residuals(design, values @ missed.T, missed)
    stderr = _stderr(design, lever, plain, spread, lambda size: table[size], sizes)
    sharing = _members(wanted, parts).T / sizes
    shared = _shared(table, order, parts)
    ours = _stderr(
        design, sharing @ lever, sharing @ plain, spread, lambda size: shared, np.ones(parts, dtype=np.int64)
    )
    return values @ lever.T, stderr, ours


def shared_out(wanted: Ints, parts: int, interactions: Floats) -> Floats:
    """Each interaction shared equally among its members, (row, part)."""
    return np.asarray(interactions @ (_members(wanted, parts) / (wanted >= 0).sum(axis=1)[:, None]))


def _members(wanted: Ints, parts: int) -> Floats:
    """Which parts each subset has, (subset, part)."""
    out = np.zeros((len(wanted), parts + 1))
    np.put_along_axis(out, wanted, 1.0, axis=1)  # −1 lands in the last column
    return out[:, :parts]


def _fitted(products: Floats, design: Drawn, even: bool) -> Floats:
    """Coefficients, constant first, as a linear map of the values, (1 + subset, mask)."""
    parts = design.masks.shape[1]
    known = np.column_stack([np.ones(len(products)), products])
    if even:
        counts = np.array([comb(parts, int(size)) / 2.0 ** (parts - 1) for size in design.size])
        halves = np.where((2 * design.size == parts) & (design.size > 0), 0.5, 1.0)
        root = np.sqrt(np.repeat(counts * halves / design.taken, 2))
        return _solved(root[:, None] * known) * root
    count = products.shape[1]
    ends = np.zeros((1 + count, len(products)))
    ends[:, 0], ends[0, 0], ends[1:, 1] = -1.0 / count, 1.0, 1.0 / count
    turned = np.full(count, 1.0 / np.sqrt(count))
    turned[0] += 1.0
    turned /= np.linalg.norm(turned)
    level = (np.eye(count) - 2 * np.outer(turned, turned))[:, 1:]  # a basis of what sums to 0
    size = np.maximum(design.size, 1)
    # kernel 1 / (C(n, t) t (n − t)), which is the same for both of a pair, times how many each stands for
    root = np.sqrt(np.repeat(np.where(2 * size == parts, 0.5, 1.0) / (size * (parts - size) * design.taken), 2))
    root[:2] = 0.0
    inner = _solved((root[:, None] * (products @ level))[2:]) * root[2:]
    free = level @ inner @ (np.eye(len(products)) - known @ ends)[2:]
    return ends + np.concatenate([np.zeros((1, len(products))), free])


def _solved(weighted: Floats) -> Floats:
    """The least-squares solution as a linear map; refuses coalitions that leave it open."""
    if not weighted.shape[1]:
        return np.zeros((0, len(weighted)))
    scale = np.linalg.norm(weighted, axis=0)
    q, r = np.linalg.qr(weighted / np.where(scale > 0, scale, 1.0))
    steps = np.abs(np.diag(r))
    if len(weighted) < weighted.shape[1] or steps.min() < 1e-9 * steps.max():
        raise InputError(
            f"the {len(weighted)} coalitions drawn do not determine {weighted.shape[1]} interactions. Raise budget, "
            f"lower order, or group parts."
        )
    return np.asarray(np.linalg.solve(r, q.T) / scale[:, None])


def _of_polynomials(index: Index, order: int, wanted: Ints, parts: int) -> Floats:
    """The index of each set, from the coefficients of a polynomial, (subset, subset)."""
    sizes, held = (wanted >= 0).sum(axis=1), _members(wanted, parts)
    within = held @ held.T == sizes[:, None]
    return np.asarray(np.where(within, index.shares(order, parts)[sizes[:, None], sizes[None, :]], 0.0))


def _shared(table: Floats, order: int, parts: int) -> Floats:
    """What a coalition of t parts counts for the shares of a part that it has or lacks, (t, 0 or 1)."""
    out = np.zeros((parts + 1, 2))
    for t in range(parts + 1):
        for own in range(max(0, t - parts + 1), min(1, t) + 1):
            for size in range(1, min(order, parts) + 1):
                for j in range(size):
                    ways = comb(t - own, j) * comb(parts - 1 - t + own, size - 1 - j)
                    if ways:
                        out[t, own] += ways * table[size, t, own + j] / size
    return out


def _halves(paired: Floats) -> tuple[Floats, Floats]:
    """Numbers (…, mask) as sums and differences of complements, (…, pair) each, over √2."""
    first, second = paired[..., 0::2], paired[..., 1::2]
    return (first + second) / np.sqrt(2), (first - second) / np.sqrt(2)


def _spread_of_residuals(design: Drawn, residual: Floats, missed: Floats) -> list[dict[int, Floats]]:
    """Variance (row,) of what the polynomial leaves, of sums and of differences of complements, by size.

    Every size is drawn towards all sizes' mean by one degree of freedom: few pairs say little.
    """
    once = np.stack(_halves(np.stack(_halves(missed)).transpose(0, 2, 1)))
    freedoms = [np.diagonal(once[0, 0]), np.diagonal(once[1, 1])]
    found = []
    for part, freedom in zip(_halves(residual), freedoms):
        free = float(freedom[1:].sum())
        mean = (part[:, 1:] ** 2).sum(axis=1) / free if free > 1e-6 else np.full(len(residual), np.nan)
        by_size = {0: np.zeros(len(residual))}
        for size in np.unique(design.size[1:]):
            inside = design.size == size
            by_size[int(size)] = ((part[:, inside] ** 2).sum(axis=1) + mean) / (max(freedom[inside].sum(), 0.0) + 1.0)
        found.append(by_size)
    return found


def _stderr(
    design: Drawn,
    lever: Floats,
    plain: Floats,
    spread: list[dict[int, Floats]],
    table: Callable[[int], Floats],
    sizes: Ints,
) -> Floats:
    """Root of Σ_asked (lever − due)² σ² + Σ_not asked due² σ², (row, out), given which coalitions were asked.

    What is left by the polynomial is taken as drawn at random within each size, sums and differences of complements
    apart; so the error is exactly 0 where all were asked, and a coalition that was not asked counts with its due.
    """
    parts = design.masks.shape[1]
    variance = np.zeros((len(next(iter(spread[0].values()))), len(lever)))
    for sign, off, due, by_size in zip((1.0, -1.0), _halves(lever - plain), _halves(plain), spread):
        for size in np.unique(design.size):
            inside = design.size == size
            moved = (off[:, inside] ** 2).sum(axis=1)
            if design.taken[inside][0] < design.held[inside][0]:
                all_due = np.array([_all_due(table(int(s)), int(s), int(size), parts, sign) for s in np.unique(sizes)])
                all_due = all_due[np.searchsorted(np.unique(sizes), sizes)]
                moved = moved + np.maximum(all_due - (due[:, inside] ** 2).sum(axis=1), 0.0)
            elif np.array_equal(design.taken, design.held):
                moved = np.zeros_like(moved)
            variance += by_size[int(size)][:, None] * moved[None]
    return np.asarray(np.sqrt(variance))


def _all_due(table: Floats, members: int, size: int, parts: int, sign: float) -> float:
    """Σ due² over all pairs of this size, due of sums or of differences."""
    total = 0.0
    for inside in range(max(0, members + size - parts), min(members, size) + 1):
        ways = float(comb(members, inside) * comb(parts - members, size - inside))
        both = table[size, inside] + sign * table[parts - size, members - inside]
        total += ways * both**2 / 2
    return total / 2 if 2 * size == parts else total
