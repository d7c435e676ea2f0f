"""Norms keep DeepLIFT exact in float32, however they are written; nets of half precision give numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.model.rules import nets
from torch import nn
from torch.nn import functional

import assay
from assay import explain
from assay.model.rules.secants import FORMULAS, secant

EPS = 1e-6
Function = Callable[[torch.Tensor], torch.Tensor]


def mean_square(x: torch.Tensor) -> torch.Tensor:
    return x.pow(2).mean(-1, keepdim=True) + EPS


NORMS: dict[str, Function] = {
    "x · rsqrt": lambda x: x * torch.rsqrt(mean_square(x)),
    "rsqrt · x": lambda x: torch.rsqrt(mean_square(x)) * x,
    "a power of −½": lambda x: x * mean_square(x).pow(-0.5),
    "an operator": lambda x: x * mean_square(x) ** -0.5,
    "x / sqrt": lambda x: x / torch.sqrt(mean_square(x)),
    "in place": lambda x: x.clone().div_(torch.sqrt(mean_square(x))),
    "x · (1 / sqrt)": lambda x: x * (1 / torch.sqrt(mean_square(x))),
    "x · reciprocal": lambda x: x * torch.sqrt(mean_square(x)).reciprocal(),
    "a factor on the way": lambda x: x * (2.0 * torch.rsqrt(mean_square(x))) / 2,
    "axes added later": lambda x: x * torch.rsqrt(x.pow(2).mean(-1) + EPS).unsqueeze(-1).expand_as(x),
    "squares as products": lambda x: x * torch.rsqrt((x * x).mean(-1, keepdim=True) + EPS),
    "F.rms_norm": lambda x: functional.rms_norm(x, (x.shape[-1],), None, EPS),
    "a norm of float32": lambda x: (x.float() * torch.rsqrt(mean_square(x.float()))).to(x.dtype),
}


def deep(norm: Function, depth: int = 8) -> nn.Module:
    """A residual net without biases, whose activations are 0 at 0: the norms there divide by √ε."""
    generator = torch.Generator().manual_seed(4)
    layers = [nn.Linear(16, 16, bias=False) for _ in range(depth)]
    head = nn.Linear(16, 3, bias=False)
    with torch.no_grad():
        for layer in (*layers, head):
            layer.weight.copy_(0.5 * torch.randn(layer.weight.shape, generator=generator))

    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        for layer in m.layers:
            x = x + functional.silu(layer(norm(x)))
        return m.head(norm(x))

    return nets.Composed(forward, layers=nn.ModuleList(layers), head=head).eval()


@pytest.mark.parametrize("scale", [0.02, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NORMS)
def test_deep_lift_through_norms_adds_up(name: str, dtype: torch.dtype, scale: float) -> None:
    x = scale * nets.normal_tensor(3, 16).to(dtype)
    case = assay.case(assay.wrap(deep(NORMS[name]).to(dtype)), x, label=1)
    found = explain.deep_lift(case)
    size = np.abs(found.output - found.base).max()
    assert size > 1e-2
    precision = torch.float32 if "float32" in name else dtype
    assert np.abs(found.residual).max() < 300 * torch.finfo(precision).eps * size
    assert np.abs(found.values).sum(1).max() < 1e3 * size  # no cancellation of huge terms


def test_all_ways_to_write_a_norm_give_the_same_values() -> None:
    x = nets.normal_tensor(3, 16)
    cases = {name: assay.case(assay.wrap(deep(norm, 2).double()), x, label=1) for name, norm in NORMS.items()}
    start = 0.5 * nets.normal_tensor(16, seed=5)
    expected = explain.deep_lift(cases["x / sqrt"], start=start).values
    for name, case in cases.items():
        atol = 1e-5 if "float32" in name else 1e-10
        assert_allclose(explain.deep_lift(case, start=start).values, expected, atol=atol, err_msg=name)


def test_a_quotient_has_both_parts_at_their_midpoints() -> None:
    net = nets.Composed(lambda m, x: (x[:, :1] / x[:, 1:]) * m.one.weight, one=nn.Linear(1, 1, bias=False)).double()
    net.one.weight.data.fill_(1.0)
    case = assay.case(assay.model.torch(net, gives="values"), torch.tensor([[3.0, 4.0]], dtype=torch.float64))
    start = torch.tensor([1.0, 2.0], dtype=torch.float64)
    quotient, divisor = (3 / 4 + 1 / 2) / 2, (4 + 2) / 2
    assert_allclose(explain.deep_lift(case, start=start).values, [[2 / divisor, -quotient * 2 / divisor]], atol=1e-14)
    across = torch.tensor([1.0, -2.0], dtype=torch.float64)  # b changes its sign: the product of a and 1/b
    values = [2 * (1 / 4 - 1 / 2) / 2, (3 + 1) / 2 * (1 / 4 + 1 / 2)]
    assert_allclose(explain.deep_lift(case, start=across).values, [values], atol=1e-14)


FUNCTIONS: dict[str, Function] = {
    **{name: getattr(torch, name) for name in FORMULAS},
    "pow 3": lambda x: x**3,
    "pow 0.3": lambda x: x.pow(0.3),
    "tanh": torch.tanh,
    "softplus": functional.softplus,
}


@pytest.mark.parametrize("gap", [0.0, 1e-9, 1e-6, 1e-3, 0.1, 30.0])
@pytest.mark.parametrize("size", [1e-6, 1e-3, 1.0, 20.0])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_slopes_in_float32_are_those_of_high_precision(name: str, size: float, gap: float) -> None:
    import mpmath

    f, args = FUNCTIONS[name], (torch.tensor([size]),)
    exact = {
        "square": lambda v: v**2, "sqrt": mpmath.sqrt, "rsqrt": lambda v: 1 / mpmath.sqrt(v),
        "reciprocal": lambda v: 1 / v, "exp": mpmath.exp, "expm1": mpmath.exp, "exp2": lambda v: mpmath.mpf(2) ** v,
        "log": mpmath.log, "log1p": lambda v: mpmath.log(1 + v), "log2": lambda v: mpmath.log(v, 2),
        "log10": lambda v: mpmath.log(v, 10), "pow 3": lambda v: v**3, "pow 0.3": lambda v: v ** mpmath.mpf(0.3),
        "tanh": mpmath.tanh, "softplus": lambda v: mpmath.log(1 + mpmath.exp(v)),
    }[name]  # fmt: skip
    with mpmath.workdps(60):
        s = torch.tensor([size * (1 + gap)])
        one, other = mpmath.mpf(float(args[0])), mpmath.mpf(float(s))
        true = mpmath.diff(exact, one) if one == other else (exact(one) - exact(other)) / (one - other)
        plain = name.partition(" ")[0]
        call = (args[0], float(name.split()[1])) if plain == "pow" else args
        func = getattr(torch, plain) if hasattr(torch, plain) else f
        found = secant(plain, func, call, {}, args[0], s)
        if abs(true) > 1e38:  # more than float32 holds
            return
        assert float(found) == pytest.approx(float(true), rel=2e-3 if plain in ("pow", "tanh", "softplus") else 1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("method", ["integrated_gradients", "deep_lift", "lrp", "attn_lrp", "saliency"])
@pytest.mark.parametrize("name", ["a norm of float32", "F.rms_norm", "layer_norm", "gelu"])
def test_half_precision_gives_the_numbers_of_float32_roughly(name: str, method: str, dtype: torch.dtype) -> None:
    norms = {**NORMS, "layer_norm": lambda x: functional.layer_norm(x, (16,)), "gelu": functional.gelu}
    x = nets.normal_tensor(3, 16).to(dtype)
    found, expected = (
        getattr(explain, method)(assay.case(assay.wrap(deep(norms[name], 2).to(kind)), x.to(kind), label=1))
        for kind in (dtype, torch.float32)
    )
    size = np.abs(expected.values).max()
    assert np.isfinite(found.values).all()
    assert np.abs(found.values - expected.values).max() < 24 * torch.finfo(dtype).eps * size
