# SPDX-License-Identifier: Apache-2.0
"""The input as its own explanation, for reference."""

from array_api_compat import array_namespace

from assay.basics.types import Array
from assay.cases.case import Case
from assay.engine.cost import free
from assay.engine.declare import explainer


@explainer(source="assay2026", needs={"numbers"}, claims={"reference"}, cost=free)
def input_itself(case: Case) -> Array:
    """The absolute value of the input, |x|, in input units, 0 where it is missing; features of several get the sum.

    A reference that does not depend on the model: an explanation that scores no better shows the input.
    """
    xp = array_namespace(case.rows.x)
    size = xp.abs(case.rows.x)
    return xp.where(xp.isnan(size), xp.zeros_like(size), size)
