"""Every operation is intercepted under its plain name; no state remains, also after errors."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.model.rules import nets
from torch import nn
from torch.nn import functional
from torch.overrides import _get_current_function_mode_stack

import assay
from assay import explain
from assay.basics.errors import CapabilityError
from assay.model.rules.interception import (
    Interception,
    loses_precision,
    map_tensors,
    operation_name,
    python_body,
    tensors,
)

Step = tuple[str, bool]


class Recorder:
    """Rules that record operations and change nothing."""

    def __init__(self) -> None:
        self.operations: list[Step] = []
        self.mode = Interception(self)

    def is_tracked(self, tensor: torch.Tensor) -> bool:
        return tensor.requires_grad

    def run_operation(self, name: str, func: Callable[..., Any], args: Any, kwargs: Any, in_place: bool) -> Any:
        self.operations.append((name, in_place))
        return func(*args, **kwargs)


def record(f: Callable[[torch.Tensor], Any], *shape: int) -> list[Step]:
    """The operations of a function of values between 0.1 and 1.1."""
    rules = Recorder()
    x = (nets.normal_tensor(*(shape or (2, 3))).abs() + 0.1).requires_grad_(True) * 1.0
    with rules.mode:
        f(x)
    return rules.operations


PLAIN: dict[str, tuple[Callable[[torch.Tensor], Any], Step]] = {
    "x + 1": (lambda x: x + 1, ("add", False)),
    "1 + x": (lambda x: 1 + x, ("add", False)),
    "x += 1": (lambda x: operator.iadd(x, 1), ("add", True)),
    "torch.add": (lambda x: torch.add(x, 1), ("add", False)),
    "x.add_": (lambda x: x.add_(1), ("add", True)),
    "1 - x": (lambda x: 1 - x, ("rsub", False)),
    "x -= 1": (lambda x: operator.isub(x, 1), ("sub", True)),
    "x / 2": (lambda x: x / 2, ("div", False)),
    "x /= 2": (lambda x: operator.itruediv(x, 2), ("div", True)),
    "x ** 2": (lambda x: x**2, ("pow", False)),
    "-x": (lambda x: -x, ("neg", False)),
    "abs(x)": (lambda x: abs(x), ("abs", False)),
    "x @ x.T": (lambda x: x @ torch.ones(3, 2, dtype=x.dtype), ("matmul", False)),
    "x[0]": (lambda x: x[0], ("getitem", False)),
    "x[0] = 1": (lambda x: operator.setitem(x, 0, 1.0), ("setitem", True)),
    "x.T": (lambda x: x.T, ("T", False)),
    "x.float()": (lambda x: x.float().double().float(), ("double", False)),
    "bool(x)": (lambda x: bool(x[0, 0]), ("as_bool", False)),
    "int(x)": (lambda x: int(x[0, 0]), ("as_int", False)),
    "x.int()": (lambda x: x.int(), ("int", False)),
    "F.relu": (functional.relu, ("relu", False)),
    "F.relu, in place": (lambda x: functional.relu(x, inplace=True), ("relu", True)),
    "torch.relu_": (torch.relu_, ("relu", True)),
    "nn.ReLU": (nn.ReLU(), ("relu", False)),
    "x.sigmoid": (lambda x: x.sigmoid(), ("sigmoid", False)),
    "torch.sigmoid": (torch.sigmoid, ("sigmoid", False)),
    "nn.Sigmoid": (nn.Sigmoid(), ("sigmoid", False)),
}


@pytest.mark.parametrize("name", PLAIN)
def test_an_operation_has_one_name_in_every_form(name: str) -> None:
    f, step = PLAIN[name]
    assert record(f)[-1] == step


def test_the_name_of_a_property_is_its_own() -> None:
    assert operation_name(torch.Tensor.T.__get__, {}) == ("T", False)
    assert operation_name(torch.Tensor.__rtruediv__, {}) == ("rdiv", False)
    assert operation_name(torch.Tensor.__ipow__, {}) == ("pow", True)


OPENED: dict[str, tuple[Callable[[torch.Tensor], Any], str]] = {
    "F.softmax": (lambda x: functional.softmax(x, dim=1), "softmax"),
    "F.softmin": (lambda x: functional.softmin(x, dim=1), "softmax"),
    "F.tanhshrink": (functional.tanhshrink, "tanh"),
    "F.hardtanh": (functional.hardtanh, "hardtanh"),
    "F.layer_norm": (lambda x: functional.layer_norm(x, (3,)), "layer_norm"),
    "F.dropout": (lambda x: functional.dropout(x, 0.5, training=False), "dropout"),
    "F.normalize": (functional.normalize, "div"),
}


@pytest.mark.parametrize("name", OPENED)
def test_bodies_of_torchs_python_functions_are_intercepted(name: str) -> None:
    f, inner = OPENED[name]
    assert inner in [step for step, _ in record(f)]


def test_compiled_functions_have_no_python_body() -> None:
    assert python_body(torch.relu) is None
    assert python_body(functional.softmax) is not None
    assert python_body(test_compiled_functions_have_no_python_body) is None


def test_operations_without_the_input_are_not_recorded() -> None:
    assert record(lambda x: torch.ones(3).exp() * 2) == []


@pytest.mark.parametrize("cast", ["float", "half", "bfloat16", "to", "to keyword", "type", "type_as"])
def test_a_cast_that_loses_precision_is_left_out(cast: str) -> None:
    recorded: list[torch.Tensor] = []
    casts: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "float": lambda x: x.float(),
        "half": lambda x: x.half(),
        "bfloat16": lambda x: x.bfloat16(),
        "to": lambda x: x.to(torch.float32),
        "to keyword": lambda x: x.to(dtype=torch.float16),
        "type": lambda x: x.type(torch.float32),
        "type_as": lambda x: x.type_as(torch.ones(1)),
    }
    assert record(lambda x: recorded.append(casts[cast](x))) == []
    assert recorded[0].dtype == torch.float64


def test_other_casts_are_not_left_out() -> None:
    x = torch.ones(2)
    assert not loses_precision((x, torch.float64), {})
    assert not loses_precision((x, "cpu"), {})
    assert not loses_precision((torch.ones(2, dtype=torch.int64), torch.float32), {})
    assert record(lambda x: x.to("cpu"))[-1] == ("to", False)
    assert loses_precision((x.double(), torch.float32), {}, torch.float64)
    assert not loses_precision((x, torch.bfloat16), {}, torch.bfloat16)
    assert not loses_precision((x > 0, torch.float32), {}, torch.float64)


def test_tensors_are_found_and_changed_in_nested_arguments() -> None:
    a, b = torch.ones(1), torch.zeros(1)
    tree = {"one": [a, (b, 3)], "two": torch.return_types.max((a, b))}
    assert [id(t) for t in tensors(tree)] == [id(a), id(b), id(a), id(b)]
    assert map_tensors([a, (b, 3), "name"], lambda t: t + 1) == [torch.tensor([2.0]), (torch.tensor([1.0]), 3), "name"]


def sorting(m: Any, x: torch.Tensor) -> torch.Tensor:
    return m.head(torch.sort(x, dim=1)[0])


def exponential(m: Any, x: torch.Tensor) -> torch.Tensor:
    return torch.exp(m.head(x))


def recurrent(m: Any, x: torch.Tensor) -> torch.Tensor:
    return m.head(m.unit(x[:, None])[0][:, 0])


UNKNOWN: dict[str, tuple[Callable[..., torch.Tensor], dict[str, Any], tuple[str, ...], str]] = {
    "torch.sort": (sorting, {}, ("deep_lift", "lrp", "attn_lrp", "guided_backprop"), "sort"),
    "exp": (exponential, {}, ("lrp", "attn_lrp", "excitation_backprop", "guided_backprop"), "exp"),
    "nn.GRU": (recurrent, {"unit": lambda: nn.GRU(5, 5, batch_first=True)}, ("deep_lift", "lrp", "attn_lrp"), "gru"),
    "nn.LSTM": (recurrent, {"unit": lambda: nn.LSTM(5, 5, batch_first=True)}, ("deep_lift", "lrp"), "lstm"),
    "cumprod": (lambda m, x: m.head(x.cumprod(1)), {}, ("deep_lift", "lrp"), "cumprod"),
}


@pytest.mark.parametrize(
    ("unknown", "method"), [(name, method) for name, (_, _, methods, _) in UNKNOWN.items() for method in methods]
)
def test_an_operation_without_a_rule_is_refused_by_name(unknown: str, method: str) -> None:
    forward, layers, _, name = UNKNOWN[unknown]
    net = nets.filled(nets.Composed(forward, head=nn.Linear(5, 3), **{key: make() for key, make in layers.items()}))
    case = assay.case(assay.wrap(net), nets.normal_tensor(2, 5), label=1)
    with pytest.raises(CapabilityError, match=rf"explain.{method} needs a rule .* none for '{name}'"):
        getattr(explain, method)(case)
    assert _get_current_function_mode_stack() == []


def test_dropout_in_evaluation_mode_is_refused() -> None:
    net = nets.functional_net(lambda x: functional.dropout(x, 0.5, training=True))
    model = assay.wrap(nets.filled(net), output="logits")
    model.meter.checked = 2  # rows; the check of the model would refuse it before the rules
    case = assay.case(model, nets.normal_tensor(2, 5), label=1)
    for method in ("deep_lift", "lrp"):
        with pytest.raises(CapabilityError, match=f"explain.{method}: the net applies dropout"):
            getattr(explain, method)(case)


class Broken(RuntimeError):
    """The net's own error."""


