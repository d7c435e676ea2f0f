# SPDX-License-Identifier: Apache-2.0
"""Attention-aware layer-wise relevance propagation."""

from dataclasses import replace

from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.backward_pass import at_the_net, leftover, returned
from assay.nouns.results.result import Estimate


@explainer(
    source="achtibat2024",
    needs={"net", "numbers"},
    cost=per_row(lambda o: 1, lambda o: 1),
)
def attn_lrp(case: Case, *, epsilon: float = 1e-6) -> Estimate:
    """Send the target back through a transformer so that attention gets its due.

    AttnLRP: weighted sums by LRP-ε, the two factors of every product (queries and keys, attention and values, gates)
    share relevance by halves, softmax passes its linear part at the point and absorbs the rest, norms count as scales,
    activations pass relevance whole. Values are in units of the target; Σ values + extra["absorbed"] = target, and
    extra["conservation"] is what that leaves. The rules meet operations, not modules, so no family of models needs a
    file of its own. LRP is reported to be patented: see docs/rules.md.

    LXT patches the classes of some model families; it leaves the residual unchecked.
    """
    from assay.model.rules.composites import composed
    from assay.model.rules.relevance import Relevance

    chosen = composed("epsilon", epsilon=epsilon, softmax="taylor")
    assert chosen is not None
    shares, absorbed = returned(case, at_the_net(case), lambda rows: Relevance("explain.attn_lrp", chosen, rows))
    return replace(shares, extra=leftover(case, shares.values, absorbed))
