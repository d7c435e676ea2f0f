"""Tree Shapley values beside shap's and woodelf's: seconds, and how far the values are apart.

Writes bench/trees.md (make peers). One thread; whole calls, the reading of the trees and the building of explainers
included; the order of the two changes from pair to pair.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import shap
import xgboost
from sklearn.ensemble import RandomForestRegressor
from woodelf import WoodelfExplainer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import table, write  # found only once the folder is on the path

import assay  # as above
from assay import explain  # as above

ROWS, COLUMNS, TREES, PAIRS = 1000, 12, 100, 3


def drawn(rows: int, columns: int = COLUMNS) -> tuple[np.ndarray, np.ndarray]:
    """Numbers with products, a wave and noise."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(rows, columns)).astype(np.float32)
    y = x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]) + x[:, 3] * x[:, 4] * x[:, 5] + x[:, 6]
    return x, y + 0.3 * generator.normal(size=rows)


def boosted(depth: int, rows: int) -> Any:
    x, y = drawn(rows)
    return xgboost.XGBRegressor(n_estimators=TREES, max_depth=depth, learning_rate=0.1, n_jobs=1).fit(x, y)


def ours(model: Any, x: np.ndarray, background: np.ndarray | None = None) -> np.ndarray:
    case = assay.case(assay.wrap(model), x.astype(np.float64))
    return explain.tree_shapley(case, background=background).values


def of_shap(model: Any, x: np.ndarray, background: np.ndarray | None = None) -> np.ndarray:
    masker = None if background is None else shap.maskers.Independent(background, max_samples=len(background))
    return np.asarray(shap.TreeExplainer(model, masker).shap_values(x, check_additivity=False))


def of_woodelf(model: Any, x: np.ndarray, background: np.ndarray) -> np.ndarray:
    names = [f"f{i}" for i in range(x.shape[1])]
    booster = model.get_booster()
    booster.feature_names = names
    explainer = WoodelfExplainer(booster, data=pd.DataFrame(background, columns=names))
    found = explainer.shap_values(pd.DataFrame(x, columns=names), verbose=False)
    booster.feature_names = None
    return np.asarray(found)


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    found = work()
    return time.perf_counter() - begun, found


def beside(name: str, mine: Callable[[], Any], theirs: Callable[[], Any], bar: float, pairs: int = PAIRS) -> list[str]:
    """One line of the table: medians, the ratio with its spread, the largest difference of the values."""
    mine()  # once for what is loaded and compiled
    times: list[tuple[float, float]] = []
    for turn in range(pairs):
        both = [seconds(work) for work in ((mine, theirs) if turn % 2 else (theirs, mine))]
        (a, one), (b, other) = both if turn % 2 else both[::-1]
        times.append((a, b))
    ratios = sorted(b / a for a, b in times)
    middle = median(ratios)
    told = f"≥ {bar:g}" if middle >= bar else f"**≥ {bar:g}: missed**"
    a, b = median(a for a, _ in times), median(b for _, b in times)
    spread = f"{middle:.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"
    print(name, spread, file=sys.stderr, flush=True)
    return [name, f"{a:.2f} s", f"{b:.2f} s", spread, told, f"{np.abs(one - other).max():.0e}"]


def lines() -> list[list[str]]:
    shallow, deep = boosted(6, 4000), boosted(14, 1000)
    x, _ = drawn(4000)
    rows = x[:ROWS]
    forest = RandomForestRegressor(TREES, max_depth=14, random_state=0, n_jobs=1).fit(*drawn(1000))
    return [
        beside("path-dependent, depth 6 · shap", lambda: ours(shallow, rows), lambda: of_shap(shallow, rows), 1.1),
        beside("path-dependent, depth 14 · shap", lambda: ours(deep, rows), lambda: of_shap(deep, rows), 0.8),
        beside(
            "path-dependent, random forest of depth 14 · shap",
            lambda: ours(forest, rows),
            lambda: of_shap(forest, rows),
            0.8,
        ),
        beside(
            "interventional, 200 background rows, depth 6 · shap",
            lambda: ours(shallow, rows, x[:200]),
            lambda: of_shap(shallow, rows, x[:200]),
            12,
        ),
        beside(
            "interventional, 2,000 background rows, depth 6 · woodelf",
            lambda: ours(shallow, rows, x[-2000:]),
            lambda: of_woodelf(shallow, rows, x[-2000:]),
            2,
        ),
    ]


def growth() -> str:
    """Seconds as rows and background grow."""
    model, (x, _) = boosted(6, 4000), drawn(64_000)
    wide = [[f"{n:,}", f"{seconds(lambda n=n: ours(model, x[:n]))[0]:.2f} s"] for n in (1000, 4000, 16_000)]
    deep = [[f"{n:,}", f"{seconds(lambda n=n: ours(model, x[:1000], x[:n]))[0]:.2f} s"] for n in (1000, 16_000, 64_000)]
    return "\n\n".join(
        [table(["rows, path-dependent", "time"], wide), table(["background rows, 1,000 rows explained", "time"], deep)]
    )


def main() -> None:
    warnings.filterwarnings("ignore")
    told = (
        f"XGBoost, {TREES} trees (and one forest of scikit-learn), {COLUMNS} columns, {ROWS:,} rows explained, one "
        f"thread, medians of {PAIRS} interleaved pairs with their range. shap sums in C; assay "
        f"and woodelf use numpy."
    )
    heads = ["what · beside", "assay", "peer", "peer / assay", "bar", "largest difference"]
    write("trees", "Tree Shapley values beside shap and woodelf", told, table(heads, lines()), growth())


if __name__ == "__main__":
    main()
