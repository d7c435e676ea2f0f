# SPDX-License-Identifier: Apache-2.0
"""Background poisoning: background rows are moved so that the explanation of a column follows a target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.errors import InputError
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.changes.column_rules import Column, column_names, column_rules
from assay.engine.cost import Given
from assay.engine.declare import attacker
from assay.engine.poisoning.background_search import Movable, descend, mutate
from assay.engine.poisoning.explained_curves import Curve, explained_curve
from assay.engine.retraining.labelled_rows import read_like
from assay.engine.surrogates.feature_profiles import evaluate_labels
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import to_floats


def _points(case: Case, o: Given, rows: int) -> int:
    """The most model evaluations of one background."""
    each = {"partial_dependence": o.points, "ale": 2, "shapley": 4 * len(case)}
    return each.get(o.by, o.points) * rows


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """The most: two passes and a gradient at each step, a generation each, and the curves shown."""
    rows = len(to_floats(read_like(case, o.background)))
    points = _points(case, o, rows)
    total = Cost((3 * o.steps + 6) * points + 2 * rows, o.steps * points)
    return total * case.model.passes_per_row


@attacker(source="baniecki2022", needs={"table"}, cost=_cost, has_exact_cost=False)
def background(
    case: Case,
    *,
    background: Any,
    column: str,
    by: Literal["partial_dependence", "ale", "shapley"] = "partial_dependence",
    toward: Any = "reverse",
    cap: float = 0.5,
    columns: tuple[str, ...] = (),
    points: int = 10,
    steps: int = 100,
    search: Literal["auto", "gradient", "genetic"] = "auto",
) -> dict[str, Any]:
    """The value of a column's explanation at each row after the background rows were moved, in units of the target.

    min over X′ of mean_g (curve_g(X′) − target_g)². The other columns of the ``background`` move by at most ``cap``
    standard deviations, within their range; whole numbers stay whole, gaps stay, and levels change only in ``columns``
    that name them (default: all columns of numbers but ``column``). The model and the rows explained stay as they are.
    ``by``: the curve of partial dependence or ALE at ``points`` quantiles, minus its mean, or Shapley values
    of the rows (one random order and its reverse for each background row; before and after are measured with fresh
    orders). ``toward``: "reverse" (the curve or the values with the other sign), "flat" (0), or numbers, one for each
    point of the curve or row.

    ``search``: ``steps`` signed "gradient" steps; "genetic": in each of ``steps`` generations every background row
    mutates, and a mutation stays where the curve comes nearer to the target; "auto": the first where the model has a
    gradient, then the second.

    ``before``, ``after`` and ``random`` (uniform moves within the same limits) are the explanation at each row. A row
    succeeds where the value is nearer to its target than to what it was. ``extra["background"]`` and ``inputs`` are
    the background moved; ``x`` are the rows, unchanged. ``distance`` is the root mean square move in standard
    deviations, the same for all rows. ``validity`` has ``share left``, the curve after projected on that before (1:
    unchanged, 0: gone, −1: reversed), and the Kolmogorov–Smirnov p-value of the predictions at the background before
    and after, which is what a check of predictions would see. ``diagnose.background`` checks the columns.

    Baniecki et al. move whole data sets in their genetic search and do not keep whole numbers whole.
    """
    _check(cap, points, steps)
    given = to_floats(read_like(case, background))
    names = column_names(case)
    if column not in names:
        raise InputError(f"column={column!r}; there are {', '.join(names[:12])}.")
    place = names.index(column)
    movable = Movable.of(given, _columns(case, columns, names, place, background), cap)
    if not movable.free:
        raise InputError("no cell of the background can move: name other columns, or give a larger cap.")
    seed = case.seed.child("background")
    curve = explained_curve(by, case, given, place, points, seed.child("orders"))
    values = curve.values(case, given)
    aim = _aim(toward, values)
    has_gradient = case.model.has_gradient and not movable.codes and not case.takes_ids
    if search == "gradient" and not has_gradient:
        raise InputError("search='gradient' needs a model with gradients, and columns of numbers; use 'genetic'.")
    moved = given if search == "genetic" or not has_gradient else descend(case, curve, aim, movable, steps)
    if search != "gradient":
        moved = mutate(case, curve, aim, movable, moved, steps, seed.child("mutations"))
    judging = curve
    if by == "shapley":
        judging = explained_curve(by, case, given, place, points, seed.child("fresh orders"))
    shown = [judging.values(case, one) for one in (given, moved, movable.drawn(seed.child("random")))]
    return _fields(case, curve, movable, moved, shown, _aim(toward, shown[0]))


def _check(cap: float, points: int, steps: int) -> None:
    if not (0 < cap < float("inf") and points >= 2 and steps >= 1):
        raise InputError(f"cap={cap}, points={points}, steps={steps}; needed are cap > 0, points ≥ 2, steps ≥ 1.")


def _columns(
    case: Case, columns: Sequence[str], names: tuple[str, ...], place: int, background: Any
) -> tuple[Column, ...]:
    """The columns that may move, never the one explained."""
    if names[place] in columns:
        raise InputError(f"columns: {names[place]!r} is explained and does not move; leave it out.")
    rules = column_rules(
        case, columns=columns, up=(), down=(), values=None, bounds=None, background=background, unit="mad", level=1.0
    )
    return tuple(one for one in rules.columns if one.place != place and (columns or not one.is_coded))


def _aim(toward: Any, values: Floats) -> Floats:
    """The target of each number (number,)."""
    if isinstance(toward, str):
        if toward not in ("reverse", "flat"):
            raise InputError(f"toward={toward!r}; 'reverse', 'flat', or {len(values)} numbers are needed.")
        return -values if toward == "reverse" else np.zeros(len(values))
    try:
        found = np.asarray(toward, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"toward is 'reverse', 'flat', or {len(values)} numbers.") from error
    if found.shape != values.shape or not np.isfinite(found).all():
        raise InputError(f"toward has shape {found.shape}; 'reverse', 'flat', or {len(values)} numbers are needed.")
    return found


def _fields(
    case: Case, curve: Curve, movable: Movable, moved: Floats, shown: Sequence[Floats], aim: Floats
) -> dict[str, Any]:
    before, after, random = (curve.at_rows @ one for one in shown)
    target = curve.at_rows @ aim
    spread = np.nanstd(movable.background, axis=0)
    scaled = np.divide(moved - movable.background, spread, out=np.zeros_like(moved), where=spread > 0)
    can = (movable.high > movable.low).any(axis=0)
    rms = float(np.sqrt(np.nanmean(scaled[:, can] ** 2))) if can.any() else 0.0
    predictions = [evaluate_labels(case, one, case.label[:1])[0] for one in (movable.background, moved)]
    size = float(shown[0] @ shown[0])
    table = case.rows.table
    return {
        "x": case.rows.x,
        "success": np.abs(after - target) < np.abs(after - before),
        "prediction_unchanged": np.ones(len(case), dtype=bool),
        "distance": np.full(len(case), rms),
        "before": before,
        "after": after,
        "random": random,
        "quantity": "explanation of the column",
        "validity": {
            "share left": float(shown[1] @ shown[0]) / size if size > 0 else float("nan"),
            "share left after random moves": float(shown[2] @ shown[0]) / size if size > 0 else float("nan"),
            "p of the predictions (Kolmogorov–Smirnov)": float(
                scipy_stats.ks_2samp(predictions[0], predictions[1], method="asymp").pvalue
            ),
            "cells that may move": int((movable.high > movable.low).sum()) + len(movable.codes) * len(moved),
        },
        "extra": {
            "background": moved,
            "grid": curve.grid,
            "curve_before": shown[0],
            "curve_after": shown[1],
            "curve_target": aim,
        },
        "inputs": None if table is None else table.decode(moved),
    }
