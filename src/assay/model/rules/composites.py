# SPDX-License-Identifier: Apache-2.0
"""Composites: which rule of relevance propagation where, by name."""

from __future__ import annotations

from assay.basics.errors import InputError
from assay.model.rules.relevance import Composite
from assay.model.rules.sharing import Rule

SINGLE = ("zero", "epsilon", "gamma", "alpha_beta", "z_plus")
FIRST = ("flat", "w_square", "box")
JOINT = ("epsilon_plus", "epsilon_plus_flat", "epsilon_alpha2_beta1", "epsilon_alpha2_beta1_flat", "epsilon_gamma_box")


def composed(
    name: str,
    *,
    epsilon: float = 1e-6,
    gamma: float = 0.25,
    alpha: float = 2.0,
    low: float | None = None,
    high: float | None = None,
    softmax: str = "taylor",
) -> Composite | None:
    """The composite of this name; ``None`` where it needs a range that is not given."""
    if epsilon < 0 or gamma < 0 or alpha < 1:
        raise InputError(f"epsilon={epsilon}, gamma={gamma}, alpha={alpha}; needed are ε ≥ 0, γ ≥ 0 and α ≥ 1.")
    if name not in (*SINGLE, *FIRST, *JOINT):
        raise InputError(f"no composite {name!r}; there are {', '.join((*SINGLE, *FIRST, *JOINT))}.")
    if softmax not in ("taylor", "constant"):
        raise InputError(f"softmax={softmax!r}; 'taylor' passes its linear part, 'constant' nothing.")
    boxed = name in ("box", "epsilon_gamma_box")
    if boxed and (low is None or high is None):
        return None
    if boxed and low is not None and high is not None and not low < high:
        raise InputError(f"low={low}, high={high}; the range of the net's own input has low below high.")
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
    if name in SINGLE:
        return Composite(rules[name], rules[name], None, softmax)
    if name in FIRST:
        return Composite(rules["epsilon"], rules["epsilon"], rules[name], softmax)
    middle = rules["z_plus" if "plus" in name else "gamma" if "gamma" in name else "alpha2_beta1"]
    first = rules["flat"] if name.endswith("flat") else rules["box"] if boxed else None
    return Composite(rules["epsilon"], middle, first, softmax)
