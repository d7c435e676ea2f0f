# SPDX-License-Identifier: Apache-2.0
"""Quantitative input influence: how much a quantity changes when parts are drawn from a comparison group."""

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
from assay.engine.coalitions.leverage import affordable_shapley
from assay.engine.coalitions.sample_reuse import affordable_banzhaf
from assay.engine.coalitions.summary import Design, Summary, removal
from assay.engine.cost import Given, summarised
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import Rows
from assay.nouns.results.result import Estimate

Index = Literal["shapley", "banzhaf", "unary"]


def _alone(parts: int, budget: int, seed: Seed) -> Design:
    return Design(np.concatenate([~np.eye(parts, dtype=bool), np.ones((1, parts), dtype=bool)]))


def _falls(design: Design, values: Floats) -> Estimate:
    return Estimate(values[:, -1:] - values[:, :-1], np.zeros((len(values), values.shape[1] - 1)))


unary = Summary("each part alone", _alone, _falls)

INDICES: dict[str, Callable[[int, int], Summary]] = {
    "shapley": affordable_shapley,
    "banzhaf": affordable_banzhaf,
    "unary": lambda parts, budget: unary,
}


def summary_of(index: str, parts: int, budget: int) -> Summary:
    """The summary that an index is estimated by; ``InputError`` for an index that is none."""
    if index not in INDICES:
        raise InputError(f"index={index!r}; there are {', '.join(INDICES)}.")
    return INDICES[index](parts, budget)


def priced(case: Case, o: Given, again: Cost) -> Cost:
    """Every coalition with every row of the comparison group."""
    given = Given(**vars(o), remove=Marginal(o.comparison))
    index = getattr(o, "index", "shapley")
    return summarised(lambda case, o: summary_of(index, len(case.features), o.budget))(case, given, again)


def quantified(case: Case, comparison: Any, index: str, budget: int, folds: int) -> Estimate:
    """The influence of each part, its error from ``folds`` parts of the comparison group and from coalitions left out.

    The group is cut into folds at random, each asked about with the same coalitions; by linearity their weighted mean
    is the influence against the whole group. ``extra["low"]`` and ``["high"]`` are Student's 95 % interval.
    """
    other = case.rows.like(comparison)
    summary = summary_of(index, len(case.features), budget)
    if folds < 2 or len(other) < folds:
        raise InputError(
            f"folds={folds} of a comparison group of {len(other)} rows; at least 2 folds of 1 row are needed to tell "
            f"how far the group decides. Give more rows, or fewer folds."
        )
    cuts = np.array_split(case.seed.child("folds of the comparison").generator().permutation(len(other)), folds)
    found = [removal(case, Marginal(framed(case.rows, other[cut])), summary, budget) for cut in cuts]
    weight = np.array([len(cut) for cut in cuts])[:, None, None] / len(other)
    each = np.stack([one.values for one in found])
    values = (weight * each).sum(axis=0)
    between = (weight**2 * (each - values) ** 2).sum(axis=0) * folds / (folds - 1)
    drawn = (weight * np.stack([one.stderr for one in found])).sum(axis=0)
    stderr = np.sqrt(between + drawn**2)
    half = t.ppf(0.975, folds - 1) * stderr
    base = None if found[0].base is None else sum(w * one.base for w, one in zip(weight[:, 0, 0], found))
    return Estimate(values, stderr, base, extra={"low": values - half, "high": values + half})


def framed(rows: Rows, x: Array) -> Any:
    """Rows written as others are, in the caller's own form again."""
    return x if rows.table is None else rows.table.decode(x)
