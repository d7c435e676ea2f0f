# SPDX-License-Identifier: Apache-2.0
"""Estimators of a game's values: a design (which coalitions to evaluate) and an estimate from their values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.special import gammaln

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.fast_path import fast_path
from assay.cases.removals import Removal
from assay.nouns.results.result import Estimate

ENUMERABLE = 20
"""The most parts for which all coalitions are enumerated (1,048,576 coalitions at 20)."""
MAX_COUNT = 2**1000
"""Counts of coalitions are capped here, below the largest float."""


@dataclass(frozen=True)
class Design:
    """Coalitions to evaluate, with the sampling weights and strata that the estimate needs.

    ``weight`` (mask,) is the weight of a mask in the estimate; ``stratum`` (mask,) is the stratum it was drawn from
    without replacement, ``population`` (mask,) the number of masks in that stratum.
    """

    masks: Masks
    weight: Floats = field(default_factory=lambda: np.empty(0))
    stratum: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    population: Floats = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class Estimator:
    """A design of (parts, budget, seed) and the estimate from values (row, mask).

    ``allows_absent_parts``: the estimate can be restricted to the parts that a row has. ``has_base``: its base is the
    game without parts, or an estimate of it.
    """

    name: str
    design: Callable[[int, int, Seed], Design]
    estimate: Callable[[Design, Floats], Estimate]
    allows_absent_parts: bool = False
    has_base: bool = True


def is_enumerable(parts: int, budget: int) -> bool:
    """Whether all 2^parts coalitions fit in ``budget``."""
    return parts <= ENUMERABLE and 2**parts <= budget


def estimate_by_removal(
    case: Case, remove: Removal, estimator: Estimator, budget: int = 0, *, pooled: bool = False
) -> Estimate:
    """Evaluate the game at the estimator's masks and estimate its values; all rows share one design."""
    design = estimator.design(len(case.features), budget, case.seed.child("design", estimator.name))
    path = fast_path(case, remove, len(design.masks), pooled=pooled)
    return path.annotate(estimate_rows(case, estimator, design, path.game.table(design.masks)))


def estimate_rows(case: Case, estimator: Estimator, design: Design, values: Floats) -> Estimate:
    """The estimate from values (row, mask); NaN for a row with a value that is not finite."""
    values = np.where(np.isfinite(values).all(axis=1, keepdims=True), values, np.nan)
    present = np.broadcast_to(case.features.sizes > 0, (len(case), len(case.features)))
    if present.all() or not estimator.allows_absent_parts:
        return estimator.estimate(design, values)
    return _over_present(estimator, design, values, present)


def _over_present(estimator: Estimator, design: Design, values: Floats, present: Masks) -> Estimate:
    """The estimate over the parts each row has; absent parts (of superpixels) get exactly 0.

    The game of a row without parts is one number: the base of estimators that have one.
    """
    filled, stderr, base = np.zeros(present.shape), np.zeros(present.shape), np.full(len(values), np.nan)
    extra: dict[str, Floats] = {}
    for pattern in np.unique(present, axis=0):
        rows = np.flatnonzero((present == pattern).all(axis=1))
        if not pattern.any():
            base[rows] = values[rows, 0] if estimator.has_base else np.nan
            continue
        some = estimator.estimate(replace(design, masks=design.masks[:, pattern]), values[rows])
        filled[np.ix_(rows, np.flatnonzero(pattern))] = some.values
        stderr[np.ix_(rows, np.flatnonzero(pattern))] = some.stderr
        base[rows] = np.nan if some.base is None else some.base
        for name, numbers in some.extra.items():
            extra.setdefault(name, np.full(len(values), np.nan))[rows] = numbers
    return Estimate(filled, stderr, base, extra=extra)


def all_masks(parts: int) -> Masks:
    """Every coalition, (2^parts, part), in binary counting order: the first part is the lowest bit."""
    if parts > ENUMERABLE:
        raise InputError(
            f"{parts} features have 2^{parts} coalitions; they are enumerated for up to {ENUMERABLE} features. Use a "
            f"sampling method, or group features."
        )
    return (np.arange(2**parts)[:, None] >> np.arange(parts) & 1).astype(bool)


