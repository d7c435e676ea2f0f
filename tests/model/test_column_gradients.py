"""Gradients through convolutions of few channels against torch's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

import assay
from assay.model.transformations import column_gradients as columns
from assay.model.transformations.column_gradients import column_gradients

X = torch.as_tensor(np.random.default_rng(0).normal(size=(5, 3, 9, 8)))

NARROW = {
    "one channel": (1, {"kernel_size": 3}),
    "three channels, padded": (3, {"kernel_size": 3, "padding": 1}),
    "uneven": (2, {"kernel_size": (3, 2), "padding": (0, 2)}),
    "without bias": (3, {"kernel_size": 2, "bias": False}),
    "reflected": (1, {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"}),
    "padded beyond the kernel": (1, {"kernel_size": 2, "padding": 3}),
}
OTHER = {
    "stride": (1, {"kernel_size": 3, "stride": 2}),
    "dilation": (1, {"kernel_size": 3, "dilation": 2}),
    "groups": (2, {"kernel_size": 3, "groups": 2}),
    "same": (1, {"kernel_size": 3, "padding": "same"}),
    "few kernels": (3, {"kernel_size": 5}),
}


def net_of(channels: int, given: dict[str, Any]) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = nn.Conv2d(channels, 24, **given)
        return nn.Sequential(first, nn.Tanh(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(216, 3)).double()


def gradient(net: nn.Module, x: torch.Tensor, *, by_columns: bool) -> torch.Tensor:
    x = x.clone().requires_grad_()
    if not by_columns:
        return torch.autograd.grad(net(x)[:, 1].sum(), x)[0]
    with column_gradients(net):
        return torch.autograd.grad(net(x)[:, 1].sum(), x)[0]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of rows whose gradients are computed by columns."""
    seen: list[int] = []
    plain = columns._Convolution.backward

    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        seen.append(len(grad))
        return plain(ctx, grad)

    monkeypatch.setattr(columns._Convolution, "backward", staticmethod(backward))
    return seen


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("kind", NARROW)
def test_the_gradient_equals_torchs(kind: str, last: bool, counted: list[int]) -> None:
    channels, given = NARROW[kind]
    net = net_of(channels, given).requires_grad_(False)
    x = X[:, :channels].contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
    assert_allclose(gradient(net, x, by_columns=True), gradient(net, x, by_columns=False), rtol=1e-10, atol=1e-13)
    assert counted == [5]


@pytest.mark.parametrize("kind", OTHER)
def test_other_convolutions_use_torchs_gradient(kind: str, counted: list[int]) -> None:
    channels, given = OTHER[kind]
    net = net_of(channels, given).requires_grad_(False)
    x = X[:, :channels]
    assert torch.equal(gradient(net, x, by_columns=True), gradient(net, x, by_columns=False))
    assert counted == []


def test_trainable_weights_and_large_images_use_torchs_gradient(counted: list[int]) -> None:
    net = net_of(1, {"kernel_size": 3})
    gradient(net, X[:, :1], by_columns=True)
    gradient(net.requires_grad_(False), torch.zeros(1, 1, 65, 9, dtype=torch.float64), by_columns=True)
    assert counted == []


def test_the_gradient_can_be_differentiated_again() -> None:
    net = net_of(1, {"kernel_size": 3, "padding": 1}).requires_grad_(False)
    seconds = []
    for by_columns in (False, True):
        x = X[:, :1].clone().requires_grad_()
        with column_gradients(net) if by_columns else torch.enable_grad():
            first = torch.autograd.grad(net(x)[:, 1].sum(), x, create_graph=True)[0]
        seconds.append(torch.autograd.grad((first**2).sum(), x)[0])
    assert_allclose(seconds[1], seconds[0], rtol=1e-10, atol=1e-13)
    assert float(seconds[0].abs().max()) > 0


def test_a_cases_gradients_use_columns_and_the_callers_net_is_unchanged(counted: list[int]) -> None:
    net = net_of(1, {"kernel_size": 3})
    before = [p.clone() for p in net.parameters()]
    case = assay.case(assay.wrap(net), X[:, :1], label=1)
    assert_allclose(case.gradient(case.rows.x), gradient(net, X[:, :1], by_columns=False), rtol=1e-10, atol=1e-13)
    assert counted == [5]
    assert all(p.requires_grad and p.grad is None and torch.equal(p, q) for p, q in zip(net.parameters(), before))
