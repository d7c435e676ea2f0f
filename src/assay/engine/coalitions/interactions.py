# SPDX-License-Identifier: Apache-2.0
"""Interaction indices estimated from sampled pairs of complementary coalitions, with standard errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.engine.coalitions.interaction_indices import InteractionIndex, subsets
from assay.engine.coalitions.leverage import draw_sets

MAX_PARTS = 1000
"""The most parts for which counts of coalitions fit into floats."""


@dataclass(frozen=True)
class PairSample:
    """Complementary pairs of coalitions, masks 2 j and 2 j + 1, the smaller coalition first; pair 0 is ∅ and N.

    ``size`` (pair,) is the size of the smaller coalition, ``available`` (pair,) the number of pairs of that size, and
    ``drawn`` (pair,) the number of them drawn, without replacement.
    """

    masks: Masks
    size: Ints
    available: Floats
    drawn: Floats


def pairs_needed(index: InteractionIndex, order: int, parts: int) -> int:
    """The number of pairs that determines the polynomial of this order, plus one for the residual variance.

    Sums v(S) + v(N∖S) depend only on the even half of the polynomial (products of an even number of signs), differences
    v(S) − v(N∖S) only on the odd half, so each half needs as many pairs as it has coefficients.
    """
    even, odd = (sum(comb(parts, size) for size in range(start, order + 1, 2)) for start in (0, 1))
    return min(max(even, odd, sum(_minimum_counts(index, order, parts)) + 1), sum(_pair_counts(parts)))


def _pair_counts(parts: int) -> list[int]:
    """The number of complementary pairs whose smaller coalition has 1, 2, … parts."""
    return [comb(parts, size) // (2 if 2 * size == parts else 1) for size in range(1, parts // 2 + 1)]


def _minimum_counts(index: InteractionIndex, order: int, parts: int) -> list[int]:
    """The least number of pairs of each size: all pairs of small sizes, two of every other size."""
    limit = order + index.boundary_sizes
    return [count if size < limit else min(2, count) for size, count in enumerate(_pair_counts(parts), start=1)]


def draw_pairs(index: InteractionIndex, order: int, parts: int, budget: int, seed: Seed) -> PairSample:
    """As many pairs as the budget pays for: sizes equally often, for ``is_uniform`` indices pairs equally often."""
    if parts > MAX_PARTS:
        raise InputError(f"{parts} features; interactions are sampled for up to {MAX_PARTS}. Group features.")
    available, minimum = _pair_counts(parts), _minimum_counts(index, order, parts)
    pairs, needed = min((budget - 2) // 2, sum(available)), pairs_needed(index, order, parts)
    if pairs < needed:
        count = sum(comb(parts, size) for size in range(1, order + 1))
        raise InputError(
            f"budget={budget} does not determine the {count} interactions of {parts} features up to order {order}; "
            f"they need at least {2 + 2 * needed} evaluations. Raise budget, lower order, or group features."
        )
    share = np.array(
        [float(h) if index.is_uniform else (0.5 if 2 * size == parts else 1.0) for size, h in enumerate(available, 1)]
    )
    drawn = _allocate(pairs, available, minimum, share / share.max())
    counts = zip(range(1, len(available) + 1), drawn, available)
    half = np.concatenate([draw_sets(parts, size, count, total, seed.child(size)) for size, count, total in counts])
    both = np.stack([half, ~half], axis=1).reshape(-1, parts)
    ends = np.array([[False] * parts, [True] * parts])
    size = np.concatenate([[0], np.repeat(np.arange(1, len(available) + 1), drawn)])
    return PairSample(
        np.concatenate([ends, both]),
        size,
        np.array([1.0, *map(float, available)])[size],
        np.array([1.0, *map(float, drawn)])[size],
    )


def _allocate(pairs: int, available: list[int], minimum: list[int], share: Floats) -> list[int]:
    """Number of pairs of each size: proportional to its share, between ``minimum`` and ``available``."""
    most = np.array([float(min(h, pairs)) for h in available])
    least = np.array(minimum, dtype=float)
    low, high = 0.0, pairs / share.min()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.clip(middle * share, least, most).sum() <= pairs else (low, middle)
    target = np.clip(low * share, least, most)
    drawn = np.floor(target + 1e-9).astype(np.int64)
    for position in np.argsort(-(target - drawn), kind="stable"):
        if drawn.sum() < pairs and drawn[position] < most[position]:
            drawn[position] += 1
    return [int(count) for count in drawn]


def estimate_interactions(
    index: InteractionIndex, order: int, design: PairSample, values: Floats
) -> tuple[Floats, Floats, Floats]:
    """Interactions (row, subset), their standard errors, and the standard errors of each part's value (row, part).

    A part's value is the sum of its shares of interactions. A polynomial of degree ``order`` is fitted by weighted
    least squares (through v(∅) and v(N), unless all coalitions have equal weight). The index of the polynomial is
    exact; the index of the residuals is estimated with inverse-probability weights. The sum is consistent for any game;
    for FSII and FBII, which are defined by that fit, the second term vanishes.
    """
    parts = design.masks.shape[1]
    sets, table = subsets(parts, order), index.weights(order, parts)
    padded = np.concatenate([design.masks, np.ones((len(design.masks), 1), dtype=bool)], axis=1)
    products = np.asarray(padded[:, sets].all(axis=2))
    overlap = design.masks.astype(float) @ _members(sets, parts).T  # (mask, subset)
    sizes, total = (sets >= 0).sum(axis=1), design.masks.sum(axis=1)
    weights = table[sizes[:, None], total[None, :], overlap.T.astype(np.int64)]  # (subset, mask)
    coefficients = _fit_polynomial(products.astype(float), design, index.is_uniform)
    residual = np.eye(len(design.masks)) - np.column_stack([np.ones(len(products)), products]) @ coefficients
    of_polynomial = _polynomial_index(index, order, sets, parts)
    applied = of_polynomial @ coefficients[1:] + (weights * np.repeat(design.available / design.drawn, 2)) @ residual
    variances = _residual_variances(design, values @ residual.T, residual)
    stderr = _stderr(design, applied, weights, variances, lambda size: table[size], sizes)
    sharing = _members(sets, parts).T / sizes
    shared = _share_weights(table, order, parts)
    part_stderr = _stderr(
        design, sharing @ applied, sharing @ weights, variances, lambda size: shared, np.ones(parts, dtype=np.int64)
    )
    return values @ applied.T, stderr, part_stderr


def split_equally(sets: Ints, parts: int, interactions: Floats) -> Floats:
    """The sum (row, part) of each part's shares of interactions; an interaction is split equally among its members."""
    return np.asarray(interactions @ (_members(sets, parts) / (sets >= 0).sum(axis=1)[:, None]))


