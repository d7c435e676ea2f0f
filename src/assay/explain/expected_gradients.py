# SPDX-License-Identifier: Apache-2.0
"""Expected gradients."""

from typing import Any

from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.distributions import Lines
from assay.engine.gradients.influence import influence
from assay.nouns.results.result import Estimate


@explainer(
    source="erion2021",
    needs={"gradient", "numbers"},
    claims={"complete", "dummy", "linear", "differentiable"},
    cost=per_row(lambda o: len(o.background) * (o.steps + 1), lambda o: len(o.background) * o.steps),
)
def expected_gradients(case: Case, *, background: Any, steps: int = 8) -> Estimate:
    """Integrated gradients averaged over all rows of a background as baselines.

    The mean over background rows b of (x − b) · ∫₀¹ ∇f(b + α(x − b)) dα, in units of the target: integrated gradients
    from every row of ``background``, each by Gauss–Legendre quadrature with ``steps`` nodes. The base is the mean
    target over the background, for the label of the explained row; the residual is the quadrature's error. A row costs
    ``steps`` gradients per background row: all are used, so a smaller background costs less.

    The paper, shap.GradientExplainer and captum.GradientShap draw one random point of a random line at a time; here
    nothing is drawn, so there is no sampling error.
    """
    return influence(case, Lines(background, steps))
