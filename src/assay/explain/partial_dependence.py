# SPDX-License-Identifier: Apache-2.0
"""Partial dependence."""

from typing import Any

import numpy as np

from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.removals import Marginal
from assay.engine.coalitions.summary import Design
from assay.engine.cost import Given, against, coalitions
from assay.engine.declare import explainer
from assay.engine.retraining.labelled_rows import written
from assay.engine.surrogates.feature_profiles import (
    Grid,
    Pairs,
    answers,
    grids,
    legend,
    mean_curve,
    moved,
    padded,
    places,
    shortened,
)
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate


def _masks(parts: int, couples: list[tuple[int, int]]) -> Masks:
    """Nothing kept, each part alone, each pair."""
    alone = np.eye(parts, dtype=bool)
    return np.stack([np.zeros(parts, dtype=bool), *alone, *(alone[i] | alone[j] for i, j in couples)])


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    couples, other = places(case, o.pairs), to_floats(written(case, o.background))
    sizes = [len(grid) for grid in grids(case, other, o.points)]
    curves = sum(sizes) + sum(sizes[i] * sizes[j] for i, j in couples)
    read = against(coalitions(lambda case, o: Design(_masks(len(case.features), couples))))(case, o, again)
    return read + Cost(curves * len(other) * case.model.passes)


@explainer(source="friedman2001", needs={"table"}, claims={"dummy", "linear"}, cost=_cost)
def partial_dependence(case: Case, *, background: Any, points: int = 20, pairs: Pairs = ()) -> Estimate:
    """How far the mean target of other rows moves when they are given the row's value of a column.

    PD_i(x_i) − mean_b f(b) with PD_i(z) = mean_b f(b with column i at z), over all rows b of ``background``, evaluated
    at the row's own value, not read off the grid; in units of the target. The base is mean_b f(b). If the model is a
    sum of functions of single columns these are the Shapley values against that background and the residual is 0; else
    the residual is what columns do together. Columns that go together are separated: rows may arise that cannot exist.

    Curves: ``extra["curve"]`` (label, part, point) is PD itself, not centred, at ``extra["grid"]`` (part, point), with
    its standard error over the background in ``extra["stderr"]``; one curve for each label asked about, in order of
    ``extra["label"]``; NaN beyond a part's last point. Points are quantiles that occur, the levels of text and
    categories (codes, told in words), rows of the background for a group of columns, which moves as one. ``pairs`` of
    names add ``extra["pair_curve"]`` (label, pair, point, point), not centred, and ``extra["joint"]`` (row, pair), what
    the pair does at the row beyond its two columns: PD_ij − PD_i − PD_j + base.
    """
    other, couples = to_floats(written(case, background)), places(case, pairs)
    parts, labels = len(case.features), np.unique(case.label)
    worth = case.game(Marginal(background)).table(_masks(parts, couples))
    base, alone, both = worth[:, 0], worth[:, 1 : parts + 1], worth[:, parts + 1 :]
    found = grids(case, other, points)
    curves, errors = zip(*(_curve(case, other, labels, grid) for grid in found))
    extra = {
        "grid": padded([grid.points for grid in found]),
        "curve": padded(curves),
        "stderr": padded(errors),
        "label": np.asarray(labels, dtype=np.float64),
    }
    if couples:
        first, second = np.array(couples).T
        extra["joint"] = both - alone[:, first] - alone[:, second] + base[:, None]
        extra["pair_curve"] = padded([_surface(case, other, labels, found[i], found[j]) for i, j in couples], sides=2)
    values = alone - base[:, None]
    return Estimate(values, base=base, extra=extra, told=legend(found), notes=shortened(case, found))


def _curve(case: Case, other: Floats, labels: Floats | Ints, grid: Grid) -> tuple[Floats, Floats]:
    """The curve (label, point) and its error."""
    asked = answers(case, moved(other, (grid.columns, grid.contents)), labels)
    return mean_curve(asked.reshape(len(labels), len(grid), len(other)))


def _surface(case: Case, other: Floats, labels: Floats | Ints, one: Grid, two: Grid) -> Any:
    """The surface (label, point, point)."""
    first = one.columns, np.repeat(one.contents, len(two), axis=0)
    second = two.columns, np.tile(two.contents, (len(one), 1))
    asked = answers(case, moved(other, first, second), labels)
    return asked.reshape(len(labels), len(one), len(two), len(other)).mean(axis=3)
