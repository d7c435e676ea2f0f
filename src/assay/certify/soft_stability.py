# SPDX-License-Identifier: Apache-2.0
"""Stability certification: lower confidence limits of soft stability rates."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy.special import gammaln

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.stats import clopper_pearson
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.coalitions.masks import TOP_SHARE, check_masks, present_parts, random_parts
from assay.engine.cost import Given
from assay.engine.declare import certifier
from assay.nouns.catalogue import Cost


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """Supersets of the top quarter of the parts and of a random quarter, both quarters, and the class of each row."""
    counts = present_parts(case).sum(axis=1)
    top = int(np.ceil(TOP_SHARE * len(case.features) - 1e-9))
    sets = sum(int(min(_count(max(int(parts) - top, 0), o.radius), o.draws)) for parts in counts)
    return Cost(2 * (sets + len(case)) * o.remove.fills + len(case)) * case.model.passes_per_row


@certifier(source="jin2025", needs={"classes"}, claims={"enumerable"}, cost=_cost)
def soft_stability(
    case: Case,
    parts: Any,
    *,
    radius: int = 2,
    draws: int = 150,
    confidence: float = 0.95,
    remove: Removal = DEFAULT,
) -> dict[str, Any]:
    """Lower confidence limit of the stability rate: the share of added feature sets that keep the predicted class.

    τ = Pr[class(x∘α′) = class(x∘α)] for α′ uniform over the sets that contain α = ``parts`` (row, part) and at most
    ``radius`` more parts, α itself included; most of these sets add ``radius`` parts. 1 is best. ``rate_low`` is the
    lower Clopper–Pearson limit from ``draws`` sets a row; ``extra`` holds the observed ``rate`` and ``rate_high``.
    Where there are at most ``draws`` sets, all are evaluated and the three are equal (``exact``). ``confidence`` is the
    coverage for each row separately, not for all rows together. The rate is not a worst case: at any rate below 1 there
    may be a set that changes the class.

    The class is that of the mean probabilities over the removal's fillings; of the mean scores where these are no log
    odds, or the threshold is one of the score. The certificate holds for the model itself, without smoothing.
    ``consistent``: the class at α is the class predicted for the full row. ``control`` holds the limit of random parts,
    as many as are explained. All explanations of one case use the same random numbers, so their rates are comparable.
    """
    chosen = check_masks(case, parts)
    if radius < 1 or draws < 1 or not 0 < confidence < 1:
        raise InputError(
            f"radius={radius}, draws={draws}, confidence={confidence}; they must satisfy radius ≥ 1, draws ≥ 1 and "
            f"0 < confidence < 1."
        )
    other = random_parts(case, chosen.sum(axis=1))
    found, control = (_rates(case, remove, masks, radius, draws, confidence) for masks in (chosen, other))
    predicted = case.predicted(case.rows.x)
    return {
        "bounds": {"rate_low": found.low},
        "abstained": np.zeros(len(case), dtype=bool),
        "theorem": f"Clopper–Pearson limits of the stability rate at radius {radius} (Jin et al. 2025)",
        "assumptions": (
            f"features are removed by {remove!r}, and the model is deterministic",
            "sets of features are drawn uniformly; the confidence holds for each row separately",
        ),
        "confidence": confidence,
        "draws": draws,
        "guarantee": "exact" if found.exact.all() else "probabilistic",
        "unit": f"share of the sets that add at most {radius} features",
        "certified": "the model itself",
        "agreement": 1.0,
        "histogram": np.bincount(predicted, minlength=len(case.model.classes)) / len(case),
        "cap": 1.0,
        "control": {"rate_low": control.low},
        "extra": {
            "rate": found.rate,
            "rate_high": found.high,
            "exact": found.exact.astype(float),
            "consistent": (found.centre == predicted).astype(float),
        },
    }


@dataclass(frozen=True, eq=False)
class Rates:
    """Stability rates (row,) with their limits, which of them are ``exact``, and the class (row,) at the parts alone."""

    rate: Floats
    low: Floats
    high: Floats
    exact: Masks
    centre: Ints


def _rates(case: Case, remove: Removal, chosen: Masks, radius: int, draws: int, confidence: float) -> Rates:
    free = present_parts(case) & ~chosen
    exact = np.array([_count(int(row.sum()), radius) <= draws for row in free])
    sets = [
        _enumerate(chosen[row], free[row], radius)
        if is_exact
        else _draw(chosen[row], free[row], radius, draws, case.seed.child("supersets", case.rows.ids[row]))
        for row, is_exact in enumerate(exact)
    ]
    sizes = np.array([len(masks) for masks in sets])
    owners = np.repeat(np.arange(len(case)), sizes)
    game = case.game(remove)
    centre = game.classes(np.arange(len(case)), chosen)
    same = game.classes(owners, np.concatenate(sets)) == centre[owners]
    hits = np.bincount(owners, weights=same, minlength=len(case))
    rate = hits / sizes
    limits = [clopper_pearson(int(hit), size, confidence) for hit, size in zip(hits, sizes.tolist())]
    low, high = np.array([limit.low for limit in limits]), np.array([limit.high for limit in limits])
    return Rates(rate, np.where(exact, rate, low), np.where(exact, rate, high), exact, centre)


def _logs(free: int, radius: int) -> Floats:
    """log C(free, j) for j = 0 … min(radius, free): the log number of sets that add j parts."""
    added = np.arange(min(radius, free) + 1)
    return np.asarray(gammaln(free + 1) - gammaln(added + 1) - gammaln(free - added + 1))


def _count(free: int, radius: int) -> float:
    """The number of sets that add at most ``radius`` parts; infinite beyond the range of floats."""
    with np.errstate(over="ignore"):
        return float(np.round(np.exp(_logs(free, radius)).sum()))


def _enumerate(chosen: Masks, free: Masks, radius: int) -> Masks:
    """All sets (set, part), each once."""
    indices = np.flatnonzero(free)
    additions: Iterator[tuple[int, ...]] = (
        added for size in range(min(radius, len(indices)) + 1) for added in combinations(indices.tolist(), size)
    )
    masks = []
    for added in additions:
        mask = chosen.copy()
        mask[list(added)] = True
        masks.append(mask)
    return np.stack(masks)


def _draw(chosen: Masks, free: Masks, radius: int, draws: int, seed: Seed) -> Masks:
    """Sets (set, part) drawn uniformly: first the number of added parts, then the parts."""
    generator = seed.generator()
    logs = _logs(int(free.sum()), radius)
    shares = np.cumsum(np.exp(logs - logs.max()))
    added: Ints = np.searchsorted(shares, generator.random(draws) * shares[-1], side="right")
    keys = np.where(free, generator.random((draws, len(free))), np.inf)
    return np.asarray(chosen | (keys.argsort(axis=1).argsort(axis=1) < added[:, None]))
