"""Nets that autograd cannot differentiate are refused with what to do, and removal methods still explain them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import assay
from assay import explain
from assay.basics.errors import CapabilityError

X = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


class Squared(torch.autograd.Function):
    """The square, without a derivative."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.square()


class WrongShape(Squared):
    """The square, with a derivative of another shape."""

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        return grads[0][:1]


class WrongNumber(Squared):
    """The square, with two derivatives."""

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        return grads[0], grads[0]


def overwritten(h: torch.Tensor) -> torch.Tensor:
    """Rectified, then overwritten where the derivative needs it."""
    h = torch.relu(h)
    h[:, 0] = 0
    return h


NETS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "overwritten": overwritten,
    "no derivative of a function of one's own": Squared.apply,
    "a derivative of another shape": WrongShape.apply,
    "two derivatives of one input": WrongNumber.apply,
    "no derivative in torch": lambda h: torch.heaviside(h, torch.ones(1)),
}


class Around(nn.Module):
    """A function between two linear layers."""

    def __init__(self, middle: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.first, self.last, self.middle = nn.Linear(4, 4), nn.Linear(4, 2), middle

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.middle(self.first(x)))


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("method", ["saliency", "integrated_gradients", "integrated_hessians", "internal_influence"])
def test_what_autograd_cannot_differentiate_is_refused(name: str, method: str) -> None:
    case = assay.case(assay.wrap(Around(NETS[name]).eval()), X, label=1)
    options = {"layer": "first"} if method == "internal_influence" else {}
    with pytest.raises(CapabilityError, match=r"autograd cannot differentiate Around.*removal method"):
        getattr(explain, method)(case, **options)
    assert abs(explain.shapley(case).residual).max() < 1e-6
