# SPDX-License-Identifier: Apache-2.0
"""Attack on tables: few of the columns that may change are changed so that the predicted class changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from assay.cases.case import Case
from assay.engine.changes.change_report import CHANGE_PASSES
from assay.engine.changes.choices import Limits
from assay.engine.changes.column_changes import attack_columns
from assay.engine.changes.column_rules import column_rules
from assay.engine.cost import per_row
from assay.engine.declare import attacker
from assay.engine.search.threat import Goal, Labels


@attacker(
    source="ballet2019",
    needs={"classes", "table"},
    cost=per_row(lambda o: o.queries + CHANGE_PASSES),
    has_exact_cost=False,
)
def column_changes(
    case: Case,
    *,
    columns: tuple[str, ...] = (),
    up: tuple[str, ...] = (),
    down: tuple[str, ...] = (),
    values: Mapping[str, Sequence[Any]] | None = None,
    bounds: Mapping[str, Sequence[Any]] | None = None,
    max_columns: int = 3,
    max_cost: float | None = None,
    unit: Literal["mad", "quantile"] = "mad",
    norm: Literal["l1", "linf"] = "l1",
    level_cost: float = 1.0,
    background: Any = None,
    queries: int = 1000,
    beam: int = 4,
    candidates: int = 12,
    max_nodes: int = 2000,
    labels: Labels | None = None,
    target_label: Labels | None = None,
) -> dict[str, Any]:
    """The margin of the decision after at most ``max_columns`` columns are changed; below 0 the attack succeeded.

    Only ``columns`` change (by default all), those in ``up`` and ``down`` one way only. ``values`` lists what a column
    may become (by default any level that the rows and the background have); ``bounds`` maps a number to (low, high), by
    default its range in the ``background``, else in the rows. Columns of whole numbers keep whole numbers; missing
    numbers stay. The cost of a change is |change| / median absolute deviation of the column (``unit="quantile"``: the
    share of the background's rows between both values), ``level_cost`` for another level; costs are summed, or with
    ``norm="linf"`` the largest counts, and ``max_cost`` limits them.

    Where the model shows its trees the cheapest change is found with a proof, by best-first search over boxes on which
    every tree is constant; levels are a dimension too. ``extra["lower_bound"]`` (row,) is a proved lower bound of the
    cost, ∞ where no allowed change succeeds. A row whose search ends at ``max_nodes``, or a target among three classes,
    is searched as other models are: values that rows of the background have (``candidates`` a number), column by
    column in the order of importance, then with a beam, at most ``queries`` evaluations a row. ``max_nodes=0`` leaves
    out the exact search.

    ``x`` and ``inputs`` are the rows changed, the latter in the caller's form (a frame is not kept in a file),
    ``changes`` what changed, ``distance`` (row,) the cost; ``random`` is the margin after as many random changes. This
    finds any change that alters the decision; whether a person could make it is another question.

    Ballet et al. (2019) weight columns by importance and need gradients; libraries perturb encoded columns, also into
    values that no row has.
    """
    limit = float("inf") if max_cost is None else max_cost
    limits = Limits(max_columns, limit, queries, beam)
    limits.check()
    goal = Goal.of(case, labels, target_label)
    rules = column_rules(
        case,
        columns=columns,
        up=up,
        down=down,
        values=values,
        bounds=bounds,
        background=background,
        unit=unit,
        level=level_cost,
    )
    return attack_columns(goal, rules, limits, norm=norm, candidates=candidates, max_nodes=max_nodes)
