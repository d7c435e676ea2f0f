# SPDX-License-Identifier: Apache-2.0
"""AttnLRP: layer-wise relevance propagation for transformers."""

from dataclasses import replace

from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.backward_pass import at_net_input, propagate_backward, relevance_balance
from assay.nouns.results.result import Estimate


@explainer(
    source="achtibat2024",
    needs={"net", "numbers"},
    cost=per_row(lambda o: 1, lambda o: 1),
)
def attn_lrp(case: Case, *, epsilon: float = 1e-6) -> Estimate:
    """Relevance of the target propagated back through a transformer, with rules for attention and normalisation.

    AttnLRP: weighted sums use LRP-ε, the two factors of every product (queries and keys, attention and values, gates)
    get half of the relevance each, softmax passes its linear part at the point and absorbs the rest, norms are constant
    scales, activations pass relevance unchanged. Values are in units of the target; Σ values + extra["absorbed"] =
    target, and extra["conservation"] is the residual of this equation. The rules apply to operations, not modules, so
    they work for any model family. LRP is reported to be patented: see docs/rules.md.

    LXT patches the classes of some model families; it does not check the residual.
    """
    from assay.model.rules.composites import make_composite
    from assay.model.rules.relevance import RelevanceRules

    composite = make_composite("epsilon", epsilon=epsilon, softmax="taylor")
    assert composite is not None
    shares, absorbed = propagate_backward(
        case, at_net_input(case), lambda rows: RelevanceRules("explain.attn_lrp", composite, rows)
    )
    return replace(shares, extra=relevance_balance(case, shares.values, absorbed))
