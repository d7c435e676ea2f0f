# SPDX-License-Identifier: Apache-2.0
"""Integrated gradients."""

from typing import Any

from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.distributions import Line
from assay.engine.influence import influence
from assay.engine.price import per_row
from assay.nouns.result import Estimate


@explainer(
    source="sundararajan2017",
    needs={"gradient", "numbers"},
    claims={"complete", "dummy", "linear", "differentiable"},
    price=per_row(lambda o: o.steps + 1, lambda o: o.steps),
)
def integrated_gradients(case: Case, *, start: Any = 0.0, steps: int = 32) -> Estimate:
    """Share out the target's rise along the straight line from ``start`` to the input.

    (x − s) · ∫₀¹ ∇f(s + α(x − s)) dα by Gauss–Legendre quadrature with ``steps`` nodes, in units of the target. The
    residual f(x) − f(s) − Σ values is the quadrature's error: near rounding on smooth nets from about ten nodes, about
    1/steps on kinked (ReLU) ones. ``start`` is a number, one row, or one row each; it should mean "nothing there".

    captum.IntegratedGradients agrees with method="gausslegendre", its default.
    """
    return influence(case, Line(start, steps))
