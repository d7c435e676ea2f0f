"""Contributions of one sign: what they add up to, the way back along them, and how many products that takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional

from assay.model.rules import sharing
from assay.model.rules.sharing import Rule, Signed
from assay.model.rules.weighted import Weighted, weighted

DRAW = torch.Generator().manual_seed(0)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=DRAW, dtype=torch.float64)


def dense() -> tuple[Weighted, torch.Tensor]:
    """A dense sum, and its weights as a matrix (input, output)."""
    a, w = drawn(3, 5), drawn(4, 5)
    found = weighted("linear", functional.linear, (a, w, drawn(4)), {}, lambda t: t is a)
    assert found is not None
    return found, w.T


def convolution(dims: int = 2, last: bool = True, **options: Any) -> Weighted:
    """A convolution whose input has both signs."""
    side = (7, 6, 5)[:dims]
    a, w = drawn(2, 4, *side), drawn(6, 4 // options.get("groups", 1), *(3, 2, 2)[:dims])
    if last and dims == 2:
        a = a.contiguous(memory_format=torch.channels_last)
    func: Any = getattr(functional, f"conv{dims}d")
    found = weighted(f"conv{dims}d", func, (a, w, drawn(6)), options, lambda t: t is a)
    assert found is not None
    return found


SUMS: dict[str, Callable[[], Weighted]] = {
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


def unfolded(s: Weighted) -> torch.Tensor:
    """The sum as a matrix (element of one row's input, element of its output)."""
    n = s.a[0].numel()
    each = s.apply(torch.eye(n, dtype=torch.float64).reshape(n, *s.a.shape[1:]), s.weight)
    return each.reshape(n, -1)


@pytest.mark.parametrize("weights", SIGNS)
@pytest.mark.parametrize("inputs", SIGNS)
@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("sign", [1, -1])
def test_one_sign_is_its_contributions(name: str, inputs: str, weights: str, sign: int) -> None:
    s = SUMS[name]()
    s = replace(s, a=SIGNS[inputs](s.a), weight=SIGNS[weights](s.weight))
    side, matrix = Signed(s, sign), unfolded(s)
    flat = s.a.reshape(len(s.a), -1)
    contributions = flat[:, :, None] * matrix
    signed = contributions.clamp(min=0) if sign > 0 else contributions.clamp(max=0)
    total = side.total()
    torch.testing.assert_close(total.reshape(len(s.a), -1), signed.sum(1), rtol=1e-12, atol=1e-12)
    share = torch.randn(total.shape, generator=DRAW, dtype=torch.float64)
    towards = torch.where(flat[:, :, None] < 0, -sign, sign) * matrix > 0
    wanted = (towards * matrix * share.reshape(len(s.a), 1, -1)).sum(2)
    torch.testing.assert_close(side.back(share).reshape(flat.shape), wanted, rtol=1e-12, atol=1e-12)


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
def test_as_few_products_as_there_are_signs(inputs: str, weights: str, name: str, products: int) -> None:
    s = SUMS[name]()
    s = replace(s, a=SIGNS[inputs](s.a), weight=SIGNS[weights](s.weight))
    counts = {"there": 0, "back": 0}

    def there(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        counts["there"] += 1
        return s.apply(x, w)

    def back(g: torch.Tensor, w: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        counts["back"] += 1
        assert s.adjoint is not None
        return s.adjoint(g, w, a)

    z = s.apply(s.a, s.weight) + s.bias
    counted = replace(s, apply=there, adjoint=back)
    sharing.alpha_beta(counted, Rule("alpha_beta", alpha=2.0), z, torch.ones_like(z))
    assert counts == {"there": products, "back": products}


def test_a_missing_number_stays_missing_and_in_its_row() -> None:
    s, matrix = dense()
    hole = s.a.clone()
    hole[1, 2] = torch.nan
    total = Signed(replace(s, a=hole), 1).total()
    wanted = (s.a[:, :, None] * matrix).clamp(min=0).sum(1)
    assert bool(total[1].isnan().all())
    torch.testing.assert_close(total[[0, 2]], wanted[[0, 2]])


def test_pictures_go_back_as_they_came() -> None:
    s = convolution(2)
    g = torch.ones_like(s.apply(s.a, s.weight))
    assert s.back(g, s.weight).is_contiguous(memory_format=torch.channels_last)
