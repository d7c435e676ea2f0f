# SPDX-License-Identifier: Apache-2.0
"""Stability certification: lower confidence limits of soft stability rates."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from assay.basics.betting import betting_interval
from assay.basics.errors import InputError
from assay.basics.samples.empirical_bernstein import empirical_bernstein
from assay.basics.stats import clopper_pearson
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.fast_path import fast_path
from assay.cases.removals import Removal
from assay.engine.coalitions.masks import TOP_SHARE, check_masks, present_parts, random_parts
from assay.engine.cost import Given
from assay.engine.declare import certifier
from assay.engine.feature_sets.masked_decisions import MaskedDecisions, search_worst_additions
from assay.engine.feature_sets.supersets import Sampling, count_supersets, draw_supersets, enumerate_supersets
from assay.model.transformations.frozen_masks import BernoulliMasks
from assay.nouns.catalogue import Check, Cost
from assay.nouns.results.result import Note

Limits = Literal["clopper-pearson", "empirical-bernstein"]

LOOKS = 12
"""How often a row with a tolerance is looked at before its draws are spent."""


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """Supersets of the top quarter of the parts and of a random quarter, both quarters, and the class of each row.

    It is the most there can be: with a tolerance rows stop early, and a search for a worst set ends where it finds one.
    """
    counts = present_parts(case).sum(axis=1)
    top = int(np.ceil(TOP_SHARE * len(case.features) - 1e-9))
    free = [max(int(parts) - top, 0) for parts in counts]

    def sets(radius: int) -> int:
        return sum(int(min(count_supersets(one, radius, o.sampling), o.draws)) for one in free)

    own = sum(map(sets, range(1, o.radius + 1))) if o.curve else sets(o.radius)
    worst = sum(max(one - step, 0) for one in free for step in range(o.radius)) if o.worst else 0
    full = len(case) if o.smoothing < 1 else 0
    each = o.remove.fills * (o.masks if o.smoothing < 1 else 1)
    total = own + sets(o.radius) + 2 * len(case) + worst + full
    return Cost(total * each + len(case)) * case.model.passes_per_row


@certifier(
    source="jin2025",
    needs={"classes"},
    claims={"enumerable"},
    cost=_cost,
    checks=(
        Check(
            "CRT101",
            "How often does the predicted class stay when features are added to the top ones?",
            "Compare with random features of the same number: a stable class is not a right one.",
            claim="at least {estimate:.0%} of the sets with added features keep the class of the top ones",
            reads="rate_low",
            bounds=(0.0, 1.0),
        ),
    ),
)
def soft_stability(
    case: Case,
    parts: Any,
    *,
    radius: int = 2,
    draws: int = 150,
    confidence: float = 0.95,
    sampling: Sampling = "ball",
    limits: Limits = "clopper-pearson",
    tolerance: float | None = None,
    smoothing: float = 1.0,
    masks: int = 32,
    curve: bool = False,
    worst: bool = False,
    remove: Removal = DEFAULT,
) -> dict[str, Any]:
    """Lower confidence limit of the stability rate: the share of added feature sets that keep the predicted class.

    τ = Pr[class(x∘α′) = class(x∘α)] for α′ uniform over the sets that contain α = ``parts`` (row, part) and at most
    ``radius`` more parts, α itself included; most of these sets add ``radius`` parts. With ``sampling="shell"`` they
    add exactly ``radius`` parts, or all there are. 1 is best. ``rate_low`` is the lower Clopper–Pearson limit from
    ``draws`` sets a row; ``extra`` holds the observed ``rate`` and ``rate_high``. Where there are at most ``draws``
    sets, all are evaluated and the three are equal (``exact``). ``confidence`` is the coverage for each row separately,
    not for all rows together. The rate is not a worst case: at any rate below 1 there may be a set that changes the
    class. ``worst`` searches for one: extra["worst"] is the number of features that the found set adds (the worst
    single one, or greedily more, up to ``radius``), NaN where none was found, which proves nothing;
    extra["worst_set"] (row, part) is the set, extra["worst_single"] the margin that the worst single feature leaves.

    With a ``tolerance`` a row stops as soon as its lower limit is within it of the observed rate. Its limits are those
    of a confidence sequence, valid whenever one stops (Waudby-Smith and Ramdas 2024), a little wider than others;
    extra["draws"] is the number of sets used. With ``curve``, extra["curve"] (row, radius) holds the rates at the radii
    1 … ``radius``, and extra["curve_low"] their lower limits, which hold for all radii at once (Bonferroni).

    ``smoothing`` below 1 certifies another model: the majority over ``masks`` fixed random masks, each of which keeps a
    feature with that probability; they follow from the seed (``assay.model.multiplicative_smoothing`` with Bernoulli
    noise). 0.6 to 0.8 lifts the rates at little cost in accuracy (``agreement``). The authors' code draws new masks for
    every call, so that its model is no function. With ``limits="empirical-bernstein"`` the rate is the mean share of
    these masks that vote for the class of α: a mean of numbers between 0 and 1, with Maurer and Pontil's limits.

    The class is that of the mean probabilities over the removal's fillings; of the mean scores where these are no log
    odds, or the threshold is one of the score. Without smoothing the certificate holds for the model itself.
    ``consistent``: the class at α is the class at the full row. ``control`` holds the limit of random parts, as many as
    are explained. All explanations of one case use the same random numbers, so their rates are comparable.
    """
    chosen = check_masks(case, parts)
    _check(radius, draws, masks, smoothing, tolerance)
    noise = BernoulliMasks.draw(len(case.features), smoothing, masks, case.seed) if smoothing < 1 else None
    path = fast_path(case, remove, 2 * draws * (1 if noise is None else masks))
    decisions = MaskedDecisions(path.game, None if noise is None else noise.masks)
    plan = _Plan(case, decisions, draws, confidence, sampling, limits, tolerance)
    found = plan.rates(chosen, radius)
    control = plan.rates(random_parts(case, chosen.sum(axis=1)), radius)
    predicted = case.predicted(case.rows.x)
    full = predicted if noise is None else decisions.classes(np.arange(len(case)), np.ones_like(chosen))
    extra = {**found.extra, "consistent": (found.centre == full).astype(float)}
    extra |= {} if noise is None else {"class": full.astype(float)}
    extra |= {} if tolerance is None else {"draws": np.array([float(len(one)) for one in found.values])}
    extra |= plan.curve(chosen, radius, found) if curve else {}
    notes: tuple[Note, ...] = ()
    if worst:
        hit = search_worst_additions(decisions, chosen, plan.free(chosen), found.centre, radius)
        extra |= hit.extra
        notes = _attacked(case, hit.changed, radius)
    return {
        "bounds": {"rate_low": found.low},
        "abstained": np.zeros(len(case), dtype=bool),
        "theorem": f"{plan.limits_name} of the stability rate at radius {radius} (Jin et al. 2025)",
        "assumptions": (
            f"features are removed by {remove!r}, and the model is deterministic",
            "sets of features are drawn uniformly; the confidence holds for each row separately",
        ),
        "confidence": confidence,
        "draws": draws,
        "guarantee": "exact" if found.exact.all() else "probabilistic",
        "unit": f"share of the sets that add {'at most' if sampling == 'ball' else 'exactly'} {radius} features",
        "certified": "the model itself" if noise is None else f"the model smoothed with {noise.text}",
        "agreement": float(np.mean(full == predicted)),
        "histogram": np.bincount(full, minlength=len(case.model.classes)) / len(case),
        "cap": 1.0,
        "control": {"rate_low": control.low},
        "extra": extra,
        "notes": (*notes, *path.notes),
    }


def _check(radius: int, draws: int, masks: int, smoothing: float, tolerance: float | None) -> None:
    """``InputError`` for impossible options."""
    if radius < 1 or draws < 1 or masks < 1:
        raise InputError(
            f"radius={radius}, draws={draws}, masks={masks}; they must satisfy radius ≥ 1, draws ≥ 1, masks ≥ 1."
        )
    if not 0 < smoothing <= 1 or (tolerance is not None and not tolerance > 0):
        raise InputError(f"smoothing={smoothing}, tolerance={tolerance}; needed: 0 < smoothing ≤ 1, tolerance > 0.")


@dataclass(frozen=True, eq=False)
class Rates:
    """Stability rates (row,) with their limits, which of them are ``exact``, and the class (row,) at the parts alone.

    ``values`` holds, for each row, whether each set kept the class, or the share of the votes for it.
    """

    values: list[Floats]
    rate: Floats
    low: Floats
    high: Floats
    exact: Masks
    centre: Ints

    @property
    def extra(self) -> dict[str, Floats]:
        """The numbers besides the lower limit."""
        return {"rate": self.rate, "rate_high": self.high, "exact": self.exact.astype(float)}


@dataclass(frozen=True, eq=False)
class _Plan:
    """How rates are estimated: the model's decisions, the number and kind of draws, and the kind of limits."""

    case: Case
    decisions: MaskedDecisions
    draws: int
    confidence: float
    sampling: Sampling
    limits: Limits
    tolerance: float | None

    @property
    def limits_name(self) -> str:
        """The kind of limits, as text."""
        if self.tolerance is not None:
            return "limits of a betting confidence sequence"
        return "Clopper–Pearson limits" if self.limits == "clopper-pearson" else "empirical-Bernstein limits"

    def free(self, chosen: Masks) -> Masks:
        """The parts (row, part) that can be added."""
        return np.asarray(present_parts(self.case) & ~chosen)

    def rates(self, chosen: Masks, radius: int, centre: Ints | None = None) -> Rates:
        """Rates of the sets within ``radius`` of the chosen parts, whose classes may be known."""
        case, free = self.case, self.free(chosen)
        exact = np.array([count_supersets(int(row.sum()), radius, self.sampling) <= self.draws for row in free])
        sets = [
            enumerate_supersets(chosen[row], free[row], radius, self.sampling)
            if is_exact
            else draw_supersets(
                chosen[row],
                free[row],
                radius,
                self.draws,
                case.seed.child("supersets", case.rows.ids[row]),
                self.sampling,
            )
            for row, is_exact in enumerate(exact)
        ]
        centre = self.decisions.classes(np.arange(len(case)), chosen) if centre is None else centre
        if self.tolerance is None:
            values = self._evaluate(sets, centre, np.arange(len(case)))
        else:
            values = self._until_tolerance(sets, centre, exact)
        rate = np.array([one.mean() for one in values])
        low, high = self._limits_of(values, rate, exact, self.confidence)
        return Rates(values, rate, low, high, exact, centre)

    def curve(self, chosen: Masks, radius: int, last: Rates) -> dict[str, Floats]:
        """Rates and lower limits (row, radius) at 1 … ``radius``; ``last`` are those at the largest."""
        found = [*(self.rates(chosen, one, last.centre) for one in range(1, radius)), last]
        level = 1 - (1 - self.confidence) / radius
        low = [self._limits_of(one.values, one.rate, one.exact, level)[0] for one in found]
        return {"curve": np.stack([one.rate for one in found], axis=1), "curve_low": np.stack(low, axis=1)}

    def _evaluate(self, sets: list[Masks], centre: Ints, rows: Ints) -> list[Floats]:
        """For each of the ``rows``, whether each set keeps its class, or the share of the votes for it."""
        sizes = [len(sets[row]) for row in rows.tolist()]
        owners = np.repeat(rows, sizes)
        keep, labels = np.concatenate([sets[row] for row in rows.tolist()]), centre[owners]
        if self.limits == "empirical-bernstein":
            found = self.decisions.share(owners, keep, labels)
        else:
            found = (self.decisions.classes(owners, keep) == labels).astype(float)
        return np.split(found, np.cumsum(sizes)[:-1])

    def _until_tolerance(self, sets: list[Masks], centre: Ints, exact: Masks) -> list[Floats]:
        """The same with draws a block at a time, until the lower limit of a row is within the tolerance of its rate."""
        assert self.tolerance is not None
        values = [np.zeros(0) for _ in sets]
        block = max(10, -(-self.draws // LOOKS))
        rows = np.arange(len(sets))
        while len(rows):
            some = [
                masks if exact[row] else masks[len(values[row]) : len(values[row]) + block]
                for row, masks in enumerate(sets)
            ]
            for row, new in zip(rows.tolist(), self._evaluate(some, centre, rows)):
                values[row] = np.concatenate([values[row], new])
            rows = rows[[not exact[row] and len(values[row]) < self.draws for row in rows.tolist()]]
            if len(rows):
                some = [values[row] for row in rows.tolist()]
                low, _ = self._intervals(some, self.confidence)
                rows = rows[np.mean(some, axis=1) - low > self.tolerance]
        return values

    def _limits_of(self, values: list[Floats], rate: Floats, exact: Masks, level: float) -> tuple[Floats, Floats]:
        """The limits (row,) of each row's rate; the rate itself where it is exact."""
        low, high = rate.copy(), rate.copy()
        for size in {len(one) for one, is_exact in zip(values, exact) if not is_exact}:
            rows = np.array([row for row, one in enumerate(values) if len(one) == size and not exact[row]])
            low[rows], high[rows] = self._intervals([values[row] for row in rows.tolist()], level)
        return low, high

    def _intervals(self, values: list[Floats], level: float) -> tuple[Floats, Floats]:
        """The limits (row,) of rows with as many draws each."""
        if self.tolerance is not None:
            return betting_interval(np.stack(values, axis=1), 0.0, 1.0, 1 - level, horizon=self.draws)
        if self.limits == "empirical-bernstein":
            found = [empirical_bernstein(one, level) for one in values]
        else:
            found = [clopper_pearson(int(one.sum()), len(one), level) for one in values]
        return np.array([one.low for one in found]), np.array([one.high for one in found])


def _attacked(case: Case, changed: Masks, radius: int) -> tuple[Note, ...]:
    rows = tuple(name for name, hit in zip(case.rows.ids, changed) if hit)
    text = (
        f"a search found a set of at most {radius} added features that changes the class in {len(rows)} of {len(case)} "
        f"rows; it is an attack, and where it found none there may be one"
    )
    return (Note("worst", text, rows),)
