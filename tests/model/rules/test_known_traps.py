"""Nets on which rules attached to modules are wrong: here attributions add up to the target, row by row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
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
from assay.cases.case import Case

NetAndRows = tuple[Callable[[], nn.Module], torch.Tensor]


def between(f: Callable[[torch.Tensor], torch.Tensor]) -> NetAndRows:
    return lambda: nets.functional_net(f), nets.normal_tensor(3, 5)


def dense(net: Callable[[], nn.Module]) -> NetAndRows:
    return net, nets.normal_tensor(3, 5)


def pictures(net: Callable[[], nn.Module]) -> NetAndRows:
    return net, nets.normal_tensor(3, 2, 6, 6)


def tokens(net: Callable[..., nn.Module], *given: Any, width: int = 6) -> NetAndRows:
    return lambda: net(*given), nets.normal_tensor(3, 4, width)


def encoder_name(batch_first: bool, norm_first: bool, padded: bool) -> str:
    axis, norm = "batch" if batch_first else "token", "first" if norm_first else "last"
    return f"encoder, {axis} first, norm {norm}{', padded' * padded}"


NETS: dict[str, NetAndRows] = {
    "ReLU then MaxPool": pictures(nets.conv_relu_pool),
    "Sigmoid then Tanh": dense(nets.sigmoid_tanh),
    "softmax head": dense(nets.softmax_head),
    "GELU": dense(lambda: nn.Sequential(nn.Linear(5, 7), nn.GELU(), nn.Linear(7, 3))),
    "SiLU": dense(lambda: nn.Sequential(nn.Linear(5, 7), nn.SiLU(), nn.Linear(7, 3))),
    "F.gelu": between(functional.gelu),
    "F.gelu by tanh": between(lambda x: functional.gelu(x, approximate="tanh")),
    "F.silu": between(functional.silu),
    "F.relu": between(functional.relu),
    "F.softplus": between(functional.softplus),
    "torch.tanh": between(torch.tanh),
    "Tensor.sigmoid": between(lambda x: x.sigmoid()),
    "Tensor.clamp": between(lambda x: x.clamp(-0.5, 0.5)),
    "F.layer_norm": between(lambda x: functional.layer_norm(x, (7,))),
    "LayerNorm": dense(nets.normed),
    "RMSNorm": dense(lambda: nn.Sequential(nn.Linear(5, 7), nn.RMSNorm(7), nn.Linear(7, 3))),
    "functional residual": dense(nets.residual),
    "functional gate": dense(nets.gated),
    "in place": dense(nets.in_place),
    "overwritten": dense(nets.overwritten),
    "reused": dense(nets.reused),
    "strange convolutions": pictures(nets.strange_convolutions),
    **{
        encoder_name(first, early, padded): tokens(nets.encoder, first, early, padded)
        for first in (True, False)
        for early in (True, False)
        for padded in (True, False)
    },
    "encoder of ReLUs": tokens(nets.encoder, True, False, False, "relu"),
    **{
        f"attention, {'batch' if first else 'token'} first, mask {mask}{', weights' * weights}": tokens(
            nets.attention, first, mask, weights
        )
        for first in (True, False)
        for mask in ("none", "bool", "float")
        for weights in (True, False)
    },
    **{
        f"{family}, {how}{', padded' * padded}": tokens(nets.hugging_face, family, how, padded, width=8)
        for family in ("bert", "gpt2", "llama")
        for how in ("eager", "sdpa")
        for padded in (True, False)
    },
}


def case_of(name: str) -> Case:
    """A case of the net of this name and three rows."""
    if name.startswith(("bert", "gpt2", "llama")):
        pytest.importorskip("transformers", reason="transformers is not installed")
    make, x = NETS[name]
    net = make()
    return assay.case(assay.wrap(net if name.startswith(("bert", "gpt2", "llama")) else nets.filled(net)), x, label=1)


def starts(case: Case) -> torch.Tensor:
    """A reference without zeros."""
    return 0.4 * nets.normal_tensor(len(case), *case.rows.shape, seed=8)


def tolerance(name: str) -> float:
    """Llama computes its norms in float32 for any input, so its outputs have that precision."""
    return 1e-6 if name.startswith("llama") else 1e-9


named = pytest.mark.parametrize("name", NETS)


@named
def test_deep_lift_is_complete(name: str) -> None:
    case = case_of(name)
    result = explain.deep_lift(case, start=starts(case))
    rise = np.abs(result.output - result.base)
    assert rise.max() > 1e-3
    assert np.abs(result.residual).max() <= tolerance(name) * max(1.0, rise.max())


@named
def test_relevance_is_conserved(name: str) -> None:
    case = case_of(name)
    result = explain.lrp(case, composite="epsilon", epsilon=1e-9)
    left = case.output - result.values.sum(1) - result.extra["absorbed"]
    assert_allclose(result.extra["conservation"], left, atol=1e-12)
    assert np.abs(left).max() <= tolerance(name) * (np.abs(case.output).max() + np.abs(result.values).sum(1).max())
    assert np.abs(result.values).max() > 1e-4


@named
@pytest.mark.parametrize("method", ["deep_lift", "lrp", "attn_lrp"])
def test_a_rows_values_do_not_depend_on_other_rows(name: str, method: str) -> None:
    case = case_of(name)
    method_function = getattr(explain, method)
    together = method_function(case)
    alone = method_function(case.take([2]))
    assert_allclose(alone.values[0], together.values[2], atol=tolerance(name))
    if method != "deep_lift":
        assert_allclose(alone.extra["absorbed"], together.extra["absorbed"][[2]], atol=tolerance(name))
    with_other_rows = replace(case, rows=replace(case.rows, x=torch.cat([case.rows.x[:1], 5 * case.rows.x[1:]])))
    assert_allclose(method_function(with_other_rows).values[0], together.values[0], atol=tolerance(name))


@pytest.mark.parametrize(
    "method",
    ["deep_lift", "lrp"],
)
def test_a_transposed_convolution_in_groups_conserves_the_output(method: str) -> None:
    case = assay.case(assay.wrap(nets.filled(nets.grouped_transposed())), nets.normal_tensor(3, 2, 6, 6), label=1)
    result = getattr(explain, method)(case)
    rest = result.base if method == "deep_lift" else result.extra["absorbed"]
    assert_allclose(result.values.sum(1) + rest, case.output, atol=1e-6)


def test_equal_pooled_positions_of_input_and_reference_get_zero() -> None:
    case = case_of("ReLU then MaxPool")
    start = starts(case)
    start[0], start[1, :, :4] = case.rows.x[0], case.rows.x[1, :, :4]
    result = explain.deep_lift(case, start=start)
    assert_allclose(result.values[0], 0.0, atol=1e-12)
    assert_allclose(result.residual, 0.0, atol=1e-12)
    alone = explain.deep_lift(case.take([1]), start=start[1])
    assert_allclose(alone.values[0], result.values[1], atol=1e-12)


def test_a_functional_residual_does_not_double_relevance() -> None:
    net = nets.filled(nets.residual())
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.zero_() if name.endswith("bias") else None
    case = assay.case(assay.wrap(net), nets.normal_tensor(3, 5), label=1)
    result = explain.lrp(case, composite="epsilon", epsilon=1e-12)
    assert_allclose(result.extra["absorbed"], 0.0, atol=1e-9)
    assert_allclose(result.values.sum(1), case.output, atol=1e-9)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("F.relu", lambda: nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))),
        ("F.gelu", lambda: nn.Sequential(nn.Linear(5, 7), nn.GELU(), nn.Linear(7, 3))),
        ("F.silu", lambda: nn.Sequential(nn.Linear(5, 7), nn.SiLU(inplace=True), nn.Linear(7, 3))),
        ("torch.tanh", lambda: nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))),
    ],
)
@pytest.mark.parametrize("method", ["deep_lift", "lrp"])
def test_functions_and_modules_give_equal_values(one: str, other: Callable[[], nn.Module], method: str) -> None:
    function, module = NETS[one][0](), other()
    module = nets.filled(module)
    case = assay.case(assay.wrap(nets.filled(function)), NETS[one][1], label=1)
    same = assay.case(assay.wrap(module), NETS[one][1], label=1)
    assert_allclose(getattr(explain, method)(case).values, getattr(explain, method)(same).values, atol=1e-12)


@pytest.mark.parametrize("method", ["deep_lift", "lrp", "attn_lrp", "excitation_backprop", "guided_backprop"])
def test_overwriting_a_tensor_after_use_changes_nothing(method: str) -> None:
    in_place, out_of_place = (
        assay.case(assay.wrap(nets.filled(nets.overwritten(over))), nets.normal_tensor(3, 5), label=1)
        for over in (True, False)
    )
    explainer = getattr(explain, method)
    assert_allclose(in_place.output, out_of_place.output, atol=1e-12)
    assert_allclose(explainer(in_place).values, explainer(out_of_place).values, atol=1e-12)
