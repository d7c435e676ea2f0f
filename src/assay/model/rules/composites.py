# SPDX-License-Identifier: Apache-2.0
"""LRP composites by name: the rule of each weighted sum."""

from __future__ import annotations

from assay.basics.errors import InputError
from assay.model.rules.propagation_rules import Rule
from assay.model.rules.relevance import Composite

SINGLE_RULES = ("zero", "epsilon", "gamma", "alpha_beta", "z_plus")
FIRST_LAYER_RULES = ("flat", "w_square", "box")
COMBINED = (
    "epsilon_plus", "epsilon_plus_flat", "epsilon_alpha2_beta1", "epsilon_alpha2_beta1_flat", "epsilon_gamma_box"
)  # fmt: skip
COMPOSITES = (*SINGLE_RULES, *FIRST_LAYER_RULES, *COMBINED)


def make_composite(
    name: str,
    *,
    epsilon: float = 1e-6,
    gamma: float = 0.25,
    alpha: float = 2.0,
    low: float | None = None,
    high: float | None = None,
    softmax: str = "taylor",
) -> Composite | None:
    """The composite of this name; ``None`` where it needs the input range ``low``, ``high`` and that is missing."""
    if epsilon < 0 or gamma < 0 or alpha < 1:
        raise InputError(f"epsilon={epsilon}, gamma={gamma}, alpha={alpha}; ε ≥ 0, γ ≥ 0 and α ≥ 1 are needed.")
    if name not in COMPOSITES:
        raise InputError(f"no composite {name!r}; there are {', '.join(COMPOSITES)}.")
    if softmax not in ("taylor", "constant"):
        raise InputError(f"softmax={softmax!r}; 'taylor' propagates through its linear part, 'constant' nothing.")
    has_box = name in ("box", "epsilon_gamma_box")
    if has_box and (low is None or high is None):
        return None
    if has_box and low is not None and high is not None and not low < high:
        raise InputError(f"low={low}, high={high}; low must be below high (the range of the net's own input).")
    rules = {
        "zero": Rule("zero"),
        "epsilon": Rule("epsilon", epsilon),
        "gamma": Rule("gamma", epsilon, gamma=gamma),
        "alpha_beta": Rule("alpha_beta", epsilon, alpha=alpha),
        "z_plus": Rule("alpha_beta", epsilon, alpha=1.0),
        "alpha2_beta1": Rule("alpha_beta", epsilon, alpha=2.0),
        "flat": Rule("flat"),
        "w_square": Rule("w_square"),
        "box": Rule("box", epsilon, low=low or 0.0, high=high if high is not None else 1.0),
    }
    if name in SINGLE_RULES:
        return Composite(rules[name], rules[name], None, softmax)
    if name in FIRST_LAYER_RULES:
        return Composite(rules["epsilon"], rules["epsilon"], rules[name], softmax)
    middle = rules["z_plus" if "plus" in name else "gamma" if "gamma" in name else "alpha2_beta1"]
    first = rules["flat"] if name.endswith("flat") else rules["box"] if has_box else None
    return Composite(rules["epsilon"], middle, first, softmax)
