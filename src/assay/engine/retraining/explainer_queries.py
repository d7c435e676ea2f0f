# SPDX-License-Identifier: Apache-2.0
"""The rows that an explainer asks a model about, and how well a forest tells them from rows of data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from assay.basics.seed import Seed
from assay.basics.stats import auc
from assay.basics.types import Array, Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.recompute import recompute
from assay.engine.retraining.split_statistics import classify_side
from assay.nouns.inputs.rows import Rows, to_floats
from assay.nouns.results.result import Explanation


def explainer_queries(case: Case, explanation: Explanation) -> tuple[Floats, Ints]:
    """The rows that the explainer asks the model about, and the position of the row that each was made for."""
    model, position = case.model, {name: place for place, name in enumerate(case.rows.ids)}
    inputs, origins = [to_floats(case.rows.x)[:0]], [np.zeros(0, dtype=np.int64)]

    def forward(rows: Rows) -> Array:
        inputs.append(to_floats(rows.x))
        origins.append(np.array([position[name] for name in rows.ids], dtype=np.int64))
        return model.forward(rows)

    recompute(
        explanation,
        replace(case, model=replace(model, forward=forward, fast=False), seed=explanation.provenance.seed),
    )
    return np.concatenate(inputs), np.concatenate(origins)


def separability(queries: Floats, halves: Ints, real: Floats, seed: Seed, limit: int) -> tuple[float, int, int]:
    """The AUC of queries against data, and the numbers of both, at most ``limit`` of each half and of data.

    ``halves`` (query,) is the half that a query's row is in, 0 or 1.
    """
    even, odd = (_sample(queries[halves == half], seed.child("queries", half), limit) for half in (0, 1))
    count = min(len(even), len(odd))
    paired = np.stack([even[:count], odd[:count]], axis=1).reshape(2 * count, -1)  # the forest's halves alternate
    sampled = _sample(real, seed.child("data"), limit)
    scores, _ = classify_side(np.nan_to_num(paired), np.nan_to_num(sampled), seed)
    return auc(scores[len(paired) :], scores[: len(paired)]), len(paired), len(sampled)


def are_among(rows: Floats, known: Floats) -> Masks:
    """Whether each row (row,) is equal to one of the known rows, byte by byte."""
    contents = {row.tobytes() for row in known}
    return np.array([row.tobytes() in contents for row in rows], dtype=bool)


def _sample(rows: Floats, seed: Seed, limit: int) -> Floats:
    """At most ``limit`` rows of one kind in random order."""
    return np.asarray(rows[seed.generator().permutation(len(rows))[:limit]])
