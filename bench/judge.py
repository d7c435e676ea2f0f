"""Do intervals cover the truth as often as they say? Writes bench/judge.md.

The tests of ``make judge`` hold the same figures to limits.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.estimators import random_game  # found only once the folder is on the path
from bench.report import table, write  # as above

from assay.basics.seed import Seed  # found only once the folder is on the path
from assay.basics.stats import bootstrap, clopper_pearson, newcombe, wilson  # as above
from assay.engine.coalitions.permutations import permutations  # as above
from assay.engine.coalitions.regression_adjustment import regression_adjusted  # as above

LEVEL = 0.95
PARTS, MANY = 12, 30
DESIGNS, GAMES = 200, 10
BUDGETS = (128, 256, 512, 1024)
LARGE = (150, 300, 600, 900, 1500)
"""Budgets for the games of thirty parts."""


@dataclass(frozen=True)
class Coverage:
    """How often an interval held the truth, out of how many."""

    what: str
    hits: int
    trials: int
    width: float

    @property
    def rate(self) -> float:
        """The share that held."""
        return self.hits / self.trials

    def row(self) -> list[str]:
        """One line of the table."""
        limits = wilson(self.hits, self.trials)
        return [
            self.what,
            f"{100 * self.rate:.1f} %",
            f"{100 * limits.low:.1f} – {100 * limits.high:.1f} %",
            f"{self.trials:,}",
            f"{self.width:.3g}",
        ]


@cache
def shapley_coverage(fit: str, budget: int, parts: int = PARTS, order: int = 5) -> Coverage:
    """value ± z · stderr against exact Shapley values: a simulation is a random game under a random design.

    Each of ``DESIGNS`` designs serves ``GAMES`` games of its own (rows of one estimate, which do not see each other).
    """
    z = float(stats.norm.ppf((1 + LEVEL) / 2))
    summary = permutations if fit == "permutation" else regression_adjusted(fit)  # type: ignore[arg-type]  # a name of the list
    hits = trials = 0
    widths = []
    for seed in range(DESIGNS):
        design = summary.design(parts, budget, Seed(seed))
        games = [random_game(GAMES * seed + number, parts, order) for number in range(GAMES)]
        found = summary.estimate(design, np.stack([value(design.masks) for value, _ in games]))
        inside = np.abs(found.values - np.stack([truth for _, truth in games])) <= z * found.stderr + 1e-9
        hits, trials = hits + int(inside.sum()), trials + inside.size
        widths.append(2 * z * float(found.stderr.mean()))
    name = "permutation_shapley" if fit == "permutation" else f"shapley, fit={fit!r}"
    return Coverage(f"{name}, {parts} parts, budget {budget}", hits, trials, float(np.mean(widths)))


def rate_coverage(rate: float, trials: int) -> float:
    """Clopper–Pearson's chance of holding the true rate, summed over all outcomes: no simulation."""
    return float(
        sum(stats.binom.pmf(k, trials, rate) for k in range(trials + 1) if rate in clopper_pearson(k, trials, LEVEL))
    )


def difference_coverage(p: float, q: float, n: int, m: int) -> float:
    """Newcombe's chance of holding the true difference, summed over all pairs of outcomes."""
    first, second = stats.binom.pmf(np.arange(n + 1), n, p), stats.binom.pmf(np.arange(m + 1), m, q)
    chance = 0.0
    for i in np.flatnonzero(first > 1e-9):
        for j in np.flatnonzero(second > 1e-9):
            if (p - q) in newcombe(int(i), n, int(j), m, LEVEL):
                chance += float(first[i] * second[j])
    return chance


@cache
def mean_coverage(law: str, count: int, repeats: int = 300) -> Coverage:
    """The bootstrap's intervals for a mean of rows."""
    generator = np.random.default_rng(17)
    draws = {"normal": (generator.standard_normal, 0.0), "exponential": (generator.exponential, 1.0)}
    draw, truth = draws[law]
    found = [bootstrap(np.asarray(draw(size=count)), LEVEL, draws=1000, seed=Seed(k)) for k in range(repeats)]
    hits = sum(truth in interval for interval in found)
    return Coverage(f"{law} rows, n = {count}", hits, repeats, float(np.mean([i.high - i.low for i in found])))


@cache
def false_alarms(repeats: int = 4000, rows: int = 60) -> Coverage:
    """How often a gap between two groups of equal rates is called one: Newcombe's interval leaves 0 out."""
    generator = np.random.default_rng(23)
    alarms = 0
    for _ in range(repeats):
        first, second = generator.binomial(rows, 0.3), generator.binomial(rows, 0.3)
        alarms += 0.0 not in newcombe(int(first), rows, int(second), rows, LEVEL)
    return Coverage(f"gap of two groups of {rows}, both 30 %", alarms, repeats, 0.0)


def main() -> None:
    """Measure and write."""
    heads = ["what", "covered", "95 % limits of that", "intervals", "mean width"]
    sampled = [shapley_coverage(fit, b).row() for fit in ("auto", "linear", "permutation") for b in BUDGETS]
    sampled += [shapley_coverage(fit, b, MANY, 4).row() for fit in ("auto", "linear", "odd") for b in LARGE]
    means = [mean_coverage(law, count).row() for law in ("normal", "exponential") for count in (10, 30, 100)]
    places = [(rate, n) for n in (10, 30, 100) for rate in (0.02, 0.1, 0.3, 0.5)]
    rates = [[f"{rate:g}", str(n), f"{100 * rate_coverage(rate, n):.1f} %"] for rate, n in places]
    pairs = [(0.1, 0.1), (0.3, 0.3), (0.5, 0.4), (0.9, 0.7)]
    gaps = [[f"{p:g} – {q:g}", "30, 40", f"{100 * difference_coverage(p, q, 30, 40):.1f} %"] for p, q in pairs]
    alarm = false_alarms()
    write(
        "judge",
        "Do the intervals cover?",
        "All intervals are at 95 %.",
        f"## Sampled Shapley values\n\n{DESIGNS * GAMES:,} simulations a line: {DESIGNS} designs, {GAMES} random games "
        f"each (bench/estimators.py; up to five parts together of {PARTS}, up to four of {MANY}), an interval a part. "
        f"The limits in the table take intervals for independent, which those of one game are not.\n\n"
        + table(heads, sampled),
        "## Means over rows (BCa bootstrap)\n\n" + table(heads, means),
        "## Rates (Clopper–Pearson), summed exactly\n\n" + table(["rate", "n", "covered"], rates),
        "## Differences of rates (Newcombe), summed exactly\n\n" + table(["rates", "n", "covered"], gaps),
        f"## False alarms\n\n{alarm.what}: called a gap in {100 * alarm.rate:.1f} % of {alarm.trials:,} (nominal 5 %).",
    )


if __name__ == "__main__":
    main()