METHODS = ("deep_lift", "lrp", "attn_lrp", "guided_backprop", "deconvolution", "excitation_backprop", "conductance")


@pytest.mark.parametrize("when", ["forward", "backward"])
@pytest.mark.parametrize("method", METHODS)
def test_no_state_remains_after_an_error(method: str, when: str) -> None:
    broken = [False]

    def fail(gradient: torch.Tensor) -> None:
        raise Broken

    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        h = m.one(x)
        if broken[0] and when == "forward":
            raise Broken
        h = functional.relu(h)
        if broken[0] and h.requires_grad:
            h.register_hook(fail)
        return m.two(h)

    own = nets.filled(nets.Composed(forward, one=nn.Linear(5, 7), two=nn.Linear(7, 3)))
    own.requires_grad_(True)
    case = assay.case(assay.wrap(own), nets.normal_tensor(2, 5), label=1)
    net = case.model.net
    sound = getattr(explain, method)(case).values
    generator = torch.get_rng_state()
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    given = case.rows.x.clone()
    broken[0] = True
    with pytest.raises(Broken):
        getattr(explain, method)(case, **({"layer": "one"} if method == "conductance" else {}))
    assert _get_current_function_mode_stack() == []
    assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), generator)
    assert torch.equal(case.rows.x, given)
    assert case.rows.x.grad is None
    assert not case.rows.x.requires_grad
    for one in (net, own):
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in one.modules())
        assert not any(module._backward_hooks or module._backward_pre_hooks for module in one.modules())
        assert all(parameter.grad is None for parameter in one.parameters())
    assert all(parameter.requires_grad for parameter in own.parameters())
    assert not any(parameter.requires_grad for parameter in net.parameters())
    assert all(torch.equal(net.state_dict()[name], tensor) for name, tensor in state.items())
    broken[0] = False
    assert_allclose(getattr(explain, method)(case).values, sound, atol=0)


def test_an_intercepted_pass_gives_the_outputs_of_the_net() -> None:
    net = nets.filled(nets.encoder(True, False, True))
    x = nets.normal_tensor(3, 4, 6).requires_grad_(True)
    rules = Recorder()
    with rules.mode:
        seen = net(x)
    assert_allclose(seen.detach().numpy(), net(x).detach().numpy(), atol=1e-12)
    assert len(np.unique([name for name, _ in rules.operations])) > 3


def test_a_method_that_passes_on_to_its_own_name_in_c_is_followed_as_one_operation() -> None:
    linear, head = nn.Linear(4, 24), nn.Linear(24, 2)
    plain = nn.Sequential(linear, nn.ReLU(), head).double()
    turned = nn.Sequential(linear, nn.ReLU(), nn.Unflatten(1, (2, 3, 4)), nn.Flatten(), head).double()
    x = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for method in (explain.deep_lift, explain.lrp):
        expected, found = (method(assay.case(assay.wrap(net, output="logits"), x, label=0)) for net in (plain, turned))
        assert_allclose(found.values, expected.values, atol=1e-12)
