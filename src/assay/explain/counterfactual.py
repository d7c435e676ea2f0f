# SPDX-License-Identifier: Apache-2.0
"""Counterfactuals: the cheapest allowed change of a row after which the model decides as wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.changes.column_rules import column_rules, describe_changes
from assay.engine.cost import Given
from assay.engine.declare import explainer
from assay.engine.recourse.answers import STATUSES, Answer
from assay.engine.recourse.causes import Causes, read_causes
from assay.engine.recourse.question import Question, read_goal
from assay.engine.recourse.refits import refitted_models, valid_shares
from assay.engine.recourse.searched import most_evaluations
from assay.engine.recourse.solvers import kind_of, solve
from assay.engine.search.threat import Labels, as_array
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Note

SENSITIVITY = 0.2
"""Share by which the slopes of a causal model are changed."""


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """A pass at each counterfactual; with causes one for each other causal model, with a recipe one for each refit.

    For a model that is searched the most evaluations of the search come on top, with causes three times.
    """
    edges = sum(len(parents) for parents in (o.causes or {}).values())
    scenarios = 2 * (edges + 1) if edges else 0
    searched = 0
    if kind_of(case) == "searched":
        columns = int(np.prod(case.rows.shape))
        searched = most_evaluations(columns, o.max_nodes, o.count)
        searched += 2 * most_evaluations(columns, o.max_nodes) if edges else 0
    return Cost(o.count + scenarios + searched + (2 * o.refits if o.recipe is not None else 0)) * (
        len(case) * case.model.passes_per_row
    )


@explainer(source="wachter2018", needs={"classes", "table"}, cost=_cost, has_exact_cost=False)
def counterfactual(
    case: Case,
    *,
    target_label: Labels | None = None,
    margin: float = 0.0,
    columns: tuple[str, ...] = (),
    up: tuple[str, ...] = (),
    down: tuple[str, ...] = (),
    values: Mapping[str, Sequence[Any]] | None = None,
    bounds: Mapping[str, Sequence[Any]] | None = None,
    unit: Literal["range", "mad", "quantile"] = "range",
    weights: Mapping[str, float] | None = None,
    level_cost: float = 1.0,
    level_costs: Mapping[str, Sequence[Any]] | None = None,
    change_cost: float = 0.0,
    max_columns: int | None = None,
    background: Any = None,
    count: int = 1,
    differences: int = 1,
    plausible: float | None = None,
    causes: Mapping[str, Sequence[Any]] | None = None,
    recipe: Recipe | None = None,
    refits: int = 5,
    max_nodes: int = 20_000,
) -> Estimate:
    """How far each feature moves in the cheapest allowed change after which the model decides as wanted.

    x′ − x summed over the elements of a feature, in units of the rows; 1 where a level changes. x′ has the least cost
    Σ w_j |x′_j − x_j| among the rows that are allowed and that the model, with its own threshold, decides to be
    ``target_label`` (a class; by default any but the predicted one). ``margin`` asks for more: that much of the
    probability beyond the threshold for two classes, else of the sums that are compared. A counterfactual without a
    margin lies on the boundary, and a model trained again often decides otherwise there. The target of the case is not
    used.

    Only ``columns`` change (by default all), those in ``up`` and ``down`` one way only. ``values`` lists what a column
    may become (by default any level that the rows and the background have); ``bounds`` maps a number to (low, high), by
    default its range in the ``background``, else in the rows. Whole numbers stay whole; missing numbers stay. w_j is
    1 / range, 1 / median absolute deviation, or with ``unit="quantile"`` the share of the background's rows that are
    passed; ``weights`` multiply it by column. Another level costs ``level_cost``, or what ``level_costs`` says (by
    column: level before, level after, cost); every column that changes costs ``change_cost`` more, and at most
    ``max_columns`` change. ``count`` counterfactuals are found in the order of their costs; each leaves out at least
    ``differences`` of the changes of every cheaper one. ``plausible=0.1`` asks that a counterfactual of trees is
    isolated by random splits no sooner than the tenth of the background's rows that is least typical.

    ``causes`` is a linear structural causal model of numbers: by column its parents and slopes, {"savings": [["salary",
    0.5]]}. A column that is set moves what follows it, and only what is set has a cost and has to be allowed (Karimi
    et al. 2021). A column that is set stops following its parents; to be set to the value it has costs nothing.

    Trees and linear classifiers: exact. Any other model is searched by evaluations, at most about ``max_nodes`` a row
    and counterfactual: never optimal, never infeasible, bound 0. ``extra["status"]`` (row,) is 0 optimal (proved), 1
    feasible (``extra["bound"]`` (row,) is a proved lower bound of the least cost), 2 infeasible (proved: nothing that
    is allowed leads there), 3 undecided at ``max_nodes``, 4 accepted: decided as wanted already. ``extra["x"]`` (row,
    counterfactual, column), ``extra["cost"]``, ``extra["changed"]`` (the number of columns set) and ``extra["valid"]``
    (row, counterfactual) describe all of them; ``valid`` is 1 where a fresh pass of the model decides as wanted. With a
    ``recipe`` extra["refit_seeds"] and extra["refit_bootstrap"] (row,) are the shares of ``refits`` models with other
    seeds, and of training rows drawn again, that still decide as wanted. With causes extra["cost_low_slopes"] and
    extra["cost_high_slopes"] (row,) are the least costs where all slopes are 20 % smaller and larger, and
    extra["slopes_valid"] (row,) is the share of causal models, one slope or all of them 20 % off, under which the same
    change still leads to the decision wanted. Undefined (NaN), with a note, where nothing is found or needed.

    A counterfactual says what would change this model's answer. It is no promise, and no measure of importance.
    """
    if count < 1 or differences < 1 or max_nodes < 1 or refits < 1 or not margin >= 0 or (max_columns or 1) < 1:
        raise InputError(
            f"count={count}, differences={differences}, max_nodes={max_nodes}, refits={refits}, "
            f"max_columns={max_columns}, margin={margin}; whole numbers of at least 1 are needed, and a margin of at "
            f"least 0."
        )
    rules = column_rules(
        case, columns=columns, up=up, down=down, values=values, bounds=bounds, background=background, unit=unit,
        level=level_cost, weights=weights, level_costs=level_costs, change=change_cost,
    )  # fmt: skip
    reference = to_floats(case.rows.x if background is None else case.rows.convert(background))
    question = Question(
        case, rules, read_causes(case, causes), read_goal(case, target_label), margin, count, differences, max_nodes,
        max_columns, plausible, reference,
    )  # fmt: skip
    answers = solve(question, np.flatnonzero(~question.accepted))
    found = [answers.get(row, Answer("accepted")) for row in range(len(case))]
    x, valid = _passes(question, found)
    extra = _extra(question, found, x, valid)
    best = as_array(np.where(np.isnan(x[:, 0]), question.rows, x[:, 0]), case.rows.x)
    has = np.array([bool(one.points) for one in found])
    if recipe is not None:
        again, drawn = refitted_models(case, recipe, refits)
        extra["refit_seeds"] = valid_shares(question, again, best, has)
        extra["refit_bootstrap"] = valid_shares(question, drawn, best, has)
    if question.causes.edges:
        extra |= _sensitivity(question, found, has)
    return Estimate(
        _change(question, x[:, 0], has),
        extra=extra,
        notes=_notes(question, found, valid),
        description=_lines(question, found, x, extra),
    )


def _change(question: Question, x: Floats, has: Masks) -> Floats:
    """x′ − x (row, column); of a level 1 where it changes."""
    change = np.where(np.isnan(question.rows), 0.0, x - question.rows)
    table = question.case.rows.table
    if table is not None:
        coded = np.asarray(table.coded)
        change[:, coded] = (change[:, coded] != 0).astype(np.float64)
    change[~has] = np.nan
    return change


def _passes(question: Question, found: Sequence[Answer]) -> tuple[Floats, Floats]:
    """The counterfactuals (row, counterfactual, column), and whether the model itself decides as wanted there."""
    case, count = question.case, question.count
    x = np.full((len(case), count, question.rows.shape[1]), np.nan)
    valid = np.full((len(case), count), np.nan)
    which = np.arange(len(case))
    for number in range(count):
        has = np.array([len(one.points) > number for one in found])
        for row in np.flatnonzero(has).tolist():
            x[row, number] = found[row].points[number].x
        lines = as_array(np.where(has[:, None], x[:, number], question.rows), case.rows.x)
        accepted = question.accepts(case.outputs(lines), which)
        valid[has, number] = accepted[has]
    return x, valid


def _extra(question: Question, found: Sequence[Answer], x: Floats, valid: Floats) -> dict[str, Floats]:
    cost, changed = np.full(valid.shape, np.nan), np.full(valid.shape, np.nan)
    intervened = np.zeros(question.rows.shape)
    for row, one in enumerate(found):
        for number, point in enumerate(one.points):
            cost[row, number], changed[row, number] = point.cost, len(point.intervened)
        if one.points:
            intervened[row, list(one.points[0].intervened)] = 1.0
    return {
        "x": x,
        "cost": cost,
        "bound": np.array([np.nan if one.status == "accepted" else one.bound for one in found]),
        "status": np.array([float(STATUSES.index(one.status)) for one in found]),
        "valid": valid,
        "changed": changed,
        "nodes": np.array([float(one.nodes) for one in found]),
        **({"intervened": intervened} if question.causes.edges else {}),
    }


def _sensitivity(question: Question, found: Sequence[Answer], has: Masks) -> dict[str, Floats]:
    """The costs and the validity under causal models whose slopes are off by a fifth."""
    causes, rows = question.causes, question.rows
    factors = (1 - SENSITIVITY, 1 + SENSITIVITY)
    others = [causes.scaled(factor, edge) for edge in (None, *causes.edges) for factor in factors]
    valid = np.array([_valid_under(question, found, other) for other in others])
    costs: list[Floats] = []
    which = np.flatnonzero(has)
    for factor in factors:
        answers = solve(question.with_causes(causes.scaled(factor)), which)
        cost = np.full(len(rows), np.nan)
        for row, one in answers.items():
            cost[row] = one.points[0].cost if one.points else np.inf if one.status == "infeasible" else np.nan
        costs.append(cost)
    return {
        "cost_low_slopes": costs[0],
        "cost_high_slopes": costs[1],
        "slopes_valid": np.where(has, valid.mean(axis=0), np.nan),
    }


def _valid_under(question: Question, found: Sequence[Answer], causes: Causes) -> Masks:
    """Whether the interventions found lead to the decision wanted under another causal model (row,)."""
    x = question.rows.copy()
    for row, one in enumerate(found):
        if one.points:
            point = one.points[0]
            x[row] = causes.follow(question.rows[row], point.x, point.intervened)
    return question.accepts(question.case.outputs(as_array(x, question.case.rows.x)), np.arange(len(x)))


def _notes(question: Question, found: Sequence[Answer], valid: Floats) -> tuple[Note, ...]:
    texts = {
        "accepted": "decided as wanted already, so that there is nothing to change",
        "infeasible": "proved: nothing that is allowed leads to the decision wanted",
        "undecided": "the search ended at max_nodes without a counterfactual",
        "feasible": "the search ended at max_nodes: a cheaper counterfactual may exist, at no less than extra['bound']",
    }
    if kind_of(question.case) == "searched":
        texts["undecided"] = (
            "the search by evaluations found no counterfactual, which does not prove that there is none"
        )
        texts["feasible"] = "searched by evaluations, without a proof: a cheaper counterfactual may exist"
    rows = {status: [row for row, one in enumerate(found) if one.status == status] for status in texts}
    fewer = [row for row, one in enumerate(found) if one.points and len(one.points) < question.count]
    rows["fewer"], texts["fewer"] = fewer, f"fewer than {question.count} counterfactuals were found"
    rows["unconfirmed"] = np.flatnonzero((valid == 0).any(axis=1)).tolist()
    texts["unconfirmed"] = "the model itself decides otherwise at the counterfactual, where scores tie up to rounding"
    ids, size = question.case.rows.ids, len(found)
    notes = [
        Note(code, f"{texts[code]} ({len(which)} of {size} rows)", tuple(ids[row] for row in which))
        for code, which in rows.items()
        if which
    ]
    return (Note("cost", f"the cost of a change: {question.rules.cost_text}"), *notes)


def _lines(question: Question, found: Sequence[Answer], x: Floats, extra: Mapping[str, Floats]) -> tuple[str, ...]:
    """One line for each counterfactual: what changes, the cost, and what is proved."""
    case, lines = question.case, []
    unproved = "searched, no proof" if kind_of(case) == "searched" else ""
    for row, one in enumerate(found):
        name = case.rows.ids[row]
        if not one.points:
            told = {
                "accepted": "decided as wanted already",
                "infeasible": "proved: no allowed change leads to the decision wanted",
            }.get(one.status, "no counterfactual was found")
            lines.append(f"row {name}: {told}")
        for number, point in enumerate(one.points):
            changes = "; ".join(
                text.replace(": ", " ", 1) for text in describe_changes(case, question.rows[row], point.x)
            )
            proof = "cheapest, proved" if one.status == "optimal" else unproved or f"at least {one.bound:.4g} is needed"
            proof = proof if number == 0 else "next cheapest" if one.status == "optimal" else "another"
            refits = ""
            if number == 0 and "refit_seeds" in extra:
                seeds, drawn = extra["refit_seeds"][row], extra["refit_bootstrap"][row]
                refits = f"; holds for {seeds:.0%} of other seeds and {drawn:.0%} of redrawn training rows"
            lines.append(f"row {name}: {changes} (cost {point.cost:.4g}, {proof}{refits})")
    return tuple(lines)
