# SPDX-License-Identifier: Apache-2.0
"""Guided backprop."""

from collections.abc import Sequence

from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.backward_pass import rectified
from assay.nouns.results.result import Estimate


@explainer(
    source="springenberg2015",
    needs={"net", "numbers"},
    cost=per_row(lambda o: 1, lambda o: 1),
)
def guided_backprop(case: Case, *, allow: Sequence[str] = ()) -> Estimate:
    """Go back from the target letting through each rectifier only what is positive, both ways.

    The gradient, where at every ReLU what comes back is cut to its positive part and passes only where the unit was on
    (x > 0). Signed, in target units per input unit, but no derivative of anything: it shares nothing out, and for deep
    nets it hardly depends on the weights or the class (Adebayo 2018). ReLU, ReLU6 and clips from 0 are rectifiers, as
    modules or functions, in place or reused. Other non-linear steps have no rule in the paper and are refused by name;
    ``allow=("gelu",)`` lets those named keep their own derivative. A net without rectifiers is refused.

    captum.GuidedBackprop changes modules only: with F.relu it silently equals the plain gradient.
    """
    return rectified(case, "explain.guided_backprop", guided=True, allow=allow)
