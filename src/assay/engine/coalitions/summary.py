# SPDX-License-Identifier: Apache-2.0
"""Linear summaries of a game: which coalitions to ask, and what to make of the answers."""

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
"""Up to this many parts all coalitions may be listed (1,048,576 at 20)."""
BEYOND = 2**1000
"""Counts of coalitions stop here, short of what a float can hold."""


@dataclass(frozen=True)
class Design:
    """Coalitions to ask, with what the estimate needs to know of how they were chosen.

    ``weight`` (mask,) is the mask's weight in the estimate; ``stratum`` and ``population`` (mask,) say from which
    layer it was drawn without replacement and how many the layer holds.
    """

    masks: Masks
    weight: Floats = field(default_factory=lambda: np.empty(0))
    stratum: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    population: Floats = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class Summary:
    """A pair: which masks to ask (parts, budget, seed), and what to make of values (row, mask).

    ``partial`` says that the estimate can also be made over some of the parts only, those that a row has.
    """

    name: str
    design: Callable[[int, int, Seed], Design]
    estimate: Callable[[Design, Floats], Estimate]
    partial: bool = False


def enumerated(parts: int, budget: int) -> bool:
    """Whether all 2^parts coalitions fit in ``budget``."""
    return parts <= ENUMERABLE and 2**parts <= budget


def removal(case: Case, remove: Removal, summary: Summary, budget: int = 0, *, pooled: bool = False) -> Estimate:
    """Ask the game at the summary's masks and summarise: one design serves all rows, named after itself."""
    design = summary.design(len(case.features), budget, case.seed.child("design", summary.name))
    asked = fast_path(case, remove, len(design.masks), pooled=pooled)
    return asked.told(summarise(case, summary, design, asked.game.table(design.masks)))


def summarise(case: Case, summary: Summary, design: Design, values: Floats) -> Estimate:
    """The estimate from values (row, mask); a row with a value that is no number has none (NaN)."""
    values = np.where(np.isfinite(values).all(axis=1, keepdims=True), values, np.nan)
    present = np.broadcast_to(case.features.sizes > 0, (len(case), len(case.features)))
    if present.all() or not summary.partial:
        return summary.estimate(design, values)
    return _over_present(summary, design, values, present)


def _over_present(summary: Summary, design: Design, values: Floats, present: Masks) -> Estimate:
    """The estimate over the parts each row has; those it lacks (superpixels) get exactly 0."""
    filled, stderr, base = np.zeros(present.shape), np.zeros(present.shape), np.full(len(values), np.nan)
    extra: dict[str, Floats] = {}
    for pattern in np.unique(present, axis=0):
        rows = np.flatnonzero((present == pattern).all(axis=1))
        some = summary.estimate(replace(design, masks=design.masks[:, pattern]), values[rows])
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
            f"{parts} parts have 2^{parts} coalitions; listing them is offered up to {ENUMERABLE}. Sample, or "
            f"group parts."
        )
    return (np.arange(2**parts)[:, None] >> np.arange(parts) & 1).astype(bool)


def _exactly(parts: int, budget: int, seed: Seed) -> Design:
    return Design(all_masks(parts))


def _shapley(design: Design, values: Floats) -> Estimate:
    masks, parts = design.masks, design.masks.shape[1]
    size = masks.sum(axis=1)
    # φ_i = Σ_{S∌i} |S|! (n−|S|−1)! / n! · (v(S∪i) − v(S)); entering S∪i weighs (|S∪i|−1)!(n−|S∪i|)!/n!
    joining = np.exp(gammaln(np.maximum(size, 1)) + gammaln(parts - size + 1) - gammaln(parts + 1))
    leaving = np.exp(gammaln(size + 1) + gammaln(np.maximum(parts - size, 1)) - gammaln(parts + 1))
    weights = np.where(masks, joining[:, None], -leaving[:, None])
    return Estimate(values @ weights, np.zeros((len(values), parts)), values[:, 0])


def _banzhaf(design: Design, values: Floats) -> Estimate:
    weights = np.where(design.masks, 1.0, -1.0) / 2.0 ** (design.masks.shape[1] - 1)
    return Estimate(values @ weights, np.zeros((len(values), design.masks.shape[1])))


exact_shapley = Summary("exact", _exactly, _shapley)
exact_banzhaf = Summary("exact", _exactly, _banzhaf)


def distinct(count: int, parts: int, draw: Callable[[int], Masks]) -> Masks:
    """The first ``count`` different masks of a stream of draws; more of them begin with the same."""
    found = np.zeros((0, parts), dtype=bool)
    while len(found) < count:
        found = np.concatenate([found, draw(count - len(found))])
        found = found[np.sort(np.unique(as_bytes(found), return_index=True)[1])]
    return found


def as_bytes(masks: Masks) -> Any:
    """Each mask (mask, part) as one item of bytes (mask,), to be compared and looked up."""
    packed = np.ascontiguousarray(np.packbits(masks, axis=1))
    return packed.view(f"V{packed.shape[1]}")[:, 0]


def bernoulli(share: float) -> Summary:
    """RISE: keep each part with probability ``share``; a part's value is the mean of v over masks that keep it.

    Complementary information is not used, as in the paper: values are means of v, not differences, and carry v's level.
    With all 2^n coalitions in the budget they are enumerated and weighted by their probability: no sampling error.
    """
    if not 0 < share < 1:
        raise InputError(f"share={share}; the chance that a part is kept lies strictly between 0 and 1.")

    def design(parts: int, budget: int, seed: Seed) -> Design:
        if enumerated(parts, budget):
            masks = all_masks(parts)
            kept = masks.sum(axis=1)
            return Design(masks, share**kept * (1 - share) ** (parts - kept), population=np.ones(1))
        if budget < 2:
            raise InputError(f"budget={budget}; at least 2 masks are needed.")
        return Design(seed.generator().random((budget, parts)) < share, np.full(budget, 1.0 / budget))

    def estimate(design: Design, values: Floats) -> Estimate:
        weighted = design.masks * design.weight[:, None]
        mass = weighted.sum(axis=0)
        level = values.mean(axis=1, keepdims=True)

        def over_kept(numbers: Floats) -> Floats:
            """Mean over the masks that keep a part; NaN for a part that none keeps."""
            unknown = np.full((len(values), len(mass)), np.nan)
            return np.asarray(np.divide(numbers @ weighted, mass, out=unknown, where=mass > 0))

        mean = over_kept(values - level)
        if len(design.population):
            return Estimate(mean + level, np.zeros_like(mean))
        spread = np.maximum(over_kept((values - level) ** 2) - mean**2, 0.0)
        kept = design.masks.sum(axis=0)
        return Estimate(mean + level, np.sqrt(spread / np.where(kept > 1, kept - 1, np.nan)))

    return Summary(f"bernoulli {share:g}", design, estimate, partial=True)
