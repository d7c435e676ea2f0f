"""Contributions of one sign: their sum, its adjoint, and the number of products for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional

from assay.model.rules import propagation_rules
from assay.model.rules.propagation_rules import Rule, SignedContributions
from assay.model.rules.weighted_sums import WeightedSum, as_weighted_sum

DRAW = torch.Generator().manual_seed(0)


def normal_tensor(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=DRAW, dtype=torch.float64)


def dense() -> tuple[WeightedSum, torch.Tensor]:
    """A dense sum, and its weights as a matrix (input, output)."""
    a, w = normal_tensor(3, 5), normal_tensor(4, 5)
    found = as_weighted_sum("linear", functional.linear, (a, w, normal_tensor(4)), {}, lambda t: t is a)
    assert found is not None
    return found, w.T


def convolution(dims: int = 2, last: bool = True, **options: Any) -> WeightedSum:
    """A convolution whose input has both signs."""
    side = (5, 5, 3)[:dims]
    a, w = normal_tensor(2, 4, *side), normal_tensor(6, 4 // options.get("groups", 1), *(3, 2, 2)[:dims])
    if last and dims == 2:
        a = a.contiguous(memory_format=torch.channels_last)
    func: Any = getattr(functional, f"conv{dims}d")
    found = as_weighted_sum(f"conv{dims}d", func, (a, w, normal_tensor(6)), options, lambda t: t is a)
    assert found is not None
    return found


SUMS: dict[str, Callable[[], WeightedSum]] = {
    "dense": lambda: dense()[0],
    "line": lambda: convolution(1, stride=2, padding=1),
    "picture": lambda: convolution(2, stride=(2, 1), padding=(1, 2), dilation=2),
    "picture, contiguous": lambda: convolution(2, last=False),
    "in groups": lambda: convolution(2, groups=2, padding=1),
    "padded by name": lambda: convolution(2, padding="valid"),
    "volume": lambda: convolution(3, padding=1),
}
SIGNS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "both signs": lambda t: t,
    "nowhere negative": torch.relu,
    "nowhere positive": lambda t: -torch.relu(t),
    "negative": lambda t: -t.abs() - 0.1,
    "nothing": torch.zeros_like,
}


def unfolded(s: WeightedSum) -> torch.Tensor:
    """The sum as a matrix (element of one row's input, element of its output)."""
    n = s.a[0].numel()
    each = s.apply(torch.eye(n, dtype=torch.float64).reshape(n, *s.a.shape[1:]), s.weight)
    return each.reshape(n, -1)


@pytest.mark.parametrize("weights", SIGNS)
@pytest.mark.parametrize("inputs", SIGNS)
@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("sign", [1, -1])
def test_one_sign_sums_its_contributions(name: str, inputs: str, weights: str, sign: int) -> None:
    s = SUMS[name]()
    s = replace(s, a=SIGNS[inputs](s.a), weight=SIGNS[weights](s.weight))
    side, matrix = SignedContributions(s, sign), unfolded(s)
    flat = s.a.reshape(len(s.a), -1)
    contributions = flat[:, :, None] * matrix
    signed = contributions.clamp(min=0) if sign > 0 else contributions.clamp(max=0)
    total = side.total()
    torch.testing.assert_close(total.reshape(len(s.a), -1), signed.sum(1), rtol=1e-12, atol=1e-12)
    share = torch.randn(total.shape, generator=DRAW, dtype=torch.float64)
    towards = torch.where(flat[:, :, None] < 0, -sign, sign) * matrix > 0
    expected = (towards * matrix * share.reshape(len(s.a), 1, -1)).sum(2)
    torch.testing.assert_close(side.back(share).reshape(flat.shape), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("inputs", "weights", "name", "products"),
    [
        ("both signs", "both signs", "dense", 2),
        ("both signs", "both signs", "picture", 2),
        ("both signs", "both signs", "in groups", 4),
        ("nowhere negative", "both signs", "in groups", 2),
        ("nowhere negative", "both signs", "dense", 2),
        ("both signs", "nowhere negative", "in groups", 2),
    ],
)
def test_the_number_of_products_depends_on_the_signs(inputs: str, weights: str, name: str, products: int) -> None:
    s = SUMS[name]()
    s = replace(s, a=SIGNS[inputs](s.a), weight=SIGNS[weights](s.weight))
    counts = {"there": 0, "back": 0}

    def apply(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        counts["there"] += 1
        return s.apply(x, w)

    def back(g: torch.Tensor, w: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        counts["back"] += 1
        assert s.adjoint is not None
        return s.adjoint(g, w, a)

    z = s.apply(s.a, s.weight) + s.bias
    counted = replace(s, apply=apply, adjoint=back)
    propagation_rules.alpha_beta(counted, Rule("alpha_beta", alpha=2.0), z, torch.ones_like(z))
    assert counts == {"there": products, "back": products}


def test_nan_stays_in_its_row() -> None:
    s, matrix = dense()
    hole = s.a.clone()
    hole[1, 2] = torch.nan
    total = SignedContributions(replace(s, a=hole), 1).total()
    expected = (s.a[:, :, None] * matrix).clamp(min=0).sum(1)
    assert bool(total[1].isnan().all())
    torch.testing.assert_close(total[[0, 2]], expected[[0, 2]])


def test_the_adjoint_keeps_the_memory_format_of_images() -> None:
    s = convolution(2)
    g = torch.ones_like(s.apply(s.a, s.weight))
    assert s.back(g, s.weight).is_contiguous(memory_format=torch.channels_last)
