# SPDX-License-Identifier: Apache-2.0
"""Rules of relevance propagation for a weighted sum, as carriers.

A carrier c is homogeneous of degree one in the sum's input a: R = a · ∂c/∂a · g, with g = R_out / z, adds up to c · g.
Each function gives (c, z).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from assay.model.rules.weighted import Weighted

Tensor = torch.Tensor


@dataclass(frozen=True)
class Rule:
    """How relevance goes down through a weighted sum z = Σ a w + b.

    ``kind`` is zero (z itself), epsilon (z + ε·sign z), gamma (positive parts weigh 1 + γ), alpha_beta (positive and
    negative parts apart, α − β = 1), flat (all inputs alike), w_square (as w²) or box (zᴮ: inputs between low and
    high). The last three are for the first layer: they share out relevance even where the input is 0.
    """

    kind: str = "epsilon"
    epsilon: float = 1e-6
    gamma: float = 0.25
    alpha: float = 1.0
    low: float = 0.0
    high: float = 1.0


FIRST = ("flat", "w_square", "box")
"""Rules whose carriers are homogeneous in the unit of the net's own input."""


def stable(z: Tensor, epsilon: float) -> Tensor:
    """z + ε·sign z, with sign 0 = 1."""
    return z + epsilon * torch.where(z < 0, -1.0, 1.0).to(z.dtype)


def biased(z: Tensor, bias: Tensor | None) -> Tensor:
    """With the bias, if there is one."""
    return z if bias is None else z + bias


def zero(s: Weighted, rule: Rule) -> tuple[Tensor, Tensor]:
    """LRP-0: R = Σ a w / z · R_out."""
    linear = s.apply(s.a, s.weight)
    return linear, biased(linear.detach(), s.bias)


def epsilon(s: Weighted, rule: Rule) -> tuple[Tensor, Tensor]:
    """LRP-ε: R = Σ a w / (z + ε sign z) · R_out."""
    linear = s.apply(s.a, s.weight)
    z = biased(linear.detach(), s.bias)
    return linear * (z / stable(z, rule.epsilon)), z


def parts(s: Weighted, sign: int) -> Tensor:
    """Σ of the contributions a w of one sign."""
    up, down = s.weight.clamp(min=0), s.weight.clamp(max=0)
    total = s.apply(s.a.clamp(min=0), up if sign > 0 else down)
    if bool((s.a < 0).any()):
        total = total + s.apply(s.a.clamp(max=0), down if sign > 0 else up)
    return total


def half(bias: Tensor | None, sign: int) -> Tensor | None:
    """The part of the bias of one sign."""
    return None if bias is None else bias.clamp(min=0) if sign > 0 else bias.clamp(max=0)


def gamma(s: Weighted, rule: Rule) -> tuple[Tensor, Tensor]:
    """LRP-γ: contributions of z's own sign weigh 1 + γ."""
    linear, up, down = s.apply(s.a, s.weight), parts(s, 1), parts(s, -1)
    z = biased(linear.detach(), s.bias)
    carrier = linear + rule.gamma * torch.where(z < 0, down, up)
    whole = biased(carrier.detach(), s.bias)
    if s.bias is not None:
        more: Tensor = torch.where(z < 0, s.bias.clamp(max=0), s.bias.clamp(min=0))
        whole = whole + rule.gamma * more
    return carrier * (z / stable(whole, rule.epsilon)), z


def alpha_beta(s: Weighted, rule: Rule) -> tuple[Tensor, Tensor]:
    """LRP-αβ: R = (α a w⁺ / z⁺ − β a w⁻ / z⁻) · R_out, β = α − 1."""
    with torch.no_grad():
        z = biased(s.apply(s.a, s.weight), s.bias)
    up = parts(s, 1)
    carrier = rule.alpha * up * (z / (biased(up.detach(), half(s.bias, 1)) + rule.epsilon))
    if rule.alpha != 1:
        down = parts(s, -1)
        carrier = carrier - (rule.alpha - 1) * down * (z / (biased(down.detach(), half(s.bias, -1)) - rule.epsilon))
    return carrier, z


def excitation(s: Weighted, rule: Rule) -> tuple[Tensor, Tensor]:
    """Excitation backprop: P = a w⁺ / Σ a w⁺ · P_out, no bias."""
    with torch.no_grad():
        z = biased(s.apply(s.a, s.weight), s.bias)
    up = parts(s, 1)
    return up * (z / torch.where(up == 0, 1, up).detach()), z


def flat(s: Weighted, rule: Rule) -> tuple[Tensor, Tensor]:
    """Every input of the sum gets the same."""
    return _shared(s, torch.ones_like(s.weight))


def w_square(s: Weighted, rule: Rule) -> tuple[Tensor, Tensor]:
    """Inputs share as the squares of their weights."""
    return _shared(s, s.weight**2)


def _shared(s: Weighted, weight: Tensor) -> tuple[Tensor, Tensor]:
    assert s.unit is not None
    with torch.no_grad():
        z = biased(s.apply(s.a, s.weight), s.bias)
    total = s.apply(s.unit, weight)
    return total * (z / torch.where(total == 0, 1, total).detach()), z


def box(s: Weighted, rule: Rule) -> tuple[Tensor, Tensor]:
    """zᴮ: R = (a w − low w⁺ − high w⁻) / Σ … · R_out, for inputs between low and high."""
    assert s.unit is not None
    up, down = s.weight.clamp(min=0), s.weight.clamp(max=0)
    total = s.apply(s.a * s.unit, s.weight) - s.apply(rule.low * s.unit, up) - s.apply(rule.high * s.unit, down)
    with torch.no_grad():
        z = biased(s.apply(s.a, s.weight), s.bias)
    return total * (z / stable(total.detach(), rule.epsilon)), z


CARRIERS: dict[str, Callable[[Weighted, Rule], tuple[Tensor, Tensor]]] = {
    rule.__name__: rule for rule in (zero, epsilon, gamma, alpha_beta, excitation, flat, w_square, box)
}
