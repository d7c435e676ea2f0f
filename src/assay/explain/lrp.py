# SPDX-License-Identifier: Apache-2.0
"""Layer-wise relevance propagation."""

from dataclasses import replace
from typing import Literal

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.backward_pass import at_net_input, propagate_backward, relevance_balance
from assay.nouns.results.result import Estimate

CompositeName = Literal[
    "zero", "epsilon", "gamma", "alpha_beta", "z_plus", "flat", "w_square", "box",
    "epsilon_plus", "epsilon_plus_flat", "epsilon_alpha2_beta1", "epsilon_alpha2_beta1_flat", "epsilon_gamma_box",
]  # fmt: skip


@explainer(
    source="bach2015",
    needs={"net", "numbers"},
    cost=per_row(lambda o: 1, lambda o: 1),
)
def lrp(
    case: Case,
    *,
    composite: CompositeName = "epsilon_plus",
    epsilon: float = 1e-6,
    gamma: float = 0.25,
    alpha: float = 2.0,
    low: float | None = None,
    high: float | None = None,
    softmax: Literal["taylor", "constant"] = "taylor",
) -> Estimate:
    """Relevance of the target, propagated back and distributed at every sum in proportion to the inputs' contributions.

    At z = Σ a w + b the input a gets a w / z of z's relevance (zero); stabilised by ε·sign z (epsilon); with positive
    contributions weighted by 1 + ``gamma`` (gamma); with positive and negative contributions normalised separately, in
    the shares ``alpha`` and 1 − ``alpha`` (alpha_beta; z_plus is ``alpha`` 1). In the first layer only: equal shares
    (flat), in proportion to w² (w_square), or zᴮ for inputs between ``low`` and ``high`` in the net's own units (box).
    Composites use epsilon for dense sums and, for convolutions, z_plus (epsilon_plus), alpha 2 beta 1, or gamma. A
    batch norm is merged into the sum before it. Activations pass relevance unchanged, products give half to each
    factor, norms are constant scales; softmax passes its linear part (``taylor``) or nothing (``constant``). Values are
    in units of the target.

    Σ values + extra["absorbed"] = target: biases, constants and ε absorb the rest, counted per operation;
    extra["conservation"] is the residual of this equation, rounding unless an operation was missed. An operation
    without a rule (exp, a softmax read as probability in a log), or a function that torch does not show
    (``torch.autograd.Function``, scripted code), is refused by name. LRP is reported to be patented: see docs/rules.md.

    zennit and captum attach to modules and double or lose relevance at functional residuals, gates and norms.
    """
    from assay.model.rules.composites import make_composite
    from assay.model.rules.relevance import RelevanceRules

    rules = make_composite(composite, epsilon=epsilon, gamma=gamma, alpha=alpha, low=low, high=high, softmax=softmax)
    if rules is None:
        raise InputError(f"composite={composite!r} needs low= and high=, the range of the net's own input.")
    inner = at_net_input(case)
    shares, absorbed = propagate_backward(case, inner, lambda rows: RelevanceRules("explain.lrp", rules, rows))
    return replace(shares, extra=relevance_balance(case, shares.values, absorbed))
