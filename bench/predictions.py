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
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
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


def learnt_flips(seed: int, planted: bool) -> Finding:
    """Boosted trees trained on rows whose labels are the wrong way round in a segment of 8 %, where planted.

    Labels follow a logistic law of one column, so that honest models err at the border between the classes. 2,000 rows
    test the flips; 500, 2,000 or 20,000 test the honest models.
    """
    rows, generator = 2000 if planted else (500, 2000, 20_000)[seed % 3], np.random.default_rng([seed, 20])
    table = _frame(seed, 3000 + rows)[["x0", "x2", "x3", "job"]]
    chance = 1 / (1 + np.exp(-4 * table["x0"].to_numpy()))
    y = (generator.random(len(table)) < chance).astype(int)
    weak = ((table["x2"] > 0.47) & (table["job"] == "job 1")).to_numpy()
    taught = np.where(weak & planted, 1 - y, y)
    x = table.assign(job=table["job"].astype("category"))
    boosted = HistGradientBoostingClassifier(max_iter=60, categorical_features=[3], random_state=seed)
    model = assay.wrap(boosted.fit(x[:3000], taught[:3000]))
    return diagnose.weak_segments(assay.case(model, x[3000:], seed=seed), y[3000:])[0]


def class_weights(seed: int, planted: bool) -> Finding:
    """Logistic regression with balanced weights, whose decisions for the rare class are mostly wrong.

    Nothing but the threshold is unusual. Where planted, half of the decisions about 8 % of the rows are turned round.
    """
    rows, generator = 4000, np.random.default_rng([seed, 21])
    table = _frame(seed, 3000 + rows)
    x = table[["x0", "x2", "x3"]].assign(clerk=(table["job"] == "job 1") * 1.0).to_numpy()
    y = (generator.random(len(x)) < 1 / (1 + np.exp(3.5 - 1.5 * x[:, 0] - x[:, 2]))).astype(int)
    fitted = LogisticRegression(class_weight="balanced").fit(x[:3000], y[:3000])
    weak = planted & (x[:, 1] > 0.47) & (x[:, 3] == 1) & (generator.random(len(x)) < 0.5)
    own = fitted.predict(x)
    labels = np.where(weak, np.where(own == y, 1 - y, y), y)
    case = assay.case(assay.wrap(fitted), x[3000:], names=["x0", "x2", "x3", "clerk"], seed=seed)
    return diagnose.weak_segments(case, labels[3000:])[0]


def four_fifths(seed: int, planted: bool) -> Finding:
    """Selection rates of 2 % and 6 % where planted, else of 4 % and 5 %: just four fifths; 4,000 rows a group."""
    generator, rates = np.random.default_rng([seed, 22]), (0.02, 0.06) if planted else (0.04, 0.05)
    group = np.repeat(["north", "south"], 4000)
    chosen = generator.random(8000) < np.repeat(rates, 4000)
    model = assay.wrap(lambda x: 2.0 * np.asarray(x)[:, 0] - 1, output="margin", classes=("no", "yes"))
    case = assay.case(model, np.stack([chosen, generator.random(8000)], axis=1), seed=seed)
    found = diagnose.disparity(case, group, favourable="yes", remove=assay.Constant(0.0), rows=2)
    return _finding(found, "FAI104")


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
        Fault(learnt_flips, "job is job 1"),
        Fault(class_weights, "clerk"),
        Fault(four_fifths, "in group north and"),
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
