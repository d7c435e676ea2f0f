# SPDX-License-Identifier: Apache-2.0
"""How relevance is shared out at a weighted sum z = Σ a w + b.

Each rule takes the sum, z and g = R_out / z, and gives what its input gets, g_in = R_in / a (the rules for the first
sum: R_in itself), and what that adds up to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from assay.model.rules.weighted import Weighted

Tensor = torch.Tensor


@dataclass(frozen=True)
class Rule:
    """A rule by name, with its numbers.

    ``kind`` is zero (z itself), epsilon (z + ε·sign z), gamma (contributions of z's sign weigh 1 + γ), alpha_beta
    (positive and negative contributions apart, α − β = 1), excitation (positive ones, no bias), flat (all inputs
    alike), w_square (as w²) or box (zᴮ: inputs between low and high). The last three are for the first sum: they give
    relevance to inputs that are 0.
    """

    kind: str = "epsilon"
    epsilon: float = 1e-6
    gamma: float = 0.25
    alpha: float = 1.0
    low: float = 0.0
    high: float = 1.0


FIRST = ("flat", "w_square", "box")


Shared = tuple[Tensor, list[tuple[Tensor, Tensor]]]
"""What the input gets; and pairs (share, total): the sum of their products is the relevance handed down."""


def over(a: Tensor, b: Tensor) -> Tensor:
    """a / b, and 0 where b is 0."""
    return (a / b).masked_fill_(b == 0, 0)


def unbiased(z: Tensor, s: Weighted) -> Tensor:
    """Σ a w."""
    return z if s.bias is None else z - s.bias


def zero(s: Weighted, rule: Rule, z: Tensor, g: Tensor) -> Shared:
    """LRP-0: R_in = Σ a w / z · R_out."""
    return s.back(g, s.weight), [(g, unbiased(z, s))]


def epsilon(s: Weighted, rule: Rule, z: Tensor, g: Tensor) -> Shared:
    """LRP-ε: R_in = Σ a w / (z + ε sign z) · R_out."""
    if rule.epsilon == 0:
        return zero(s, rule, z, g)
    size = z.abs()
    share = size.div_(size + rule.epsilon).mul_(g)
    return s.back(share, s.weight), [(share, unbiased(z, s))]


@dataclass(frozen=True, eq=False)
class Signed:
    """Contributions a w of one sign: their sum, and the way back along them.

    Positive ones are a⁺ w⁺ + a⁻ w⁻, negative ones a⁺ w⁻ + a⁻ w⁺. A product with a factor that is 0 everywhere is left
    out; of two, both are taken as one, (a⁺ | a⁻) times the weights stacked alike, where every output reads all inputs.
    Sums are never taken as differences of others: where a sign's total is near 0 only rounding would be left.
    """

    s: Weighted
    sign: int

    def of(self, values: Tensor) -> Tensor:
        """The part of this sign."""
        return values.clamp(min=0) if self.sign > 0 else values.clamp(max=0)

    def total(self) -> Tensor:
        """Σ of the contributions."""
        s, (own, other), (above, below) = self.s, self.weights, self.s.signs
        if not (below and other.any()):
            return s.apply(s.a.clamp(min=0) if below else s.a, own)
        if not (above and own.any()):
            return s.apply(s.a.clamp(max=0) if above else s.a, other)
        if s.inner is not None:
            return s.apply(s.halves, torch.cat((own, other), s.inner[1]))
        return s.apply(s.a.clamp(min=0), own) + s.apply(s.a.clamp(max=0), other)

    def back(self, share: Tensor) -> Tensor:
        """Σ over outputs of share · w, along the contributions of this sign: those of w's sign from 0 up."""
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
        """Weights of this sign, and of the other."""
        return self.of(self.s.weight), Signed(self.s, -self.sign).of(self.s.weight)


def biased(total: Tensor, side: Signed, epsilon: float) -> Tensor:
    """With the part of the bias that has the same sign, and ε."""
    if side.s.bias is None:
        return total + side.sign * epsilon
    return total + (side.of(side.s.bias) + side.sign * epsilon)


def gamma(s: Weighted, rule: Rule, z: Tensor, g: Tensor) -> Shared:
    """LRP-γ: R_in = (Σ a w + γ Σ (a w)^±) / (z + γ z^± + ε sign z) · R_out, ± the sign of z."""
    sides = (Signed(s, 1), Signed(s, -1))
    totals = [side.total() for side in sides]
    own = [z > 0, z <= 0]
    ends = [biased(total, side, rule.epsilon / (rule.gamma or 1)) for total, side in zip(totals, sides)]
    own_end: Tensor = torch.where(own[0], ends[0], ends[1])
    whole = z + rule.gamma * own_end
    share = over(z, whole).mul_(g)
    down = s.back(share, s.weight)
    handed = [(share, unbiased(z, s))]
    for at, total, side in zip(own, totals, sides):
        extra = rule.gamma * share * at
        down = down + side.back(extra)
        handed.append((extra, total))
    return down, handed


def alpha_beta(s: Weighted, rule: Rule, z: Tensor, g: Tensor) -> Shared:
    """LRP-αβ: R_in = (α Σ (a w)⁺ / z⁺ − β Σ (a w)⁻ / z⁻) · R_out, β = α − 1."""
    downs, handed = [], []
    for sign, factor in ((1, rule.alpha), (-1, 1 - rule.alpha)):
        if factor:
            side = Signed(s, sign)
            total = side.total()
            whole = biased(total, side, rule.epsilon)
            share = (torch.div(z, whole, out=whole) if rule.epsilon else over(z, whole)).mul_(g)
            share = share if factor == 1 else share.mul_(factor)
            downs.append(side.back(share))
            handed.append((share, total))
    return (downs[0] if len(downs) == 1 else downs[0] + downs[1]), handed


def excitation(s: Weighted, rule: Rule, z: Tensor, g: Tensor) -> Shared:
    """Excitation backprop: P_in = Σ (a w)⁺ / Σ (a w)⁺ · P_out, no bias."""
    side = Signed(s, 1)
    total = side.total()
    share = over(z, total).mul_(g)
    return side.back(share), [(share, total)]


def flat(s: Weighted, rule: Rule, z: Tensor, g: Tensor) -> Shared:
    """Every input of the sum gets the same."""
    return _as(torch.ones_like(s.weight), s, z, g)


def w_square(s: Weighted, rule: Rule, z: Tensor, g: Tensor) -> Shared:
    """Inputs share as the squares of their weights."""
    return _as(s.weight**2, s, z, g)


def _as(weight: Tensor, s: Weighted, z: Tensor, g: Tensor) -> Shared:
    total = s.apply(torch.ones_like(s.a), weight)
    share = over(z, total).mul_(g)
    return s.back(share, weight), [(share, total)]


def box(s: Weighted, rule: Rule, z: Tensor, g: Tensor) -> Shared:
    """zᴮ: R_in = (Σ a w − low w⁺ − high w⁻) / z_box · R_out, for inputs between low and high."""
    up, down, one = s.weight.clamp(min=0), s.weight.clamp(max=0), torch.ones_like(s.a)
    total = unbiased(z, s) - rule.low * s.apply(one, up) - rule.high * s.apply(one, down)
    share = over(z, total + torch.copysign(total.new_tensor(rule.epsilon), total)).mul_(g)
    got = s.a * s.back(share, s.weight) - rule.low * s.back(share, up) - rule.high * s.back(share, down)
    return got, [(share, total)]


SHARES: dict[str, Callable[[Weighted, Rule, Tensor, Tensor], Shared]] = {
    rule.__name__: rule for rule in (zero, epsilon, gamma, alpha_beta, excitation, flat, w_square, box)
}
