"""Tensors written in place give the values of the same function out of place, and no hook is registered on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.model.rules import nets

import assay
from assay import explain
from assay.cases.case import Case
from assay.model.rules import operations

Function = Callable[[torch.Tensor], torch.Tensor]
C = nets.normal_tensor(7, seed=10)
FIRST = torch.arange(7) < 3


def written(change: Callable[[torch.Tensor], Any]) -> Function:
    """A function that changes a copy of its input in place."""

    def run(x: torch.Tensor) -> torch.Tensor:
        h = x.clone()
        change(h)
        return h

    return run


def change_of_a_view(change: Callable[[torch.Tensor], Any]) -> Function:
    """A function that changes the first three columns of a copy of its input through a view."""
    return written(lambda h: change(h.view(len(h), 7)[:, :3]))


def constant_buffer(x: torch.Tensor) -> torch.Tensor:
    buffer = C.repeat(len(x), 1)
    buffer[:, :3] = x[:, :3]
    buffer[:, 3] += x[:, 3]
    return buffer


def filled_through_a_view(x: torch.Tensor) -> torch.Tensor:
    buffer = torch.ones(len(x), 7, dtype=x.dtype)
    buffer.T[:3].copy_(x[:, :3].T)
    return buffer


def chunks(x: torch.Tensor) -> torch.Tensor:
    """Parts that overlap, one of them masked through a view of a view, as attention in windows writes them."""
    wide = torch.zeros(len(x), 2, 7, dtype=x.dtype)
    wide[:, :, :4] = torch.stack([x[:, :4], x[:, 3:]], 1)
    turned = wide.view(len(x), 2, 7).transpose(1, 2)
    shown = turned[:, :2]
    turned[:, :2] = torch.full_like(shown, 0.7).where(torch.tensor([[True, False], [False, True]]), shown)
    return wide.sum(1)


def chunks_out_of_place(x: torch.Tensor) -> torch.Tensor:
    first, second = torch.cat([x[:, :4] * 1.0, x[:, :3] * 0], 1), torch.cat([x[:, 3:] * 1.0, x[:, :3] * 0], 1)
    first = torch.where(torch.arange(7) == 0, 0.7, first)
    second = torch.where(torch.arange(7) == 1, 0.7, second)
    return torch.stack([first, second], 1).sum(1)


PAIRS: dict[str, tuple[Function, Function]] = {
    "x[place] = number": (
        written(lambda h: h.__setitem__((..., 2), 0.7)),
        lambda x: torch.where(torch.arange(7) == 2, 0.7, x),
    ),
    "x[place] = constant": (
        written(lambda h: h.__setitem__((slice(None), slice(0, 3)), C[:3])),
        lambda x: torch.where(FIRST, C, x),
    ),
    "x[mask] = number": (written(lambda h: h.__setitem__((..., FIRST), 2.0)), lambda x: torch.where(FIRST, 2.0, x)),
    "x[place] = input": (
        written(lambda h: h.__setitem__((..., slice(0, 2)), h[:, 2:4].clone())),
        lambda x: torch.cat([x[:, 2:4], x[:, 2:]], 1),
    ),
    "a view set": (change_of_a_view(lambda v: v.__setitem__(..., 0.7)), lambda x: torch.where(FIRST, 0.7, x)),
    "a view filled": (change_of_a_view(lambda v: v.fill_(0.7)), lambda x: torch.where(FIRST, 0.7, x)),
    "a view zeroed": (change_of_a_view(lambda v: v.zero_()), lambda x: torch.where(FIRST, 0.0, x)),
    "a view copied to": (change_of_a_view(lambda v: v.copy_(C[:3])), lambda x: torch.where(FIRST, C, x)),
    "a view added to": (change_of_a_view(lambda v: v.add_(0.7)), lambda x: x + 0.7 * FIRST.double()),
    "a view masked": (
        change_of_a_view(lambda v: v.masked_fill_(torch.tensor([True, False, True]), 0.7)),
        lambda x: x.masked_fill(torch.tensor([True, False, True] + [False] * 4), 0.7),
    ),
    "a view rectified": (change_of_a_view(lambda v: v.relu_()), lambda x: torch.where(FIRST, torch.relu(x), x)),
    "a view squashed": (change_of_a_view(lambda v: v.tanh_()), lambda x: torch.where(FIRST, torch.tanh(x), x)),
    "a view scaled": (change_of_a_view(lambda v: v.mul_(0.5)), lambda x: x * torch.where(FIRST, 0.5, 1.0).double()),
    "a constant buffer": (
        constant_buffer,
        lambda x: torch.cat([x[:, :3], x[:, 3:4] + C[3], C[4:].expand(len(x), 3)], 1),
    ),
    "a buffer filled through a view": (
        filled_through_a_view,
        lambda x: torch.cat([x[:, :3], torch.ones(len(x), 4, dtype=x.dtype)], 1),
    ),
    "windows": (chunks, chunks_out_of_place),
}


def case_of(f: Function, signed: bool) -> Case:
    net = nets.functional_net(f if signed else lambda x: torch.relu(f(x)))
    return assay.case(assay.wrap(nets.filled(net), output="logits"), nets.normal_tensor(3, 5), label=1)


@pytest.mark.parametrize("method", ["deep_lift", "lrp", "attn_lrp", "guided_backprop", "deconvolution"])
@pytest.mark.parametrize("name", PAIRS)
def test_in_place_is_as_out_of_place(name: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = operations.hook_gradient

    def watched(out: torch.Tensor, function: Any) -> None:
        assert out._version == 0
        hook(out, function)

    monkeypatch.setattr(operations, "hook_gradient", watched)
    signed = method in ("deep_lift", "lrp", "attn_lrp")
    options: Any = {} if signed else {"allow": ("tanh",)}
    one, other = (case_of(f, signed) for f in PAIRS[name])
    assert_allclose(one.output, other.output, atol=1e-12)
    found, expected = (getattr(explain, method)(case, **options) for case in (one, other))
    assert_allclose(found.values, expected.values, atol=1e-6 if signed else 1e-10)
    assert np.abs(expected.values).max() > 1e-3 or not signed
    if method in ("lrp", "attn_lrp"):
        assert_allclose(found.extra["conservation"], 0, atol=1e-9)
        assert_allclose(found.extra["absorbed"], expected.extra["absorbed"], atol=1e-5)
    if method == "deep_lift":
        assert_allclose(found.residual, 0, atol=1e-12)
