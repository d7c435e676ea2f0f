"""How far sampled Shapley values are from the truth, beside peers. Writes bench/estimators.md (make peers).

Run in .venv-peers with OMP_NUM_THREADS=1. The games: ``random_game`` below, 4 · 30 coalitions.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import table, write  # found only once the folder is on the path

from assay.basics.seed import Seed  # as above
from assay.engine.coalitions.permutations import permutations  # as above
from assay.engine.coalitions.regression_adjustment import regression_adjusted  # as above

PARTS = 30
BUDGETS = (150, 300, 600, 1500)
SEEDS = 20
DEAR = 3
"""Seeds of methods that take several seconds a game."""
BARS = (0.08, 0.03, 0.012, 0.004)

Value = Callable[[np.ndarray], np.ndarray]


def random_game(seed: int, parts: int = PARTS, order: int = 4, many: int = 4) -> tuple[Value, np.ndarray]:
    """A sum of ``many`` · parts unanimity games c · 1[T ⊆ S], and its Shapley values.

    |T| uniform on 1 … order, T uniform among sets of its size, c standard normal; all from numpy's default_rng(seed).
    """
    generator = np.random.default_rng(seed)
    members = np.zeros((many * parts, parts))
    height = np.zeros(len(members))
    for row in range(len(members)):
        members[row, generator.choice(parts, int(generator.integers(1, order + 1)), replace=False)] = 1.0
        height[row] = generator.normal()
    size = members.sum(axis=1)
    return lambda masks: (np.atleast_2d(masks).astype(float) @ members.T == size) @ height, (height / size) @ members


def ours(fit: str) -> Callable[[Value, int, int], np.ndarray]:
    """Our estimate: value, budget, seed → Shapley values."""
    summary = permutations if fit == "permutation" else regression_adjusted(fit)  # type: ignore[arg-type]  # a name of the list

    def estimate(value: Value, budget: int, seed: int) -> np.ndarray:
        design = summary.design(PARTS, budget, Seed(seed))
        return np.asarray(summary.estimate(design, value(design.masks)[None]).values[0])

    return estimate


def shapiqs(name: str, **options: object) -> Callable[[Value, int, int], np.ndarray]:
    """An estimate of shapiq's."""
    import shapiq

    def estimate(value: Value, budget: int, seed: int) -> np.ndarray:
        approximator = getattr(shapiq.approximator, name)(n=PARTS, random_state=seed, **options)
        found = approximator.approximate(budget, value)
        return np.array([found[(part,)] for part in range(PARTS)])

    return estimate


def errors(estimate: Callable[[Value, int, int], np.ndarray], seeds: int) -> tuple[list[float], float]:
    """Median relative squared error at each budget, and seconds a game at the largest."""
    found, took = [], 0.0
    for budget in BUDGETS:
        start, each = time.perf_counter(), []
        for seed in range(seeds):
            value, truth = random_game(seed)
            each.append(float(((estimate(value, budget, seed) - truth) ** 2).sum() / (truth**2).sum()))
        took = (time.perf_counter() - start) / seeds
        found.append(float(np.median(each)))
    return found, took


def main() -> None:
    """Measure and write."""
    paired = {"pairing_trick": True}
    methods: dict[str, tuple[Callable[[Value, int, int], np.ndarray], int]] = {
        "assay shapley, fit='auto' (default)": (ours("auto"), SEEDS),
        "assay shapley, fit='linear'": (ours("linear"), SEEDS),
        "assay shapley, fit='odd'": (ours("odd"), SEEDS),
        "assay shapley, fit='sparse'": (ours("sparse"), SEEDS),
        "assay shapley, fit='trees'": (ours("trees"), DEAR),
        "assay permutation_shapley": (ours("permutation"), SEEDS),
        "shapiq KernelSHAP, paired": (shapiqs("KernelSHAP", **paired), SEEDS),
        "shapiq kADDSHAP, order 2, paired": (shapiqs("kADDSHAP", max_order=2, **paired), SEEDS),
        "shapiq PermutationSamplingSV": (shapiqs("PermutationSamplingSV"), SEEDS),
        "shapiq SVARM": (shapiqs("SVARM"), SEEDS),
        "shapiq UnbiasedKernelSHAP, paired": (shapiqs("UnbiasedKernelSHAP", **paired), SEEDS),
        "shapiq ProxySPEX": (shapiqs("ProxySPEX", index="SV", max_order=1), DEAR),
    }
    rows = []
    for name, (estimate, seeds) in methods.items():
        found, took = errors(estimate, seeds)
        rows.append([name, *(f"{error:.2g}" for error in found), str(seeds), f"{took:.2f}"])
        print(rows[-1], flush=True)
    rows.append(["bar", *(f"{bar:g}" for bar in BARS), "", ""])
    told = (
        f"Median over seeds of Σ(φ̂ − φ)² / Σφ². Random games of {PARTS} parts: {4 * PARTS} unanimity games of one to "
        f"four parts (sizes equally often), standard normal heights; game and estimator share the seed's number. "
        f"Seconds are a game's at {BUDGETS[-1]} evaluations, one thread."
    )
    heads = ["estimator", *(f"{budget} evaluations" for budget in BUDGETS), "seeds", "seconds"]
    write("estimators", "Sampled Shapley values: error for the budget", told, table(heads, rows))


if __name__ == "__main__":
    main()
