# SPDX-License-Identifier: Apache-2.0
"""Quantitative input influence (QII): the change in the target when features are drawn from a comparison group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from scipy.stats import t

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Array, Floats
from assay.cases.case import Case
from assay.cases.removals import Marginal
from assay.engine.coalitions.estimator import Design, Estimator, estimate_by_removal
from assay.engine.coalitions.leverage import shapley_estimator
from assay.engine.coalitions.sample_reuse import banzhaf_estimator
from assay.engine.cost import Given, summarised
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import Rows
from assay.nouns.results.result import Estimate

InfluenceIndex = Literal["shapley", "banzhaf", "unary"]


def _leave_one_out_design(parts: int, budget: int, seed: Seed) -> Design:
    return Design(np.concatenate([~np.eye(parts, dtype=bool), np.ones((1, parts), dtype=bool)]))


def _drops(design: Design, values: Floats) -> Estimate:
    return Estimate(values[:, -1:] - values[:, :-1], np.zeros((len(values), values.shape[1] - 1)))


unary = Estimator("each part alone", _leave_one_out_design, _drops)

INDICES: dict[str, Callable[[int, int], Estimator]] = {
    "shapley": shapley_estimator,
    "banzhaf": banzhaf_estimator,
    "unary": lambda parts, budget: unary,
}


def index_estimator(index: str, parts: int, budget: int) -> Estimator:
    """The estimator of an index; ``InputError`` for an unknown index."""
    if index not in INDICES:
        raise InputError(f"index={index!r}; there are {', '.join(INDICES)}.")
    return INDICES[index](parts, budget)


def influence_cost(case: Case, o: Given, again: Cost) -> Cost:
    """The cost of evaluating every coalition with every row of the comparison group."""
    given = Given(**vars(o), remove=Marginal(o.comparison))
    index = getattr(o, "index", "shapley")
    return summarised(lambda case, o: index_estimator(index, len(case.features), o.budget))(case, given, again)


def estimate_influence(case: Case, comparison: Any, index: str, budget: int, folds: int) -> Estimate:
    """The influence of each part; its standard error covers sampling of the comparison group and of coalitions.

    The group is split at random into ``folds`` folds, each evaluated with the same coalitions; by linearity their
    weighted mean is the influence for the whole group. ``extra["low"]`` and ``["high"]`` are Student's 95 % interval.
    """
    other = case.rows.convert(comparison)
    estimator = index_estimator(index, len(case.features), budget)
    if folds < 2 or len(other) < folds:
        raise InputError(
            f"folds={folds} of a comparison group of {len(other)} rows; the standard error needs at least 2 folds of "
            f"at least 1 row. Give more rows, or fewer folds."
        )
    parts = np.array_split(case.seed.child("folds of the comparison").generator().permutation(len(other)), folds)
    estimates = [
        estimate_by_removal(case, Marginal(decode_rows(case.rows, other[part])), estimator, budget) for part in parts
    ]
    weight = np.array([len(part) for part in parts])[:, None, None] / len(other)
    by_fold = np.stack([one.values for one in estimates])
    values = (weight * by_fold).sum(axis=0)
    between = (weight**2 * (by_fold - values) ** 2).sum(axis=0) * folds / (folds - 1)
    sampling = (weight * np.stack([one.stderr for one in estimates])).sum(axis=0)
    stderr = np.sqrt(between + sampling**2)
    half = t.ppf(0.975, folds - 1) * stderr
    base = None if estimates[0].base is None else sum(w * one.base for w, one in zip(weight[:, 0, 0], estimates))
    return Estimate(values, stderr, base, extra={"low": values - half, "high": values + half})


def decode_rows(rows: Rows, x: Array) -> Any:
    """Rows in the caller's own form: decoded by the table of ``rows``, if it has one."""
    return rows.in_callers_form(x)
