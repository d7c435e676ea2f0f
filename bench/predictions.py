"""Do the checks of predictions and of drift find what is planted, and nothing where nothing is planted?

Simulations behind tests/judge/test_predictions.py. ``python bench/predictions.py [RUNS]`` prints the rates.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import assay
from assay import diagnose
from assay.nouns.results.finding import Finding

COLUMNS = 20
WEIGHTS = np.linspace(0.1, 0.6, COLUMNS)


def _rows(seed: int, rows: int) -> tuple[Any, Any]:
    """Twenty columns that all bear on the label, some more than others."""
    generator = np.random.default_rng([seed, 16])
    x = generator.normal(size=(rows, COLUMNS))
    return x, (generator.random(rows) < 1 / (1 + np.exp(-x @ WEIGHTS))).astype(int)


def _finding(findings: list[Finding], code: str) -> Finding:
    return next(finding for finding in findings if finding.code == code)


def shuffled_labels(seed: int, planted: bool) -> Finding:
    """A forest trained on 600 rows, with their labels in random order where planted; 400 rows test it."""
    x, y = _rows(seed, 1000)
    trained = np.random.default_rng(seed).permutation(y[:600]) if planted else y[:600]
    forest = RandomForestClassifier(50, min_samples_leaf=5, random_state=seed).fit(x[:600], trained)
    return _finding(diagnose.performance(assay.case(assay.wrap(forest), x[600:], seed=seed), y[600:]), "PER101")


def extreme_probabilities(seed: int, planted: bool) -> Finding:
    """A logistic regression, its log odds times five where planted; 1,000 rows test it."""
    x, y = _rows(seed, 3000)
    fitted = LogisticRegression().fit(x[:2000], y[:2000])
    scale = 5.0 if planted else 1.0
    model = assay.wrap(lambda rows: scale * fitted.decision_function(rows), output="margin", classes=("0", "1"))
    return _finding(diagnose.performance(assay.case(model, x[2000:], seed=seed), y[2000:]), "PER104")


def _frame(seed: int, rows: int) -> pd.DataFrame:
    generator = np.random.default_rng([seed, 17])
    table = pd.DataFrame(generator.normal(size=(rows, 8)), columns=[f"x{i}" for i in range(8)])
    table["x1"] = table["x1"].where(generator.random(rows) > 0.1)
    for name, levels in (("job", 4), ("town", 12)):
        table[name] = generator.choice([f"{name} {i}" for i in range(levels)], rows)
    return table


def weak_segment(seed: int, planted: bool) -> Finding:
    """Half of the decisions about 8 % of 2,000 rows are wrong where planted, of all others one in ten."""
    table = _frame(seed, 2000)
    weak = ((table["x2"] > table["x2"].quantile(0.68)) & (table["job"] == "job 1")).to_numpy()
    wrong = np.random.default_rng([seed, 18]).random(len(table)) < np.where(weak & planted, 0.5, 0.1)
    model = assay.wrap(lambda t: 2.0 * t["x0"].to_numpy(), output="margin", classes=("0", "1"))
    y = ((table["x0"] > 0).to_numpy() ^ wrong).astype(int)
    return diagnose.weak_segments(assay.case(model, table, seed=seed), y)[0]


def wide_residuals(seed: int, planted: bool) -> Finding:
    """Residuals of 8 % of 2,000 rows are 2.5 times as large where planted."""
    table = _frame(seed, 2000)
    weak = ((table["x2"] > table["x2"].quantile(0.68)) & (table["job"] == "job 1")).to_numpy()
    residual = np.random.default_rng([seed, 19]).normal(size=len(table)) * np.where(weak & planted, 2.5, 1.0)
    model = assay.wrap(lambda t: t["x0"].to_numpy(), output="values")
    return diagnose.weak_segments(assay.case(model, table, seed=seed), table["x0"].to_numpy() + residual)[0]


def drifted_number(seed: int, planted: bool) -> Finding:
    """One of ten columns of 400 test rows is shifted by a standard deviation against 400 training rows."""
    return _drift(seed, lambda test: test.assign(x3=test["x3"] + 1.0) if planted else test)


def drifted_level(seed: int, planted: bool) -> Finding:
    """Half of 400 test rows get one level of a column."""
    return _drift(
        seed, lambda test: test.assign(job=test["job"].where(np.arange(400) % 2 > 0, "job 1")) if planted else test
    )


def _drift(seed: int, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Finding:
    table = _frame(seed, 800)
    test = change(table[:400].reset_index(drop=True))
    model = assay.wrap(lambda t: np.zeros(len(t)), output="values")
    return diagnose.drift(assay.case(model, test, seed=seed), table[400:])[0]


@dataclass(frozen=True)
class Fault:
    """A fault to plant, and what the finding must name."""

    plant: Callable[[int, bool], Finding]
    names: str = ""


FAULTS = {
    fault.plant.__name__: fault
    for fault in (
        Fault(shuffled_labels),
        Fault(extreme_probabilities),
        Fault(weak_segment, "job is job 1"),
        Fault(wide_residuals, "job is job 1"),
        Fault(drifted_number, "`x3`"),
        Fault(drifted_level, "`job`"),
    )
}


@cache
def verdicts(name: str, runs: int, planted: bool) -> Counter[str]:
    """How often each verdict is found; "named" counts failures that name what was planted."""
    fault, counts = FAULTS[name], Counter[str]()
    for seed in range(runs):
        finding = fault.plant(seed, planted)
        counts[finding.verdict] += 1
        counts["named"] += finding.verdict == "fail" and fault.names in finding.claim
    return counts


def main() -> None:
    """Print the rates."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    for name in FAULTS:
        started = time.monotonic()
        print(name, *(dict(verdicts(name, runs, planted)) for planted in (True, False)), end=" ")
        print(f"{time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
