"""Model-agnostic Shapley values of a forest of forty columns, beside shap's KernelExplainer at equal error.

Writes bench/forest.md (make peers). The truth is `explain.tree_shapley` against the same background (exact). shap gets
three budgets; for each, ours is the smallest budget of a grid whose error is no larger. One thread, wall time.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import shap
from sklearn.ensemble import RandomForestRegressor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import table, write  # found only once the folder is on the path

import assay  # as above
from assay import explain  # as above

COLUMNS, ROWS, GROUP = 40, 8, 20
THEIRS: tuple[int | str, ...] = ("auto", 512, 1024, 2048)
TIMES = 3
OURS = (90, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)


def fitted() -> tuple[Any, np.ndarray]:
    """A forest of a hundred trees on forty columns, of which a dozen matter, two by two."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(2000, COLUMNS))
    y = sum(x[:, 2 * i] * x[:, 2 * i + 1] + x[:, 2 * i] for i in range(6)) + 0.3 * generator.normal(size=2000)
    return RandomForestRegressor(100, max_depth=10, max_features=0.4, random_state=0, n_jobs=1).fit(x, y), x


def error(found: np.ndarray, truth: np.ndarray) -> float:
    """Median over rows of Σ(φ̂ − φ)² / Σφ²."""
    return float(np.median(((found - truth) ** 2).sum(axis=1) / (truth**2).sum(axis=1)))


def mine(forest: Any, rows: np.ndarray, group: np.ndarray, budget: int) -> np.ndarray:
    return explain.shapley(assay.case(assay.wrap(forest), rows), remove=assay.Marginal(group), budget=budget).values


def theirs(forest: Any, rows: np.ndarray, group: np.ndarray, budget: int | str, l1: Any) -> np.ndarray:
    np.random.seed(0)  # noqa: NPY002  # shap draws from the global stream
    explainer = shap.KernelExplainer(forest.predict, group)
    return np.asarray(explainer.shap_values(rows, nsamples=budget, l1_reg=l1, silent=True))


def timed(work: Callable[[], np.ndarray], truth: np.ndarray) -> tuple[float, float]:
    """Median seconds, and the error."""
    seconds = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - begun)
    return float(np.median(seconds)), error(found, truth)


def main() -> None:
    """Measure and write."""
    warnings.filterwarnings("ignore")
    forest, x = fitted()
    rows, group = x[:ROWS], x[-GROUP:]
    truth = explain.tree_shapley(assay.case(assay.wrap(forest), rows), background=group).values
    ours = {budget: timed(lambda b=budget: mine(forest, rows, group, b), truth) for budget in OURS}
    lines = []
    for kind, l1 in (("default", "num_features(10)"), ("l1_reg=False", False)):
        for budget in THEIRS:
            took, off = timed(lambda b=budget, l=l1: theirs(forest, rows, group, b, l), truth)
            enough = next((b for b in OURS if ours[b][1] <= off), None)
            found = ours[enough] if enough else (float("nan"), float("nan"))
            ratio = took / found[0]
            seen = [f"{took:.2f} s", f"{off:.3g}", f"{enough}", f"{found[0]:.2f} s", f"{found[1]:.3g}"]
            lines.append([f"{kind}, {budget}", *seen, f"{ratio:.1f}" if ratio >= 5 else f"**{ratio:.1f}**"])
            print(lines[-1], file=sys.stderr, flush=True)
    heads = ["KernelExplainer, nsamples", "time", "error", "our budget", "time", "error", "times as fast (bar: 5)"]
    told = (
        f"Random forest, 100 trees of depth 10, {COLUMNS} columns; {ROWS} rows, {GROUP} background rows; one thread, "
        f"medians of {TIMES}. Error: median over rows of Σ(φ̂ − φ)² / Σφ² against exact tree Shapley values."
    )
    write("forest", "A forest of forty columns, model-agnostic", told, table(heads, lines))


if __name__ == "__main__":
    main()
