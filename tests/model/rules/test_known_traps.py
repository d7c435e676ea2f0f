"""Nets that rules attached to modules get wrong: here the target is shared out without a rest, row by row."""

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

Provenance = tuple[Callable[[], nn.Module], torch.Tensor]


def written(f: Callable[[torch.Tensor], torch.Tensor]) -> Provenance:
    return lambda: nets.functional_net(f), nets.drawn(3, 5)


def dense(net: Callable[[], nn.Module]) -> Provenance:
    return net, nets.drawn(3, 5)


def pictures(net: Callable[[], nn.Module]) -> Provenance:
    return net, nets.drawn(3, 2, 6, 6)


def tokens(net: Callable[..., nn.Module], *given: Any, width: int = 6) -> Provenance:
    return lambda: net(*given), nets.drawn(3, 4, width)


def encoder_name(batch_first: bool, norm_first: bool, padded: bool) -> str:
    who, when = "batch" if batch_first else "token", "first" if norm_first else "last"
    return f"encoder, {who} first, norm {when}{', padded' * padded}"


NETS: dict[str, Provenance] = {
    "ReLU then MaxPool": pictures(nets.conv_relu_pool),
    "Sigmoid then Tanh": dense(nets.sigmoid_tanh),
    "softmax head": dense(nets.softmax_head),
    "GELU": dense(lambda: nn.Sequential(nn.Linear(5, 7), nn.GELU(), nn.Linear(7, 3))),
    "SiLU": dense(lambda: nn.Sequential(nn.Linear(5, 7), nn.SiLU(), nn.Linear(7, 3))),
    "F.gelu": written(functional.gelu),
    "F.gelu by tanh": written(lambda x: functional.gelu(x, approximate="tanh")),
    "F.silu": written(functional.silu),
    "F.relu": written(functional.relu),
    "F.softplus": written(functional.softplus),
    "torch.tanh": written(torch.tanh),
    "Tensor.sigmoid": written(lambda x: x.sigmoid()),
    "Tensor.clamp": written(lambda x: x.clamp(-0.5, 0.5)),
    "F.layer_norm": written(lambda x: functional.layer_norm(x, (7,))),
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


def asked(name: str) -> Case:
    """The net of this name, asked about three rows."""
    if name.startswith(("bert", "gpt2", "llama")):
        pytest.importorskip("transformers", reason="transformers is not installed")
    make, x = NETS[name]
    net = make()
    return assay.case(assay.wrap(net if name.startswith(("bert", "gpt2", "llama")) else nets.filled(net)), x, label=1)


def starts(case: Case) -> torch.Tensor:
    """A start that is nowhere zero."""
    return 0.4 * nets.drawn(len(case), *case.rows.shape, seed=8)


def tolerance(name: str) -> float:
    """Llama computes its norms in float32 whatever it is given: its own outputs are no better than that."""
    return 1e-6 if name.startswith("llama") else 1e-9


named = pytest.mark.parametrize("name", NETS)


@named
def test_deep_lift_is_complete(name: str) -> None:
    case = asked(name)
    result = explain.deep_lift(case, start=starts(case))
    rise = np.abs(result.output - result.base)
    assert rise.max() > 1e-3
    assert np.abs(result.residual).max() <= tolerance(name) * max(1.0, rise.max())


@named
def test_relevance_is_conserved(name: str) -> None:
    case = asked(name)
    result = explain.lrp(case, composite="epsilon", epsilon=1e-9)
    left = case.output - result.values.sum(1) - result.extra["absorbed"]
    assert_allclose(result.extra["conservation"], left, atol=1e-12)
    assert np.abs(left).max() <= tolerance(name) * (np.abs(case.output).max() + np.abs(result.values).sum(1).max())
    assert np.abs(result.values).max() > 1e-4


@named
@pytest.mark.parametrize("method", ["deep_lift", "lrp", "attn_lrp"])
def test_other_rows_change_nothing(name: str, method: str) -> None:
    case = asked(name)
    ask = getattr(explain, method)
    whole = ask(case)
    for place in range(3):
        alone = ask(case.take([place]))
        assert_allclose(alone.values[0], whole.values[place], atol=tolerance(name))
        if method != "deep_lift":
            assert_allclose(alone.extra["absorbed"], whole.extra["absorbed"][[place]], atol=tolerance(name))
    mates = replace(case, rows=replace(case.rows, x=torch.cat([case.rows.x[:1], 5 * case.rows.x[1:]])))
    assert_allclose(ask(mates).values[0], whole.values[0], atol=tolerance(name))


@pytest.mark.parametrize(
    "method",
    ["deep_lift", "lrp"],
)
def test_a_transposed_convolution_in_groups_is_shared_out(method: str) -> None:
    case = assay.case(assay.wrap(nets.filled(nets.grouped_transposed())), nets.drawn(3, 2, 6, 6), label=1)
    result = getattr(explain, method)(case)
    kept = result.base if method == "deep_lift" else result.extra["absorbed"]
    assert_allclose(result.values.sum(1) + kept, case.output, atol=1e-6)


def test_where_pooled_positions_of_input_and_start_agree_nothing_comes_from_other_rows() -> None:
    case = asked("ReLU then MaxPool")
    begun = starts(case)
    begun[0], begun[1, :, :4] = case.rows.x[0], case.rows.x[1, :, :4]
    result = explain.deep_lift(case, start=begun)
    assert_allclose(result.values[0], 0.0, atol=1e-12)
    assert_allclose(result.residual, 0.0, atol=1e-12)
    alone = explain.deep_lift(case.take([1]), start=begun[1])
    assert_allclose(alone.values[0], result.values[1], atol=1e-12)


def test_a_functional_residual_does_not_double_relevance() -> None:
    net = nets.filled(nets.residual())
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.zero_() if name.endswith("bias") else None
    case = assay.case(assay.wrap(net), nets.drawn(3, 5), label=1)
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
def test_functions_modules_and_modules_in_place_are_one(one: str, other: Callable[[], nn.Module], method: str) -> None:
    function, module = NETS[one][0](), other()
    module = nets.filled(module)
    case = assay.case(assay.wrap(nets.filled(function)), NETS[one][1], label=1)
    same = assay.case(assay.wrap(module), NETS[one][1], label=1)
    assert_allclose(getattr(explain, method)(case).values, getattr(explain, method)(same).values, atol=1e-12)


@pytest.mark.parametrize("method", ["deep_lift", "lrp", "attn_lrp", "excitation_backprop", "guided_backprop"])
def test_what_is_written_over_after_it_was_read_still_counts(method: str) -> None:
    over, anew = (
        assay.case(assay.wrap(nets.filled(nets.overwritten(how))), nets.drawn(3, 5), label=1) for how in (True, False)
    )
    assert_allclose(over.output, anew.output, atol=1e-12)
    assert_allclose(getattr(explain, method)(over).values, getattr(explain, method)(anew).values, atol=1e-12)
