# SPDX-License-Identifier: Apache-2.0
"""DeepLIFT."""

from typing import Any

from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.backward_pass import at_the_net, net_start, returned
from assay.nouns.results.result import Estimate


@explainer(
    source="shrikumar2017",
    needs={"net", "numbers"},
    claims={"complete"},
    cost=per_row(lambda o: 2, lambda o: 1),
)
def deep_lift(case: Case, *, start: Any = 0.0) -> Estimate:
    """Share out the target's rise from a reference to the input, through the slope of every step between the two.

    (x − s) · m, where the multiplier m is chained like a derivative but each step has the slope between what it gives
    for x and for the reference ``start``: (f(x) − f(s)) / (x − s) for functions of single numbers (Rescale), the other
    factor's midpoint for products, for a maximum the slope between the two maxima. Softmax, norms, attention and gates
    are taken apart into these, whether written as modules or functions, in place or reused; so values add up to f(x) −
    f(start) to rounding on any net, in units of the target, with one backward pass. Where x and s agree the slope is
    the derivative. A step without a rule is refused by name. RevealCancel is not offered.

    captum.DeepLift and shap.DeepExplainer know modules, not functions: GELU, LayerNorm, softmax heads and functional
    calls keep their plain gradient there, without a word.
    """
    from assay.model.rules.deep_lift import Secant

    inner = at_the_net(case)
    begun = net_start(case, inner, start)
    shares, _ = returned(case, inner, lambda rows: Secant("explain.deep_lift"), begun, sides=2)
    return shares