def _enumerate(parts: int, budget: int, seed: Seed) -> Design:
    return Design(all_masks(parts))


def _shapley(design: Design, values: Floats) -> Estimate:
    masks, parts = design.masks, design.masks.shape[1]
    size = masks.sum(axis=1)
    # φ_i = Σ_{S∌i} |S|! (n−|S|−1)! / n! · (v(S∪i) − v(S)); a mask with i has weight (|S∪i|−1)!(n−|S∪i|)!/n!
    with_part = np.exp(gammaln(np.maximum(size, 1)) + gammaln(parts - size + 1) - gammaln(parts + 1))
    without_part = np.exp(gammaln(size + 1) + gammaln(np.maximum(parts - size, 1)) - gammaln(parts + 1))
    weights = np.where(masks, with_part[:, None], -without_part[:, None])
    return Estimate(values @ weights, np.zeros((len(values), parts)), values[:, 0])


def _banzhaf(design: Design, values: Floats) -> Estimate:
    weights = np.where(design.masks, 1.0, -1.0) / 2.0 ** (design.masks.shape[1] - 1)
    return Estimate(values @ weights, np.zeros((len(values), design.masks.shape[1])))


exact_shapley = Estimator("exact", _enumerate, _shapley)
exact_banzhaf = Estimator("exact", _enumerate, _banzhaf)


def draw_distinct(count: int, parts: int, draw: Callable[[int], Masks]) -> Masks:
    """The first ``count`` distinct masks of a stream of draws; a larger ``count`` starts with the same masks."""
    found = np.zeros((0, parts), dtype=bool)
    while len(found) < count:
        found = np.concatenate([found, draw(count - len(found))])
        found = found[np.sort(np.unique(as_bytes(found), return_index=True)[1])]
    return found


def as_bytes(masks: Masks) -> Any:
    """Each mask (mask, part) as one comparable item of bytes (mask,)."""
    packed = np.ascontiguousarray(np.packbits(masks, axis=1))
    return packed.view(f"V{packed.shape[1]}")[:, 0]


def bernoulli(share: float) -> Estimator:
    """RISE: keep each part with probability ``share``; a part's value is the mean of v over masks that keep it.

    As in the paper, values are means of v, not differences, so they contain the mean level of v. If all 2^n coalitions
    fit in the budget, they are enumerated and weighted by their probability, without sampling error.
    """
    if not 0 < share < 1:
        raise InputError(f"share={share}; the probability to keep a feature must be strictly between 0 and 1.")

    def design(parts: int, budget: int, seed: Seed) -> Design:
        if is_enumerable(parts, budget):
            masks = all_masks(parts)
            size = masks.sum(axis=1)
            return Design(masks, share**size * (1 - share) ** (parts - size), population=np.ones(1))
        if budget < 2:
            raise InputError(f"budget={budget}; at least 2 masks are needed.")
        return Design(seed.generator().random((budget, parts)) < share, np.full(budget, 1.0 / budget))

    def estimate(design: Design, values: Floats) -> Estimate:
        weighted = design.masks * design.weight[:, None]
        mass = weighted.sum(axis=0)
        level = values.mean(axis=1, keepdims=True)

        def mean_by_part(numbers: Floats) -> Floats:
            """Mean over the masks that keep a part; NaN where no mask keeps it."""
            undefined = np.full((len(values), len(mass)), np.nan)
            return np.asarray(np.divide(numbers @ weighted, mass, out=undefined, where=mass > 0))

        mean = mean_by_part(values - level)
        if len(design.population):
            return Estimate(mean + level, np.zeros_like(mean))
        variance = np.maximum(mean_by_part((values - level) ** 2) - mean**2, 0.0)
        count = design.masks.sum(axis=0)
        return Estimate(mean + level, np.sqrt(variance / np.where(count > 1, count - 1, np.nan)))

    return Estimator(f"bernoulli {share:g}", design, estimate, allows_absent_parts=True, has_base=False)
