# SPDX-License-Identifier: Apache-2.0
"""Stability rates."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
from scipy.special import gammaln

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.stats import clopper_pearson
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.coalitions.masks import LEADING, chosen_parts, present
from assay.engine.cost import Given
from assay.engine.declare import certifier
from assay.nouns.catalogue import Cost


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """The sets that add to a quarter of the parts, that quarter alone, and the class at the rows."""
    held = present(case).sum(axis=1)
    taken = int(np.ceil(LEADING * len(case.features) - 1e-9))
    sets = sum(int(min(_count(max(int(parts) - taken, 0), o.radius), o.draws)) for parts in held)
    return Cost((sets + len(case)) * o.remove.fills + len(case)) * case.model.passes


@certifier(source="jin2025", needs={"classes"}, claims={"enumerable"}, cost=_cost)
def soft_stability(
    case: Case,
    parts: Any,
    *,
    radius: int = 2,
    draws: int = 150,
    confidence: float = 0.95,
    remove: Removal = Constant(0.0),
) -> dict[str, Any]:
    """Share of the ways to add at most ``radius`` parts to the explained ones that keep the class: a lower limit.

    τ = Pr[class(x∘α′) = class(x∘α)] for α′ uniform over the sets of parts that contain α = ``parts`` (row, part)
    and at most ``radius`` more, α itself among them; most of these sets add ``radius`` parts. 1 is best.
    ``rate_low`` is the lower Clopper–Pearson limit from ``draws`` sets a row; ``extra`` holds the ``rate`` found
    and ``rate_high``. Where there are no more sets than ``draws`` all of them are asked, and the three agree
    (``exact``). Each row's interval covers at ``confidence``, not all rows' at once. A rate is no worst case: a set
    that changes the class may exist at any rate below 1.

    Speaks of the model itself. ``consistent`` says whether the class at α is the one predicted for the whole row. All
    explanations of one case meet the same random numbers, so that their rates compare.
    """
    chosen = chosen_parts(case, parts)
    if radius < 1 or draws < 1 or not 0 < confidence < 1:
        raise InputError(
            f"radius={radius}, draws={draws}, confidence={confidence}; needed are radius ≥ 1, draws ≥ 1 and "
            f"0 < confidence < 1."
        )
    free = present(case) & ~chosen
    exact = np.array([_count(int(row.sum()), radius) <= draws for row in free])
    sets = [
        _all(chosen[row], free[row], radius)
        if whole
        else _drawn(chosen[row], free[row], radius, draws, case.seed.child("supersets", case.rows.ids[row]))
        for row, whole in enumerate(exact)
    ]
    sizes = np.array([len(masks) for masks in sets])
    owners = np.repeat(np.arange(len(case)), sizes)
    game = case.game(remove)
    centre = game.outputs(np.arange(len(case)), chosen).argmax(axis=1)
    same = game.outputs(owners, np.concatenate(sets)).argmax(axis=1) == centre[owners]
    hits = np.bincount(owners, weights=same, minlength=len(case))
    rate = hits / sizes
    limits = [clopper_pearson(int(hit), size, confidence) for hit, size in zip(hits, sizes.tolist())]
    low, high = np.array([limit.low for limit in limits]), np.array([limit.high for limit in limits])
    return {
        "bounds": {"rate_low": np.where(exact, rate, low)},
        "abstained": np.zeros(len(case), dtype=bool),
        "theorem": f"Clopper–Pearson limits of the stability rate at radius {radius} (Jin et al. 2025)",
        "assumptions": (
            f"parts are taken away by {remove!r}, and the model answers the same input always alike",
            "sets of parts are drawn evenly; the interval holds for one row at a time",
        ),
        "confidence": confidence,
        "draws": draws,
        "extra": {
            "rate": rate,
            "rate_high": np.where(exact, rate, high),
            "exact": exact.astype(float),
            "consistent": (centre == case.predicted(case.rows.x)).astype(float),
        },
    }


def _logs(free: int, radius: int) -> Floats:
    """log C(free, j) for j = 0 … min(radius, free): how many sets add j parts."""
    added = np.arange(min(radius, free) + 1)
    return np.asarray(gammaln(free + 1) - gammaln(added + 1) - gammaln(free - added + 1))


def _count(free: int, radius: int) -> float:
    """How many sets add at most ``radius`` parts; infinite beyond the range of floats."""
    with np.errstate(over="ignore"):
        return float(np.round(np.exp(_logs(free, radius)).sum()))


def _all(chosen: Masks, free: Masks, radius: int) -> Masks:
    """Every set (set, part) once."""
    places = np.flatnonzero(free)
    additions: Iterator[tuple[int, ...]] = (
        added for size in range(min(radius, len(places)) + 1) for added in combinations(places.tolist(), size)
    )
    masks = []
    for added in additions:
        mask = chosen.copy()
        mask[list(added)] = True
        masks.append(mask)
    return np.stack(masks)


def _drawn(chosen: Masks, free: Masks, radius: int, draws: int, seed: Seed) -> Masks:
    """Sets (set, part) drawn evenly: first how many parts are added, then which."""
    generator = seed.generator()
    logs = _logs(int(free.sum()), radius)
    shares = np.cumsum(np.exp(logs - logs.max()))
    added: Ints = np.searchsorted(shares, generator.random(draws) * shares[-1], side="right")
    lots = np.where(free, generator.random((draws, len(free))), np.inf)
    return np.asarray(chosen | (lots.argsort(axis=1).argsort(axis=1) < added[:, None]))
