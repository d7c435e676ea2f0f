"""Nets in the wrappers of training and export, and nets that deepcopy refuses, are explained as the plain net."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

import assay
from assay import explain
from assay.basics.errors import CapabilityError
from assay.cases.case import Case

pytestmark = pytest.mark.filterwarnings("ignore::Warning")  # scripting and exporting warn of their own ends

ROWS = torch.randn(5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def plain() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double().eval()


def compiled_inside() -> nn.Module:
    net = plain()
    net[0] = torch.compile(net[0])
    return net


def compiled_in_place() -> nn.Module:
    net = plain()
    net.compile()
    return net


def compiled_forward() -> nn.Module:
    net = plain()
    net.forward = torch.compile(net.forward)
    return net


def exported(rows: int, *limits: Any) -> Any:
    shapes = ({0: torch.export.Dim("rows", **limits[0])},) if limits else None
    return torch.export.export(plain(), (ROWS[:rows],), dynamic_shapes=shapes)


WRAPPED: dict[str, Callable[[], Any]] = {
    "DataParallel": lambda: nn.DataParallel(plain()),
    "DataParallel twice": lambda: nn.DataParallel(nn.DataParallel(plain())),
    "torch.compile": lambda: torch.compile(plain()),
    "a compiled child": compiled_inside,
    "net.compile()": compiled_in_place,
    "a compiled forward": compiled_forward,
    "torch.jit.script": lambda: torch.jit.script(plain()),
    "torch.jit.trace": lambda: torch.jit.trace(plain(), ROWS),
    "torch.jit.freeze": lambda: torch.jit.freeze(torch.jit.script(plain().float())),
    "exported for one row": lambda: exported(1),
    "exported for two rows": lambda: exported(2),
    "exported for more rows": lambda: torch.export.export(plain(), (ROWS.repeat(3, 1),)),
    "exported for any rows": lambda: exported(3, {}),
    "exported for at least four rows": lambda: exported(5, {"min": 4}),
    "exported for two to three rows": lambda: exported(3, {"min": 2, "max": 3}),
    "the module of an export": lambda: exported(3).module(),
}


def case_of(make: Callable[[], Any]) -> Case:
    return assay.case(assay.wrap(make(), output="logits"), ROWS, label=1)


@pytest.mark.parametrize("name", WRAPPED)
def test_a_wrapped_net_is_explained_as_the_net_inside(name: str) -> None:
    expected, case = case_of(plain), case_of(WRAPPED[name])
    close = 1e-6 if name == "torch.jit.freeze" else 1e-9  # constants of a frozen graph show no type: it gets float32
    assert_allclose(case.prediction, expected.prediction, atol=close)
    assert_allclose(explain.shapley(case).values, explain.shapley(expected).values, atol=close)
    assert_allclose(
        explain.integrated_gradients(case, steps=16).values,
        explain.integrated_gradients(expected, steps=16).values,
        atol=close,
    )


@pytest.mark.parametrize("name", WRAPPED)
@pytest.mark.parametrize("method", ["deep_lift", "lrp", "attn_lrp"])
def test_rules_apply_inside_the_wrapper_or_refuse_it(name: str, method: str) -> None:
    expected, case, rule = case_of(plain), case_of(WRAPPED[name]), getattr(explain, method)
    if name.startswith("torch.jit"):
        with pytest.raises(CapabilityError, match=f"explain.{method} needs a rule for every function"):
            rule(case)
    else:
        assert_allclose(rule(case).values, rule(expected).values, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in WRAPPED if name.startswith("torch.jit") and "freeze" not in name])
def test_layers_of_a_scripted_net_are_refused(name: str) -> None:
    case = case_of(WRAPPED[name])
    for read in (
        lambda: case.from_layer("0"),
        lambda: case.layer_gradient(ROWS, "0"),
        lambda: explain.conductance(case, layer="0"),
    ):
        with pytest.raises(CapabilityError, match=r"layer '0' is scripted \(torch.jit\)"):
            read()
    with pytest.raises(CapabilityError, match="has no hidden layer"):
        explain.influential_units(case)


@pytest.mark.parametrize("name", [name for name in WRAPPED if "export" in name])
def test_layers_of_an_exported_program_are_refused(name: str) -> None:
    case = case_of(WRAPPED[name])
    layer = next(key for key, module in case.model.net.named_modules() if key.endswith("0"))
    with pytest.raises(CapabilityError, match="was not reached by the forward pass"):
        case.from_layer(layer)


def test_the_wrapper_and_the_filled_batches_are_named_in_notes() -> None:
    assert "the net inside DataParallel is used" in [note.text for note in case_of(WRAPPED["DataParallel"]).notes]
    texts = [note.text for note in case_of(WRAPPED["exported for two rows"]).notes]
    assert any("takes 2 rows: batches are filled up" in text for text in texts)
    assert case_of(WRAPPED["exported for any rows"]).notes == ()


def test_nets_of_equal_weights_and_other_code_have_other_fingerprints() -> None:
    def doubled() -> nn.Module:
        return nn.Sequential(*plain(), nn.Softplus())

    for wrap in (torch.jit.script, lambda net: torch.export.export(net, (ROWS,))):
        one, same, other = (assay.wrap(wrap(net), output="logits") for net in (plain(), plain(), doubled()))
        assert one.fingerprint == same.fingerprint != other.fingerprint


def weight_normed() -> nn.Module:
    net = plain()
    net[0] = nn.utils.weight_norm(net[0])
    net(ROWS)
    return net


def spectral_normed() -> nn.Module:
    net = plain()
    net[0] = nn.utils.spectral_norm(net[0])
    return net.eval()


def parametrised() -> nn.Module:
    net = plain()
    net[0] = nn.utils.parametrizations.weight_norm(net[0])
    return net


class Holding(nn.Module):
    """A net that holds tensors autograd computed, or that need a gradient, outside its parameters."""

    def __init__(self, nested: bool) -> None:
        super().__init__()
        self.net = plain()
        scale = nn.Parameter(torch.full((8,), 1.5, dtype=torch.float64))
        self.scales = {"one": [scale * 2.0, scale]} if nested else None
        self.scale = scale.exp() if not nested else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.net[0](x))
        h = h * self.scales["one"][0] * self.scales["one"][1] if self.scales is not None else h * self.scale
        return self.net[2](h)


HOLDING: dict[str, Callable[[], nn.Module]] = {
    "weight_norm": weight_normed,
    "spectral_norm": spectral_normed,
    "parametrizations.weight_norm": parametrised,
    "a computed tensor": lambda: Holding(False),
    "computed tensors in a dictionary": lambda: Holding(True),
}


@pytest.mark.parametrize("name", HOLDING)
def test_a_net_that_holds_computed_tensors_is_copied_with_their_values(name: str) -> None:
    net = HOLDING[name]().eval()
    with torch.no_grad():
        expected = net(ROWS).numpy()
    case = assay.case(assay.wrap(net), ROWS, label=1)
    assert_allclose(case.prediction, expected, atol=1e-12)
    rise = expected[:, 1] - case.value(torch.zeros_like(ROWS))
    assert_allclose(explain.integrated_gradients(case, steps=64).values.sum(1), rise, atol=1e-6)
    assert_allclose(explain.deep_lift(case).values.sum(1), rise, atol=1e-9)
    relevance = explain.lrp(case, composite="epsilon")
    assert_allclose(relevance.values.sum(1) + relevance.extra["absorbed"], expected[:, 1], atol=1e-9)


def test_the_copy_does_not_change_with_the_callers_net() -> None:
    net = Holding(True)
    model = assay.wrap(net)
    before = assay.case(model, ROWS, label=1).prediction
    with torch.no_grad():
        net.scales["one"][1].fill_(7.0)
    assert_allclose(assay.case(model, ROWS, label=1).prediction, before)
    assert net.scales["one"][1].requires_grad


def test_a_net_that_cannot_be_copied_is_refused() -> None:
    net = plain()
    net.lock = threading.Lock()
    with pytest.raises(CapabilityError, match=r"Sequential cannot be copied, .*lock"):
        assay.wrap(net)


def test_an_export_that_returns_one_number_for_all_rows_is_refused() -> None:
    class Mean(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, x.mean()

    program = torch.export.export(Mean(), (ROWS[:2],))
    with pytest.raises(CapabilityError, match="returns something else than 2 entries"):
        _ = assay.case(assay.wrap(program, output=0), ROWS, label=1).output


def test_weights_of_a_wrapped_net_stay_as_they_are() -> None:
    net = nn.DataParallel(plain().requires_grad_(True))
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assay.case(assay.wrap(net), ROWS, label=1).gradient(ROWS)
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert all(np.array_equal(net.state_dict()[name], tensor) for name, tensor in state.items())
