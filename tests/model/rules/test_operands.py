"""Operands may be given by name, and complex numbers have rules or are refused: never an error of Python's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.model.rules import nets
from torch.nn import functional

import assay
from assay import explain
from assay.basics.errors import CapabilityError
from assay.cases.case import Case
from assay.model.rules.interception import operands_first

RULES = ("deep_lift", "lrp", "attn_lrp", "excitation_backprop")
Function = Callable[[torch.Tensor], torch.Tensor]

W = nets.normal_tensor(7, 7, seed=9)
C = nets.normal_tensor(7, seed=10)
SQUARE = nets.normal_tensor(3, 7, 7, seed=11)


def case_of(f: Function) -> Case:
    return assay.case(
        assay.wrap(nets.filled(nets.functional_net(f)), output="logits"), nets.normal_tensor(3, 5), label=1
    )


def scores(x: torch.Tensor) -> torch.Tensor:
    """Products of the numbers of a row: (row, 7, 7)."""
    return torch.bmm(x[:, :, None], x[:, None, :])


PAIRS: dict[str, tuple[Function, Function]] = {
    "linear": (
        lambda x: functional.linear(input=x, bias=C, weight=W),
        lambda x: functional.linear(x, W, C),
    ),
    "addmm": (
        lambda x: torch.addmm(input=C, mat1=x, mat2=W, beta=0.5, alpha=2),
        lambda x: functional.linear(x, 2 * W.T, 0.5 * C),
    ),
    "Tensor.addmm": (lambda x: C.addmm(mat2=W, mat1=x), lambda x: functional.linear(x, W.T, C)),
    "addmm of the input as the sum": (lambda x: torch.addmm(x, mat1=x, mat2=W), lambda x: x + x @ W),
    "addmm that ignores its sum": (
        lambda x: torch.addmm(torch.full_like(x, torch.nan), x, mat2=W, beta=0),
        lambda x: x @ W,
    ),
    "baddbmm": (
        lambda x: torch.baddbmm(SQUARE[: len(x)] * 0, batch1=scores(x), batch2=SQUARE[: len(x)] * 0 + W, beta=3).sum(2),
        lambda x: torch.bmm(scores(x), W.expand(len(x), 7, 7)).sum(2),
    ),
    "baddbmm of two": (
        lambda x: (C.expand(len(x), 7, 7)).baddbmm(batch1=scores(x), batch2=scores(x), beta=0.5, alpha=0.1).sum(1),
        lambda x: (0.5 * C + 0.1 * torch.bmm(scores(x), scores(x))).sum(1),
    ),
    "baddbmm that ignores its sum": (
        lambda x: torch.baddbmm(
            torch.full((1, 7, 7), torch.nan, dtype=x.dtype), scores(x), batch2=scores(x), beta=0
        ).sum(1),
        lambda x: torch.bmm(scores(x), scores(x)).sum(1),
    ),
    "addcmul": (lambda x: torch.addcmul(C, tensor1=x, tensor2=C, value=2), lambda x: C + 2 * (x * C)),
    "addcmul of two": (lambda x: torch.addcmul(C, tensor2=x, tensor1=x), lambda x: C + x * x),
    "matmul": (lambda x: torch.matmul(other=W, input=x), lambda x: x @ W),
    "bmm": (lambda x: torch.bmm(input=scores(x), mat2=scores(x)).sum(1), lambda x: (scores(x) @ scores(x)).sum(1)),
    "mul": (lambda x: torch.mul(input=x, other=C), lambda x: x * C),
    "mul of two": (lambda x: torch.mul(x, other=x), lambda x: x * x),
    "mul by a number": (lambda x: x.mul(other=0.3), lambda x: x * 0.3),
    "add a number": (lambda x: torch.add(x, other=0.7), lambda x: x + 0.7),
    "add with a factor": (lambda x: torch.add(input=x, other=C, alpha=2), lambda x: x + 2 * C),
    "div": (lambda x: torch.div(x, other=C.abs() + 1), lambda x: x / (C.abs() + 1)),
    "lerp": (lambda x: torch.lerp(x, end=C, weight=0.25), lambda x: 0.75 * x + 0.25 * C),
    "softmax": (lambda x: torch.softmax(input=x, dim=1), lambda x: torch.softmax(x, 1)),
    "relu": (lambda x: torch.relu(input=x), torch.relu),
    "where": (lambda x: torch.where(condition=C > 0, input=x, other=C), lambda x: torch.where(C > 0, x, C)),
    "einsum": (lambda x: torch.einsum("ri,ij->rj", [x, W]), lambda x: x @ W),
    "conv1d": (
        lambda x: functional.conv1d(input=x[:, None], weight=C[None, None, :3], padding=1)[:, 0],
        lambda x: functional.conv1d(x[:, None], C[None, None, :3], None, 1, 1)[:, 0],
    ),
}


@pytest.mark.parametrize("method", RULES)
@pytest.mark.parametrize("name", PAIRS)
def test_operands_given_by_name_are_those_given_by_position(name: str, method: str) -> None:
    one, other = (case_of(f) for f in PAIRS[name])
    assert_allclose(one.output, other.output, atol=1e-12)
    found, expected = (getattr(explain, method)(case) for case in (one, other))
    assert_allclose(found.values, expected.values, atol=1e-6)
    if method == "deep_lift":
        assert_allclose(found.residual, 0, atol=1e-12)
    elif method != "excitation_backprop":
        assert_allclose(found.extra["conservation"], 0, atol=1e-9)


def test_only_operands_move_to_the_front() -> None:
    x = torch.ones(2, 3)
    assert operands_first(torch.softmax, (), {"input": x, "dim": 1}) == ([x], {"dim": 1})
    assert operands_first(torch.add, (x,), {"other": 2, "alpha": 3}) == ([x, 2], {"alpha": 3})
    given, left = operands_first(torch.where, (), {"other": 1.0, "input": x, "condition": x > 0})
    assert [type(one) for one in given] == [torch.Tensor, torch.Tensor, float]
    assert left == {}


def spectrum(x: torch.Tensor) -> torch.Tensor:
    return torch.view_as_real(torch.fft.rfft(x)).flatten(1)[:, :7]


def filtered(x: torch.Tensor) -> torch.Tensor:
    return torch.fft.irfft(torch.fft.rfft(x) * torch.fft.rfft(C), n=7)


def rotated(x: torch.Tensor) -> torch.Tensor:
    pairs = torch.view_as_complex(x[:, :6].reshape(-1, 3, 2).contiguous())
    turned = pairs * torch.polar(torch.ones(3, dtype=x.dtype), C[:3])
    return torch.cat([torch.view_as_real(turned).flatten(1), x[:, 6:]], 1)


def moduli(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.fft.rfft(x).abs(), x[:, 4:]], 1)


COMPLEX: dict[str, Function] = {
    "a spectrum": spectrum,
    "a filter": filtered,
    "a rotation of pairs": rotated,
    "moduli": moduli,
    "two parts": lambda x: torch.complex(x, x * 2).imag + torch.complex(x, C.expand_as(x)).real,
    "a product of two spectra": lambda x: torch.fft.ifft(torch.fft.fft(x) * torch.fft.fft(x)).real,
    "conjugates": lambda x: (torch.fft.fft(x).conj() * torch.fft.fft(C)).real + (torch.fft.fft(x) + 2.0).real,
    "short spectra": lambda x: torch.view_as_real(
        torch.stft(x, 4, hop_length=2, window=C[:4], return_complex=True, center=False)
    ).flatten(1)[:, :7],
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_numbers_add_up(name: str) -> None:
    case = case_of(COMPLEX[name])
    found = explain.deep_lift(case, start=0.3 * nets.normal_tensor(5, seed=3))
    assert_allclose(found.residual, 0, atol=1e-9)
    assert np.abs(found.output - found.base).max() > 1e-3
    relevance = explain.lrp(case, composite="epsilon", epsilon=1e-9)
    assert_allclose(relevance.extra["conservation"], 0, atol=1e-7)


def test_a_linear_function_by_complex_numbers_is_the_linear_function() -> None:
    matrix = filtered(torch.eye(7, dtype=torch.float64))
    for method in ("deep_lift", "lrp", "guided_backprop"):
        found, expected = (
            getattr(explain, method)(case_of(f)).values
            for f in (lambda x: torch.relu(filtered(x)), lambda x: torch.relu(x @ matrix))
        )
        assert_allclose(found, expected, atol=2e-6 if method == "lrp" else 1e-9)


REFUSED: dict[str, Any] = {
    "exp": lambda x: torch.exp(torch.fft.fft(x)).real,
    "tanh": lambda x: torch.tanh(torch.fft.fft(x)).real,
    "angle": lambda x: torch.angle(torch.fft.fft(x)),
    "linear": lambda x: functional.linear(torch.fft.fft(x).exp(), W.to(torch.complex128)).real,
    "division": lambda x: (1 / torch.fft.fft(x)).real,
    "cumprod": lambda x: torch.view_as_real(torch.fft.fft(x).cumprod(1)).sum(2),
}


@pytest.mark.parametrize("method", ["deep_lift", "lrp", "attn_lrp", "guided_backprop"])
@pytest.mark.parametrize("name", REFUSED)
def test_other_functions_of_complex_numbers_are_refused(name: str, method: str) -> None:
    with pytest.raises(CapabilityError, match=f"explain.{method} needs a rule"):
        getattr(explain, method)(case_of(REFUSED[name]))


OPERATORS: dict[str, Function] = {"%": lambda x: x % 2, "//": lambda x: x // 2}


@pytest.mark.parametrize("method", ["deep_lift", "lrp", "guided_backprop"])
@pytest.mark.parametrize("name", OPERATORS)
def test_a_refusal_inside_an_operator_is_not_turned_into_pythons_own_error(name: str, method: str) -> None:
    with pytest.raises(CapabilityError, match=f"explain.{method} needs a rule"):
        getattr(explain, method)(case_of(OPERATORS[name]))
