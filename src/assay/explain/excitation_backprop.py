# SPDX-License-Identifier: Apache-2.0
"""Excitation backprop."""

from dataclasses import replace

import numpy as np

from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.backward_pass import at_the_net, returned
from assay.nouns.inputs.frames import some
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Note


@explainer(
    source="zhang2018",
    needs={"net", "numbers"},
    cost=per_row(lambda o: 1, lambda o: 1),
)
def excitation_backprop(case: Case) -> Estimate:
    """How probably each element is picked by a walk from the target down through excitatory connections.

    Marginal winning probabilities: a unit hands its probability to its inputs in proportion to a · w⁺, the positive
    contributions; activations hand it on whole. Starts with 1 at the target, so values add up to 1 less what the walk
    loses at units without a positive contribution; no unit, never negative where activations are not. For a negative
    input (the paper's nets have none) a⁻ · w⁻ counts as excitation. Biases take nothing. Undefined (NaN, with a note)
    where the target is exactly 0. The contrastive variant is not offered.
    """
    from assay.model.rules.relevance import Composite, Relevance
    from assay.model.rules.sharing import Rule

    walk = Composite(Rule("excitation"), Rule("excitation"))
    shares, _ = returned(case, at_the_net(case), lambda rows: Relevance("explain.excitation_backprop", walk, rows))
    values = to_floats(shares.values)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = values / case.output.reshape(-1, *(1,) * (values.ndim - 1))
    zero = np.flatnonzero(case.output == 0)
    values[zero] = np.nan
    notes = (Note("no-target", f"the target is 0, so no walk begins: {some(zero)}"),) if len(zero) else ()
    return replace(shares, values=values, notes=notes)
