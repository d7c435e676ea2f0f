# SPDX-License-Identifier: Apache-2.0
"""Integrated gradients."""

from types import SimpleNamespace
from typing import Any, Literal

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.adaptive_quadrature import integrate_to_tolerance
from assay.engine.gradients.backward_pass import integrate_by_secants
from assay.engine.gradients.distributions import Line
from assay.engine.gradients.influence import influence
from assay.nouns.results.result import Estimate


def _forwards(o: SimpleNamespace) -> int:
    if o.rule == "secant":
        return 2 * (o.steps + o.steps // 2) + 1
    return o.steps + 1 if o.tolerance is None else 2 * int(o.most)


def _backwards(o: SimpleNamespace) -> int:
    if o.rule == "secant":
        return o.steps + o.steps // 2
    return o.steps if o.tolerance is None else int(o.most)


@explainer(
    source="sundararajan2017",
    needs={"gradient", "numbers"},
    claims={"complete", "dummy", "linear", "differentiable"},
    cost=per_row(_forwards, _backwards),
)
def integrated_gradients(
    case: Case,
    *,
    start: Any = 0.0,
    steps: int = 32,
    tolerance: float | None = None,
    most: int = 1024,
    rule: Literal["gauss", "secant"] = "gauss",
) -> Estimate:
    """The target's gradient integrated along the straight line from a baseline to the input.

    (x − s) · ∫₀¹ ∇f(s + α(x − s)) dα, in units of the target. The baseline ``start`` is a number, one row, or one row
    each; it should stand for an input without information. The residual f(x) − f(s) − Σ values is the quadrature's
    error.

    rule="gauss": Gauss–Legendre with ``steps`` nodes; accurate to rounding on smooth nets from about ten nodes, slow to
    converge on piecewise linear (ReLU) nets: an error of 2 – 11 % of f(x) − f(s) at 50 nodes for an EfficientNet. With
    ``tolerance`` each row's line is cut into panels of eight nodes, and panels whose values do not add up to their own
    change of the target are halved, until the residual is below that fraction of f(x) − f(s), or ``most`` nodes are
    spent (a note); extra["nodes"] is the number of nodes of each row. The planned cost then assumes ``most``.

    rule="secant": ``steps`` panels, shorter near the start, each by DeepLIFT's slopes instead of derivatives, which are
    exact across the kinks of a ReLU; torch nets only. It converges to the same integral, faster where there are kinks.
    Every panel adds up by construction, so the residual is rounding and no error estimate; extra["relative_change"]
    (row,) is one: Σ|difference to half as many panels| / Σ|values|.

    captum.IntegratedGradients agrees with method="gausslegendre", its default.
    """
    if rule == "secant" and case.model.net is not None:
        return integrate_by_secants(case, start, steps)
    if rule != "gauss":
        raise InputError(f"rule={rule!r} with {case.model.name}; 'gauss' takes any gradient, 'secant' a torch net.")
    return (
        influence(case, Line(start, steps))
        if tolerance is None
        else integrate_to_tolerance(case, start, tolerance, most)
    )
