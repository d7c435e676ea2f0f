# SPDX-License-Identifier: Apache-2.0
"""LRP's propagation rules for a weighted sum z = Σ a w + b.

Each rule takes the sum, z and g = R_out / z, and returns g_in = R_in / a (the rules for the first layer: R_in itself),
and the sum of the propagated relevance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from assay.model.rules.weighted_sums import WeightedSum

Tensor = torch.Tensor


@dataclass(frozen=True)
class Rule:
    """A propagation rule by name, with its parameters.

    ``kind`` is zero (z itself), epsilon (z + ε·sign z), gamma (contributions of z's sign weigh 1 + γ), alpha_beta
    (positive and negative contributions separately, α − β = 1), excitation (positive ones, no bias), flat (all inputs
    equally), w_square (as w²) or box (zᴮ: inputs between low and high). The last three are for the first layer: they
    give relevance to inputs that are 0.
    """

    kind: str = "epsilon"
    epsilon: float = 1e-6
    gamma: float = 0.25
    alpha: float = 1.0
    low: float = 0.0
    high: float = 1.0


FIRST_LAYER_RULES = ("flat", "w_square", "box")
"""The rules for the first layer."""

Propagated = tuple[Tensor, list[tuple[Tensor, Tensor]]]
"""g_in; and pairs (share, total): the sum of their products is the propagated relevance."""


def divide(a: Tensor, b: Tensor) -> Tensor:
    """a / b, and 0 where b is 0."""
    return (a / b).masked_fill_(b == 0, 0)


def without_bias(z: Tensor, s: WeightedSum) -> Tensor:
    """Σ a w."""
    return z if s.bias is None else z - s.bias


def zero(s: WeightedSum, rule: Rule, z: Tensor, g: Tensor) -> Propagated:
    """LRP-0: R_in = Σ a w / z · R_out."""
    return s.back(g, s.weight), [(g, without_bias(z, s))]


def epsilon(s: WeightedSum, rule: Rule, z: Tensor, g: Tensor) -> Propagated:
    """LRP-ε: R_in = Σ a w / (z + ε sign z) · R_out."""
    if rule.epsilon == 0:
        return zero(s, rule, z, g)
    size = z.abs()
    share = size.div_(size + rule.epsilon).mul_(g)
    return s.back(share, s.weight), [(share, without_bias(z, s))]


@dataclass(frozen=True, eq=False)
class SignedContributions:
    """Contributions a w of one sign: their sum, and the adjoint of that sum.

    Positive ones are a⁺ w⁺ + a⁻ w⁻, negative ones a⁺ w⁻ + a⁻ w⁺. A product with a factor that is 0 everywhere is left
    out; two products are computed as one, (a⁺ | a⁻) times the concatenated weights, where every output reads all
    inputs. No sum is computed as a difference of others: where a sign's total is near 0 the result would be rounding.
    """

    s: WeightedSum
    sign: int

    def of(self, values: Tensor) -> Tensor:
        """The values of this sign, and 0 for the others."""
        return values.clamp(min=0) if self.sign > 0 else values.clamp(max=0)

    def total(self) -> Tensor:
        """Sum of the contributions of this sign."""
        s, (own, other), (above, below) = self.s, self.weights, self.s.signs
        if not (below and other.any()):
            return s.apply(s.a.clamp(min=0) if below else s.a, own)
        if not (above and own.any()):
            return s.apply(s.a.clamp(max=0) if above else s.a, other)
        if s.inner is not None:
            return s.apply(s.halves, torch.cat((own, other), s.inner[1]))
        return s.apply(s.a.clamp(min=0), own) + s.apply(s.a.clamp(max=0), other)

    def back(self, share: Tensor) -> Tensor:
        """Σ over outputs of share · w, for contributions of this sign; an input of 0 counts as positive."""
        s, (own, other) = self.s, self.weights
        if not s.signs[1]:
            return s.back(share, own)
        if not (bool(own.any()) and bool(other.any())):  # weights of one sign
            return s.back(share, own + other).masked_fill_((s.a < 0) if own.any() else (s.a >= 0), 0)
        if s.inner is None:
            return torch.where(s.a < 0, s.back(share, other), s.back(share, own))
        up, down = s.back(share, torch.cat((own, other), s.inner[1]), s.halves).chunk(2, s.inner[0])
        return torch.where(s.a < 0, down, up)

    @property
    def weights(self) -> tuple[Tensor, Tensor]:
        """The weights of this sign, and those of the other."""
        return self.of(self.s.weight), SignedContributions(self.s, -self.sign).of(self.s.weight)


def add_bias(total: Tensor, side: SignedContributions, epsilon: float) -> Tensor:
    """The total plus the bias, where it has the same sign, and plus ε with that sign."""
    if side.s.bias is None:
        return total + side.sign * epsilon
    return total + (side.of(side.s.bias) + side.sign * epsilon)


def gamma(s: WeightedSum, rule: Rule, z: Tensor, g: Tensor) -> Propagated:
    """LRP-γ: R_in = (Σ a w + γ Σ (a w)^±) / (z + γ z^± + ε sign z) · R_out, ± the sign of z."""
    sides = (SignedContributions(s, 1), SignedContributions(s, -1))
    totals = [side.total() for side in sides]
    own = [z > 0, z <= 0]
    ends = [add_bias(total, side, rule.epsilon / (rule.gamma or 1)) for total, side in zip(totals, sides)]
    same_sign: Tensor = torch.where(own[0], ends[0], ends[1])
    whole = z + rule.gamma * same_sign
    share = divide(z, whole).mul_(g)
    down = s.back(share, s.weight)
    propagated = [(share, without_bias(z, s))]
    for at, total, side in zip(own, totals, sides):
        extra = rule.gamma * share * at
        down = down + side.back(extra)
        propagated.append((extra, total))
    return down, propagated


def alpha_beta(s: WeightedSum, rule: Rule, z: Tensor, g: Tensor) -> Propagated:
    """LRP-αβ: R_in = (α Σ (a w)⁺ / z⁺ − β Σ (a w)⁻ / z⁻) · R_out, β = α − 1."""
    downs, propagated = [], []
    for sign, factor in ((1, rule.alpha), (-1, 1 - rule.alpha)):
        if factor:
            side = SignedContributions(s, sign)
            total = side.total()
            whole = add_bias(total, side, rule.epsilon)
            share = (torch.div(z, whole, out=whole) if rule.epsilon else divide(z, whole)).mul_(g)
            share = share if factor == 1 else share.mul_(factor)
            downs.append(side.back(share))
            propagated.append((share, total))
    return (downs[0] if len(downs) == 1 else downs[0] + downs[1]), propagated


def excitation(s: WeightedSum, rule: Rule, z: Tensor, g: Tensor) -> Propagated:
    """Excitation backprop: P_in = Σ (a w)⁺ / Σ (a w)⁺ · P_out, no bias."""
    side = SignedContributions(s, 1)
    total = side.total()
    share = divide(z, total).mul_(g)
    return side.back(share), [(share, total)]


def flat(s: WeightedSum, rule: Rule, z: Tensor, g: Tensor) -> Propagated:
    """R_in is equal for all inputs of the sum."""
    return _proportional(torch.ones_like(s.weight), s, z, g)


def w_square(s: WeightedSum, rule: Rule, z: Tensor, g: Tensor) -> Propagated:
    """R_in is proportional to the squares of the weights."""
    return _proportional(s.weight**2, s, z, g)


def _proportional(weight: Tensor, s: WeightedSum, z: Tensor, g: Tensor) -> Propagated:
    total = s.apply(torch.ones_like(s.a), weight)
    share = divide(z, total).mul_(g)
    return s.back(share, weight), [(share, total)]


def box(s: WeightedSum, rule: Rule, z: Tensor, g: Tensor) -> Propagated:
    """zᴮ: R_in = (Σ a w − low w⁺ − high w⁻) / z_box · R_out, for inputs between low and high."""
    up, down, one = s.weight.clamp(min=0), s.weight.clamp(max=0), torch.ones_like(s.a)
    total = without_bias(z, s) - rule.low * s.apply(one, up) - rule.high * s.apply(one, down)
    share = divide(z, total + torch.copysign(total.new_tensor(rule.epsilon), total)).mul_(g)
    relevance = s.a * s.back(share, s.weight) - rule.low * s.back(share, up) - rule.high * s.back(share, down)
    return relevance, [(share, total)]


RULE_FUNCTIONS: dict[str, Callable[[WeightedSum, Rule, Tensor, Tensor], Propagated]] = {
    rule.__name__: rule for rule in (zero, epsilon, gamma, alpha_beta, excitation, flat, w_square, box)
}
