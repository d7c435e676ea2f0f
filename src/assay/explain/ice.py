# SPDX-License-Identifier: Apache-2.0
"""Individual conditional expectation."""

from typing import Any

import numpy as np

from assay.cases.case import Case
from assay.cases.removals import Marginal
from assay.engine.coalitions.summary import Design
from assay.engine.cost import Given, against, coalitions
from assay.engine.declare import explainer
from assay.engine.removal.windows import fall_without
from assay.engine.surrogates.feature_profiles import as_rows, grids, legend, moved, padded, shortened
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    sizes = [len(grid) for grid in grids(case, to_floats(case.rows.like(o.background)), o.points)]
    alone = against(coalitions(lambda case, o: Design(~np.eye(len(case.features), dtype=bool))))(case, o, again)
    return alone + Cost(sum(sizes) * len(case) * case.model.passes)


@explainer(source="goldstein2015", needs={"table"}, claims={"dummy", "linear"}, cost=_cost)
def ice(case: Case, *, background: Any, points: int = 20) -> Estimate:
    """How far the row's own value of a column lifts the row's target above the mean of its curve.

    f(x) − mean_b f(x with column i of b) over all rows b of ``background``, in units of the target: the row's curve,
    centred by its mean over the background, read at the row's own value. No base. The same number as ``leave_one_out``
    against the background; if the model is a sum of functions of single columns, the Shapley value.

    ``extra["lines"]`` (row, part, point) are the curves f(x with column i at z), not centred, at ``extra["grid"]``
    (part, point); points as in ``partial_dependence``, whose curve is the mean of the lines when the rows explained are
    the background. Where lines of different rows are not parallel, columns act together.
    """
    found = grids(case, to_floats(case.rows.like(background)), points)
    values = fall_without(case, Marginal(background), np.eye(len(case.features), dtype=bool))
    lines, own = [], to_floats(case.rows.x)
    for grid in found:
        which = np.tile(np.arange(len(case)), len(grid))
        asked = case.value(as_rows(case, moved(own, (grid.columns, grid.contents))), which)
        lines.append(asked.reshape(len(grid), len(case)).T)
    extra = {"grid": padded([grid.points for grid in found]), "lines": padded(lines)}
    return Estimate(values, extra=extra, told=legend(found), notes=shortened(case, found))
