# SPDX-License-Identifier: Apache-2.0
"""Input times gradient."""

from assay.basics.types import Array
from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.distributions import Point
from assay.engine.gradients.influence import influence


@explainer(
    source="shrikumar2017",
    needs={"gradient", "numbers"},
    claims={"dummy", "linear", "differentiable"},
    cost=per_row(lambda o: 1, lambda o: 1),
)
def input_x_gradient(case: Case) -> Array:
    """The input times the target's gradient: each element's term in the linearised target.

    x · ∂f/∂x, in units of the target. For a linear f without intercept the values add up to f(x); in general they do
    not, and there is no base. Depends on the input's zero point: shifting the input and undoing the shift inside the
    model changes the values. An element that is 0 gets 0 whatever its gradient.
    """
    return case.rows.x * influence(case, Point()).values
