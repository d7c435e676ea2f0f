# SPDX-License-Identifier: Apache-2.0
"""DeepLIFT."""

from typing import Any

from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.backward_pass import at_net_input, propagate_backward, start_at_net_input
from assay.nouns.results.result import Estimate


@explainer(
    source="shrikumar2017",
    needs={"net", "numbers"},
    claims={"complete"},
    cost=per_row(lambda o: 2, lambda o: 1),
)
def deep_lift(case: Case, *, start: Any = 0.0) -> Estimate:
    """The target's change from a baseline to the input, propagated back by the secant slope of every operation.

    (x − s) · m, where the multiplier m follows the chain rule with the slope of each operation between its values for x
    and for the baseline ``start`` instead of the derivative: (f(x) − f(s)) / (x − s) for functions of single numbers
    (Rescale), the other factor's midpoint for products, quotient and divisor at their midpoints for quotients, the
    slope between the two maxima for a maximum. Softmax, norms, attention and gates are decomposed into these, whether
    written as modules or functions, in place or reused; so values add up to f(x) − f(start) to rounding on any net, in
    units of the target, with one backward pass. Where x and s agree the slope is the derivative. Refused by name are an
    operation without a rule, a function that torch does not show (``torch.autograd.Function``, scripted code), and a
    comparison that turns out otherwise at ``start``. RevealCancel is not offered.

    captum.DeepLift and shap.DeepExplainer have rules for modules, not functions: GELU, LayerNorm, softmax heads and
    functional calls silently keep their plain gradient there.
    """
    from assay.model.rules.deep_lift import DeepLiftRules

    inner = at_net_input(case)
    origin = start_at_net_input(case, inner, start)
    shares, _ = propagate_backward(case, inner, lambda rows: DeepLiftRules("explain.deep_lift"), origin, sides=2)
    return shares
