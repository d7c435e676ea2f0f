# SPDX-License-Identifier: Apache-2.0
"""The adversarial example as an explanation: the smallest change of the input that changes the predicted class."""

from dataclasses import replace
from typing import Literal

import numpy as np
from array_api_compat import array_namespace

from assay.basics.types import Array, Floats, Ints
from assay.cases.case import Case
from assay.engine.boxes.nearest_change import nearest_changes
from assay.engine.cost import Given
from assay.engine.declare import explainer
from assay.engine.search.ball import Ball
from assay.engine.search.minimum_norm import (
    BISECTIONS,
    NearestPoints,
    bisect_towards_rows,
    dual_length,
    fast_minimum_norm,
    length_of,
)
from assay.engine.search.threat import Threat, per_row
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Note

DOUBLINGS = 12
"""Distances at which the way along the gradient is tried, each twice the one before."""

FARTHEST = 1e12
"""A distance beyond which trees are not searched."""


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """The search, a pass at the points found, and one at random changes of equal size."""
    searched = Cost() if case.model.rows_exact else Cost(o.steps + 1 + DOUBLINGS + 2 * BISECTIONS, o.steps + 1)
    return (searched + Cost(2)) * (len(case) * case.model.passes_per_row)


@explainer(source="moosavidezfooli2016", needs={"classes", "numbers", "boundary"}, claims={"searched"}, cost=_cost)
def adversarial(
    case: Case,
    *,
    norm: Literal["linf", "l2", "l1"] = "l2",
    low: float = -np.inf,
    high: float = np.inf,
    scale: tuple[float, ...] = (),
    steps: int = 100,
    max_nodes: int = 5000,
    signed: bool = False,
) -> Estimate:
    """The smallest change of the input that changes the predicted class: how much each feature has to move.

    |δ*|, or δ* if ``signed``, in units of the rows, summed over the elements of a feature: x + δ* is the nearest input
    of another class in ``norm``, between ``low`` and ``high``; ``scale`` has one number a column by which its change is
    divided (its standard deviation), and a column with 0 does not move. For trees δ* is exact for the numeric columns
    (``certify.tree_robustness``, at most ``max_nodes`` boxes a row). For differentiable models it is the best of
    ``steps`` steps of the fast minimum-norm attack (Pintor et al. 2021) on the margin, so an upper bound. The target of
    the case is not used: the decision is explained.

    ``extra["distance"]`` (row,) is ‖δ*‖, ``extra["class"]`` (row,) the place of the class reached, and
    ``extra["random"]`` (row,) is 1 where a random change of the same size changes the class, too: then δ* shows how
    large a change has to be, not which. Undefined (NaN), with a note, where no input of another class was found.

    Large values are not importance: a feature that decides may be one that need not move far, or cannot move. For a
    linear model and ℓ2, δ* is proportional to the weights; for ℓ∞ all features move equally, and only signs differ.
    """
    ball = Ball(norm, FARTHEST, low, high, scale)
    if case.model.rows_exact:
        label = Threat.within(case, ball, None, None).label
        x = _of_trees(case, ball, label, max_nodes)
    else:
        ball = replace(ball, radius=1.0)
        threat = Threat.within(case, ball, None, None)
        label, x = threat.label, _by_search(threat, steps)
    rows = to_floats(case.rows.x)
    change = np.where(np.isnan(rows), 0.0, to_floats(x) - rows)
    size = np.asarray(ball.length(change), dtype=np.float64)
    reached = case.predicted(x)
    found = reached != label
    random = case.predicted(_random_change(case, ball, np.where(found, size, 0.0))) != label
    change[~found] = np.nan
    return Estimate(
        change if signed else np.abs(change),
        extra={
            "distance": np.where(found, size, np.nan),
            "class": np.where(found, reached, np.nan),
            "random": np.where(found, random, np.nan),
        },
        notes=_unmoved(case, found),
    )


def _of_trees(case: Case, ball: Ball, label: Ints, max_nodes: int) -> Array:
    x = np.array(to_floats(case.rows.x))
    for row, one in enumerate(nearest_changes(case, label, ball, max_nodes)):
        if one.x is not None:
            x[row] = one.x
    return x


def _by_search(threat: Threat, steps: int) -> Array:
    """The nearest successful points: along the gradient at doubling distances, then by fast minimum norm."""
    nearest, rows, xp = NearestPoints.of(threat.x), threat.x, array_namespace(threat.x)
    outputs, slope = threat.gradient(rows, "margin")
    dual = dual_length(threat.ball, slope)
    linear = np.divide(np.abs(threat.search_margins(outputs)), dual, out=np.zeros(len(dual)), where=dual > 0)
    linear = np.where(np.isfinite(linear) & (linear > 0), linear, 1.0)
    direction = threat.ball.steepest(slope)
    for doubling in range(DOUBLINGS):
        x = xp.clip(rows + per_row(1.05 * linear * 2.0**doubling, rows) * direction, threat.ball.low, threat.ball.high)
        outputs = threat.outputs(x)
        nearest.offer(
            x, length_of(threat.ball, x, rows), threat.clear_successes(outputs), threat.search_margins(outputs)
        )
    bisect_towards_rows(threat, nearest)
    fast_minimum_norm(threat, nearest, steps=steps, step=2 * linear, start=nearest.x)
    bisect_towards_rows(threat, nearest)
    return nearest.x


def _random_change(case: Case, ball: Ball, size: Floats) -> Array:
    """A random change of each row of the size (row,) given, within the bounds."""
    rows, unit = case.rows.x, replace(ball, radius=1.0, low=-np.inf, high=np.inf)
    edge = unit.draw(case.rows, case.seed.child("random change"), edge=True)
    return array_namespace(rows).clip(rows + per_row(size, rows) * (edge - rows), ball.low, ball.high)


def _unmoved(case: Case, found: np.ndarray) -> tuple[Note, ...]:
    if found.all():
        return ()
    rows = tuple(name for name, one in zip(case.rows.ids, found) if not one)
    text = f"no input of another class was found for {len(rows)} of {len(case)} rows; give wider bounds or more steps"
    return (Note("not-found", text, rows),)
