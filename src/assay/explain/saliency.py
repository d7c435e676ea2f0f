# SPDX-License-Identifier: Apache-2.0
"""Saliency."""

from array_api_compat import array_namespace

from assay.basics.types import Array
from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.distributions import Point
from assay.engine.gradients.influence import influence
from assay.nouns.results.result import Estimate


@explainer(
    source="simonyan2014",
    needs={"gradient", "numbers"},
    claims={"dummy", "differentiable"},
    cost=per_row(lambda o: 1, lambda o: 1),
)
def saliency(case: Case, *, signed: bool = False) -> Estimate | Array:
    """The absolute gradient of the target with respect to the input: |∂f/∂x|, in target units per input unit.

    ``signed=True`` gives ∂f/∂x itself, which is linear in f. Features of several elements get the sum. It is a local
    sensitivity, not a share of the target, and 0 wherever f is flat: ReLU(1 − x) at 2.
    """
    gradient = influence(case, Point()).values
    return gradient if signed else array_namespace(gradient).abs(gradient)
