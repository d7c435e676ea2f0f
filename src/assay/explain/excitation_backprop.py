# SPDX-License-Identifier: Apache-2.0
"""Excitation backprop."""

from dataclasses import replace

import numpy as np

from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.backward_pass import at_net_input, propagate_backward
from assay.nouns.inputs.frames import list_first
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Note


@explainer(
    source="zhang2018",
    needs={"net", "numbers"},
    cost=per_row(lambda o: 1, lambda o: 1),
)
def excitation_backprop(case: Case) -> Estimate:
    """The probability that a random walk from the target through excitatory connections ends at each element.

    Marginal winning probabilities: a unit distributes its probability over its inputs in proportion to a · w⁺, the
    positive contributions; activations pass it unchanged. It starts with 1 at the target, so values add up to 1 minus
    what is lost at units without a positive contribution; without unit, and never negative where activations are not.
    For a negative input (the paper's nets have none) a⁻ · w⁻ counts as excitation. Biases get nothing. Undefined (NaN,
    with a note) where the target is exactly 0. The contrastive variant is not offered.
    """
    from assay.model.rules.propagation_rules import Rule
    from assay.model.rules.relevance import Composite, RelevanceRules

    composite = Composite(Rule("excitation"), Rule("excitation"))
    shares, _ = propagate_backward(
        case, at_net_input(case), lambda rows: RelevanceRules("explain.excitation_backprop", composite, rows)
    )
    values = to_floats(shares.values)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = values / case.output.reshape(-1, *(1,) * (values.ndim - 1))
    zero = np.flatnonzero(case.output == 0)
    values[zero] = np.nan
    notes = (Note("no-target", f"undefined where the target is 0: {list_first(zero)}"),) if len(zero) else ()
    return replace(shares, values=values, notes=notes)
