# SPDX-License-Identifier: Apache-2.0
"""A scaffold that is built against one explainer: it hides a column from the queries that this explainer makes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from assay.basics.fingerprint import digest
from assay.basics.seed import Seed
from assay.basics.types import Array, Floats
from assay.cases.case import Case
from assay.engine.recompute import recompute
from assay.engine.search.threat import as_array
from assay.model.model import Model
from assay.model.transformations.opaque_variant import opaque_variant
from assay.nouns.inputs.rows import Rows, to_floats
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.result import Explanation

TREES = 50
"""Trees of the detector."""

MAX_ROWS = 1000
"""Rows of data, and queries, that the detector learns from."""

ORIGINS = 20
"""Rows of data that the attacker explains to see the explainer's queries."""


@dataclass(frozen=True, eq=False)
class AdaptiveScaffold:
    """The scaffolded ``model``, and its ``fidelity``: the share of other rows of data where it decides as before.

    Of a regression the share of the rows with the same outputs.
    """

    model: Model
    fidelity: float


def recorded_queries(explanation: Explanation, case: Case) -> Floats:
    """The rows (query, column) that the explainer asks the model about when it explains this case."""
    model, inputs = case.model, [to_floats(case.rows.x)[:0]]

    def forward(rows: Rows) -> Array:
        inputs.append(to_floats(rows.x))
        return model.forward(rows)

    seen = replace(model, forward=forward, fast=False)
    recompute(explanation, replace(case, model=seen, seed=explanation.provenance.seed))
    return np.concatenate(inputs)


def adaptive_scaffold(explanation: Explanation, case: Case, data: Array, part: int, seed: Seed) -> AdaptiveScaffold:
    """The case's model for rows like ``data``, and the same model without a feature for this explainer's queries.

    Slack et al. (2020), by an attacker who knows the explainer and its options: a random forest learns half of the rows
    of data against the queries made for ``ORIGINS`` of them. Where it takes a row for a query, the columns of the
    feature ``part`` get their most frequent value (numbers: the lower median) in the data. The fidelity is measured on
    the other half.
    """
    from sklearn.ensemble import RandomForestClassifier

    order = seed.child("halves").generator().permutation(len(data))
    own, others = order[::2], order[1::2]
    values = to_floats(data)
    attacked = replace(case, rows=_rows_of(case, data[own[:ORIGINS]]), label=_labels(case, len(own[:ORIGINS])))
    queries = recorded_queries(explanation, attacked)
    known = {row.tobytes() for row in values}
    queries = queries[[row.tobytes() not in known for row in queries]]
    queries = queries[seed.child("queries").generator().permutation(len(queries))[:MAX_ROWS]]
    if not len(queries):
        return AdaptiveScaffold(case.model, 1.0)
    real = values[own[:MAX_ROWS]]
    state = int(seed.child("detector").generator().integers(2**31))
    forest = RandomForestClassifier(TREES, class_weight="balanced", random_state=state)
    forest.fit(np.nan_to_num(np.concatenate([real, queries])), np.arange(len(real) + len(queries)) < len(real))
    members = np.reshape(case.features.index == part, (-1, values.shape[1]))[0]
    constants = np.array([_typical(column) for column in values.T])
    inner = case.model.forward

    def forward(rows: Rows) -> Array:
        x = to_floats(rows.x)
        is_query = ~forest.predict(np.nan_to_num(x))
        hidden = np.where(is_query[:, None] & members, constants, x)
        return inner(replace(rows, x=as_array(hidden, rows.x)))

    name = f"{case.model.name}, scaffolded against {explanation.method}"
    fingerprint = digest(case.model.fingerprint, "scaffold", explanation.provenance.options, part, seed.path, real)
    model = opaque_variant(case.model, forward, name, fingerprint, lambda model: model, differentiable=False)
    rows = _rows_of(case, data[others])
    was, now = (to_floats(one.values(rows)) for one in (case.model, model))
    if case.model.gives == "values":
        return AdaptiveScaffold(model, float((was == now).all(axis=1).mean()))
    gives = case.model.gives
    return AdaptiveScaffold(model, float((predicted_class(was, gives) == predicted_class(now, gives)).mean()))


def _rows_of(case: Case, x: Array) -> Rows:
    return replace(case.rows, x=x, ids=tuple(f"data {place}" for place in range(len(x))), carried={}, text=None)


def _labels(case: Case, count: int) -> Floats:
    """The label that most rows of the case have, for rows of data."""
    values, counts = np.unique(case.label, return_counts=True)
    return np.full(count, values[counts.argmax()], dtype=case.label.dtype)


def _typical(column: Floats) -> float:
    """The lower median of the values that are not missing; of few values the most frequent one."""
    known = np.sort(column[~np.isnan(column)])
    values, counts = np.unique(known, return_counts=True)
    if not len(known):
        return float("nan")
    return float(values[counts.argmax()]) if len(values) <= 2 else float(known[(len(known) - 1) // 2])
