# SPDX-License-Identifier: Apache-2.0
"""Guided backprop."""

from collections.abc import Sequence

from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.backward_pass import modified_gradient
from assay.nouns.results.result import Estimate


@explainer(
    source="springenberg2015",
    needs={"net", "numbers"},
    cost=per_row(lambda o: 1, lambda o: 1),
)
def guided_backprop(case: Case, *, allow: Sequence[str] = ()) -> Estimate:
    """The gradient with the negative part of the incoming gradient set to 0 at every active ReLU.

    At every ReLU the positive part of the incoming gradient passes where the unit was active (x > 0), nothing
    elsewhere. Signed, in target units per input unit, but not a derivative of any function: values have no
    completeness, and for deep nets they hardly depend on the weights or the class (Adebayo 2018). ReLU, ReLU6 and clips
    at 0 are rectifiers, as modules or functions, in place or reused. Other non-linear operations have no rule in the
    paper and are refused by name; ``allow=("gelu",)`` keeps the derivative of those named. A net without rectifiers is
    refused.

    captum.GuidedBackprop changes modules only: with F.relu it silently gives the plain gradient.
    """
    return modified_gradient(case, "explain.guided_backprop", guided=True, allow=allow)
