# SPDX-License-Identifier: Apache-2.0
"""Partial dependence."""

from typing import Any

import numpy as np

from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.removals import Marginal
from assay.engine.coalitions.estimator import Design
from assay.engine.cost import Given, against, coalitions
from assay.engine.declare import explainer
from assay.engine.retraining.labelled_rows import read_like
from assay.engine.surrogates.feature_profiles import (
    Grid,
    Pairs,
    build_grids,
    describe_points,
    evaluate_labels,
    mean_curve,
    omitted_levels_note,
    pair_positions,
    stack_padded,
    substitute,
)
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate


def _masks(parts: int, couples: list[tuple[int, int]]) -> Masks:
    """Masks that keep nothing, each feature alone, and each pair."""
    alone = np.eye(parts, dtype=bool)
    return np.stack([np.zeros(parts, dtype=bool), *alone, *(alone[i] | alone[j] for i, j in couples)])


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    couples, other = pair_positions(case, o.pairs), to_floats(read_like(case, o.background))
    sizes = [len(grid) for grid in build_grids(case, other, o.points)]
    curves = sum(sizes) + sum(sizes[i] * sizes[j] for i, j in couples)
    removals = against(coalitions(lambda case, o: Design(_masks(len(case.features), couples))))(case, o, again)
    return removals + Cost(curves * len(other) * case.model.passes_per_row)


@explainer(source="friedman2001", needs={"table"}, claims={"dummy", "linear"}, cost=_cost)
def partial_dependence(case: Case, *, background: Any, points: int = 20, pairs: Pairs = ()) -> Estimate:
    """The partial dependence of each column at the row's value, minus the mean target of the background.

    PD_i(x_i) − mean_b f(b) with PD_i(z) = mean_b f(b with column i at z), over all rows b of ``background``, evaluated
    at the row's own value, not interpolated on the grid; in units of the target. The base is mean_b f(b). If the model
    is a sum of functions of single columns these are the Shapley values against that background and the residual is 0;
    else the residual contains the interactions. Correlated columns are separated, so evaluated rows may be impossible.

    Curves: ``extra["curve"]`` (label, part, point) is PD itself, not centred, at ``extra["grid"]`` (part, point), with
    its standard error over the background in ``extra["stderr"]``; one curve per label of the case, in order of
    ``extra["label"]``; NaN after a feature's last point. Points are observed quantiles, and a last one, whose grid is
    NaN, for missing where the background has gaps; for text and categories the levels (explained in ``description``);
    for a group of columns rows of the background, whose columns are replaced together. ``pairs`` of names add
    ``extra["pair_curve"]`` (label, pair, point, point), not centred, and ``extra["joint"]`` (row, pair), the pair's
    interaction at the row: PD_ij − PD_i − PD_j + base.
    """
    other, couples = to_floats(read_like(case, background)), pair_positions(case, pairs)
    parts, labels = len(case.features), np.unique(case.label)
    game_values = case.game(Marginal(background)).table(_masks(parts, couples))
    base, alone, both = game_values[:, 0], game_values[:, 1 : parts + 1], game_values[:, parts + 1 :]
    found = build_grids(case, other, points)
    curves, errors = zip(*(_curve(case, other, labels, grid) for grid in found))
    extra = {
        "grid": stack_padded([grid.points for grid in found]),
        "curve": stack_padded(curves),
        "stderr": stack_padded(errors),
        "label": np.asarray(labels, dtype=np.float64),
    }
    if couples:
        first, second = np.array(couples).T
        extra["joint"] = both - alone[:, first] - alone[:, second] + base[:, None]
        extra["pair_curve"] = stack_padded(
            [_surface(case, other, labels, found[i], found[j]) for i, j in couples], axes=2
        )
    values = alone - base[:, None]
    return Estimate(
        values, base=base, extra=extra, description=describe_points(found), notes=omitted_levels_note(case, found)
    )


def _curve(case: Case, other: Floats, labels: Floats | Ints, grid: Grid) -> tuple[Floats, Floats]:
    """The curve (label, point) and its standard error."""
    targets = evaluate_labels(case, substitute(other, (grid.columns, grid.contents)), labels)
    return mean_curve(targets.reshape(len(labels), len(grid), len(other)))


def _surface(case: Case, other: Floats, labels: Floats | Ints, one: Grid, two: Grid) -> Any:
    """The surface (label, point, point)."""
    first = one.columns, np.repeat(one.contents, len(two), axis=0)
    second = two.columns, np.tile(two.contents, (len(one), 1))
    targets = evaluate_labels(case, substitute(other, first, second), labels)
    return targets.reshape(len(labels), len(one), len(two), len(other)).mean(axis=3)
