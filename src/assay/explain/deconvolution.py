# SPDX-License-Identifier: Apache-2.0
"""Deconvolution."""

from collections.abc import Sequence

from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.backward_pass import rectified
from assay.nouns.results.result import Estimate


@explainer(
    source="zeiler2014",
    needs={"net", "numbers"},
    cost=per_row(lambda o: 1, lambda o: 1),
)
def deconvolution(case: Case, *, allow: Sequence[str] = ()) -> Estimate:
    """Go back from the target letting through each rectifier only what is positive on the way back.

    The gradient, where at every ReLU what comes back is cut to its positive part, and passes whether the unit was on or
    not. Signed, in target units per input unit, but no derivative of anything: it shares nothing out, and for deep nets
    it hardly depends on the weights or the class (Nie 2018). ReLU, ReLU6 and clips from 0 are rectifiers, as modules or
    functions, in place or reused. Other non-linear steps have no rule in the paper and are refused by name;
    ``allow=("gelu",)`` lets those named keep their own derivative. A net without rectifiers is refused.

    captum.Deconvolution changes modules only: with F.relu it silently equals the plain gradient.
    """
    return rectified(case, "explain.deconvolution", guided=False, allow=allow)
