# SPDX-License-Identifier: Apache-2.0
"""The German credit demo: a gradient-boosted pipeline is trained, audited, repaired and audited again."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from assay import explain
from assay.auditing.audit import prepare
from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.cases.new_case import case
from assay.data import german_credit
from assay.demos.demo import Demo
from assay.model.adapters.sklearn import sklearn
from assay.model.model import Model
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.records.record import Reason, Reasons

GROUP = 100
"""Number of rows drawn from each comparison group."""


def credit(*, profile: str = "quick", seed: int = 0) -> Demo:
    """Train a pipeline on 700 applications, and prepare its audit on the other 300."""
    pandas = need("pandas", extra="demo")
    frame = pandas.DataFrame(german_credit())
    label = frame.pop("credit")
    order = Seed(seed).child("credit", "split").generator().permutation(len(frame))
    train_rows, test_rows = np.sort(order[:700]), np.sort(order[700:])
    train, test = frame.iloc[train_rows], frame.iloc[test_rows]
    recipe = Recipe(fit, train, label.iloc[train_rows], regularises=True)
    model = sklearn(fit(train, label.iloc[train_rows], Seed(seed), 0.0), output="probabilities", name="credit pipeline")
    prepared = prepare(
        model,
        test,
        label.iloc[test_rows],
        train=(train, label.iloc[train_rows]),
        sensitive={
            "sex as coded": test["status_sex"].str.split(",").str[0],
            "age": np.where(test["age"] <= 25, "25 or younger", "older"),
        },
        favourable="good",
        recipe=recipe,
        profile=profile,
        seed=seed,
    )
    reasons = refusal_reasons(model, train, test, seed)
    return Demo(prepared, "German credit: who gets a loan, and why", reasons)


def fit(x: Any, y: Any, seed: Seed, strength: float) -> Pipeline:
    """Fit a pipeline: one-hot encoding of text columns, then 300 boosted trees; 30 shallow trees at strength 1."""
    text = [name for name in x.columns if not np.issubdtype(np.asarray(x[name]).dtype, np.number)]
    encoder = ColumnTransformer([("text", OneHotEncoder(handle_unknown="ignore"), text)], remainder="passthrough")
    trees = GradientBoostingClassifier(
        n_estimators=max(20, round(300 * 0.1**strength)),
        max_depth=4 if strength < 0.5 else 2,
        learning_rate=0.1,
        subsample=0.8,
        random_state=seed.child("credit", "fit").entropy % 2**32,
    )
    return Pipeline([("encode", encoder), ("trees", trees)]).fit(x, y)


def refusal_reasons(model: Model, train: Any, test: Any, seed: int) -> tuple[Reasons, ...]:
    """Reasons why the most confidently refused application was refused, compared with approved and with all rows."""
    all_rows = case(model, train, target="probability", label="good", seed=seed)
    approved = all_rows.output > 0.5
    applicants = case(model, test, target="probability", label="good", seed=seed)
    refused = int(np.argmin(applicants.output))
    one = case(
        model,
        test.iloc[[refused]],
        target="probability",
        label="good",
        ids=[str(test.index[refused])],
        seed=seed,
    )
    return tuple(
        _reasons(one, group, name, seed)
        for name, group in (("approved applicants", train[approved]), ("all applicants", train))
    )


def _reasons(one: Any, group: Any, name: str, seed: int) -> Reasons:
    chosen = (
        Seed(seed).child("credit", "group", name).generator().choice(len(group), min(GROUP, len(group)), replace=False)
    )
    e = explain.reason_codes(one, comparison=group.iloc[np.sort(chosen)], group=name, budget=1024)
    order = np.argsort(e.values[0])
    lines = tuple(
        Reason(
            part=e.features.names[i],
            shown=e.part_texts[0][i],
            effect=float(e.values[0, i]),
            low=float(e.extra["low"][0, i]),
            high=float(e.extra["high"][0, i]),
        )
        for i in order[:8]
    )
    return Reasons(
        f"application {one.rows.ids[0]}",
        name,
        "probability of 'good'",
        float(e.output[0]),
        float(e.base[0]),
        lines,
    )
