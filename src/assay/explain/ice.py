# SPDX-License-Identifier: Apache-2.0
"""Individual conditional expectation."""

from typing import Any

import numpy as np

from assay.cases.case import Case
from assay.cases.removals import Marginal
from assay.engine.coalitions.estimator import Design
from assay.engine.cost import Given, against, coalitions
from assay.engine.declare import explainer
from assay.engine.removal.windows import removal_effects
from assay.engine.surrogates.feature_profiles import (
    as_rows,
    build_grids,
    describe_points,
    omitted_levels_note,
    stack_padded,
    substitute,
)
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    sizes = [len(grid) for grid in build_grids(case, to_floats(case.rows.convert(o.background)), o.points)]
    removals = against(coalitions(lambda case, o: Design(~np.eye(len(case.features), dtype=bool))))(case, o, again)
    return removals + Cost(sum(sizes) * len(case) * case.model.passes_per_row)


@explainer(source="goldstein2015", needs={"table"}, claims={"dummy", "linear"}, cost=_cost)
def ice(case: Case, *, background: Any, points: int = 20) -> Estimate:
    """The row's target minus its mean when a column takes the values of a background.

    f(x) − mean_b f(x with column i of b) over all rows b of ``background``, in units of the target: the row's curve,
    centred by its mean over the background, at the row's own value. No base. The same number as ``leave_one_out``
    against the background; if the model is a sum of functions of single columns, the Shapley value.

    ``extra["lines"]`` (row, part, point) are the curves f(x with column i at z), not centred, at ``extra["grid"]``
    (part, point); points as in ``partial_dependence``, whose curve is the mean of the lines when the explained rows are
    the background. If the lines of different rows are not parallel, columns interact.
    """
    found = build_grids(case, to_floats(case.rows.convert(background)), points)
    values = removal_effects(case, Marginal(background), np.eye(len(case.features), dtype=bool))
    lines, own = [], to_floats(case.rows.x)
    for grid in found:
        which = np.tile(np.arange(len(case)), len(grid))
        targets = case.value(as_rows(case, substitute(own, (grid.columns, grid.contents))), which)
        lines.append(targets.reshape(len(grid), len(case)).T)
    extra = {"grid": stack_padded([grid.points for grid in found]), "lines": stack_padded(lines)}
    return Estimate(values, extra=extra, description=describe_points(found), notes=omitted_levels_note(case, found))