def _members(sets: Ints, parts: int) -> Floats:
    """Which parts each set has, (subset, part)."""
    out = np.zeros((len(sets), parts + 1))
    np.put_along_axis(out, sets, 1.0, axis=1)  # −1 is written to the last column
    return out[:, :parts]


def _fit_polynomial(products: Floats, design: PairSample, is_uniform: bool) -> Floats:
    """Coefficients of the polynomial, constant first, as a linear map of the values, (1 + subset, mask)."""
    parts = design.masks.shape[1]
    columns = np.column_stack([np.ones(len(products)), products])
    if is_uniform:
        counts = np.array([comb(parts, int(size)) / 2.0 ** (parts - 1) for size in design.size])
        halves = np.where((2 * design.size == parts) & (design.size > 0), 0.5, 1.0)
        root = np.sqrt(np.repeat(counts * halves / design.drawn, 2))
        return _least_squares(root[:, None] * columns) * root
    count = products.shape[1]
    ends = np.zeros((1 + count, len(products)))
    ends[:, 0], ends[0, 0], ends[1:, 1] = -1.0 / count, 1.0, 1.0 / count
    reflection = np.full(count, 1.0 / np.sqrt(count))  # Householder vector
    reflection[0] += 1.0
    reflection /= np.linalg.norm(reflection)
    basis = (np.eye(count) - 2 * np.outer(reflection, reflection))[:, 1:]  # of the vectors that sum to 0
    size = np.maximum(design.size, 1)
    # kernel 1 / (C(n, t) t (n − t)), equal for both coalitions of a pair, times the inverse sampling probability
    root = np.sqrt(np.repeat(np.where(2 * size == parts, 0.5, 1.0) / (size * (parts - size) * design.drawn), 2))
    root[:2] = 0.0
    inner = _least_squares((root[:, None] * (products @ basis))[2:]) * root[2:]
    free = basis @ inner @ (np.eye(len(products)) - columns @ ends)[2:]
    return ends + np.concatenate([np.zeros((1, len(products))), free])


def _least_squares(weighted: Floats) -> Floats:
    """The least-squares solution as a linear map; ``InputError`` where it is not unique."""
    if not weighted.shape[1]:
        return np.zeros((0, len(weighted)))
    scale = np.linalg.norm(weighted, axis=0)
    q, r = np.linalg.qr(weighted / np.where(scale > 0, scale, 1.0))
    steps = np.abs(np.diag(r))
    if len(weighted) < weighted.shape[1] or steps.min() < 1e-9 * steps.max():
        raise InputError(
            f"the {len(weighted)} coalitions drawn do not determine {weighted.shape[1]} interactions. Raise budget, "
            f"lower order, or group features."
        )
    return np.asarray(np.linalg.solve(r, q.T) / scale[:, None])


def _polynomial_index(index: InteractionIndex, order: int, sets: Ints, parts: int) -> Floats:
    """The index of each set as a linear map of the coefficients of a polynomial, (subset, subset)."""
    sizes, members = (sets >= 0).sum(axis=1), _members(sets, parts)
    within = members @ members.T == sizes[:, None]
    return np.asarray(np.where(within, index.shares(order, parts)[sizes[:, None], sizes[None, :]], 0.0))


def _share_weights(table: Floats, order: int, parts: int) -> Floats:
    """The weight (t, own) of a coalition of t parts in the value of a part outside (own = 0) or in it (own = 1)."""
    out = np.zeros((parts + 1, 2))
    for t in range(parts + 1):
        for own in range(max(0, t - parts + 1), min(1, t) + 1):
            for size in range(1, min(order, parts) + 1):
                for j in range(size):
                    ways = comb(t - own, j) * comb(parts - 1 - t + own, size - 1 - j)
                    if ways:
                        out[t, own] += ways * table[size, t, own + j] / size
    return out


def _halves(numbers: Floats) -> tuple[Floats, Floats]:
    """Sums and differences of complements, (…, pair) each, divided by √2, of numbers (…, mask)."""
    first, second = numbers[..., 0::2], numbers[..., 1::2]
    return (first + second) / np.sqrt(2), (first - second) / np.sqrt(2)


def _residual_variances(design: PairSample, residual: Floats, residual_map: Floats) -> list[dict[int, Floats]]:
    """Residual variances (row,) by size: of sums of complements, then of differences of complements.

    The variance of each size is shrunk towards the mean of all sizes with the weight of one degree of freedom.
    """
    transformed = np.stack(_halves(np.stack(_halves(residual_map)).transpose(0, 2, 1)))
    freedoms = [np.diagonal(transformed[0, 0]), np.diagonal(transformed[1, 1])]
    variances = []
    for part, freedom in zip(_halves(residual), freedoms):
        free = float(freedom[1:].sum())
        mean = (part[:, 1:] ** 2).sum(axis=1) / free if free > 1e-6 else np.full(len(residual), np.nan)
        by_size = {0: np.zeros(len(residual))}
        for size in np.unique(design.size[1:]):
            inside = design.size == size
            by_size[int(size)] = ((part[:, inside] ** 2).sum(axis=1) + mean) / (max(freedom[inside].sum(), 0.0) + 1.0)
        variances.append(by_size)
    return variances


def _stderr(
    design: PairSample,
    applied: Floats,
    weights: Floats,
    variances: list[dict[int, Floats]],
    table: Callable[[int], Floats],
    sizes: Ints,
) -> Floats:
    """Standard errors (row, output): √(Σ_drawn (applied − weight)² σ² + Σ_not drawn weight² σ²).

    ``applied`` (output, mask) are the weights of the values in the estimate, ``weights`` those in the exact index.
    Residuals of the polynomial are modelled as independent and random within each size, separately for sums and for
    differences of complements. The error is exactly 0 where all coalitions were drawn.
    """
    parts, distinct = design.masks.shape[1], np.unique(sizes)
    variance = np.zeros((len(next(iter(variances[0].values()))), len(applied)))
    for sign, off, exact, by_size in zip((1.0, -1.0), _halves(applied - weights), _halves(weights), variances):
        for size in np.unique(design.size):
            inside = design.size == size
            factor = (off[:, inside] ** 2).sum(axis=1)
            if design.drawn[inside][0] < design.available[inside][0]:
                totals = np.array([_squared_weights(table(int(s)), int(s), int(size), parts, sign) for s in distinct])
                total = totals[np.searchsorted(distinct, sizes)]
                factor = factor + np.maximum(total - (exact[:, inside] ** 2).sum(axis=1), 0.0)
            elif np.array_equal(design.drawn, design.available):
                factor = np.zeros_like(factor)
            variance += by_size[int(size)][:, None] * factor[None]
    return np.asarray(np.sqrt(variance))


def _squared_weights(table: Floats, members: int, size: int, parts: int, sign: float) -> float:
    """Σ weight² over all pairs of this size, of sums (``sign`` 1) or of differences (−1) of complements."""
    total = 0.0
    for inside in range(max(0, members + size - parts), min(members, size) + 1):
        ways = float(comb(members, inside) * comb(parts - members, size - inside))
        both = table[size, inside] + sign * table[parts - size, members - inside]
        total += ways * both**2 / 2
    return total / 2 if 2 * size == parts else total
