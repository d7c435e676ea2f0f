"""Functions that no interception sees are refused by name; what a net computes without gradients is a constant."""

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
from torch.utils.checkpoint import checkpoint

import assay
from assay import explain
from assay.basics.errors import CapabilityError
from assay.cases.case import Case

pytestmark = pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # a checkpoint's own

RULES = ("deep_lift", "lrp", "attn_lrp", "excitation_backprop", "guided_backprop", "deconvolution")


class Swish(torch.autograd.Function):
    """x · sigmoid(x) with a derivative of its own."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        s = torch.sigmoid(ctx.saved_tensors[0])
        return grads[0] * s * (1 + ctx.saved_tensors[0] * (1 - s))


class Straight(torch.autograd.Function):
    """Rounding with the derivative of the identity, computed outside of torch."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(np.round(x.detach().numpy()))

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        return grads[0]


class InPlace(torch.autograd.Function):
    """A rectifier that overwrites its input."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.mark_dirty(x)
        ctx.save_for_backward(x.clamp_(min=0))
        return x

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        return grads[0] * (ctx.saved_tensors[0] > 0)


class Halves(torch.autograd.Function):
    """Two outputs of one function, the second unused."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x / 2, x * 2

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        return grads[0] / 2 + grads[1] * 2


BOUND = Swish.apply

UNSEEN: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], str]] = {
    "apply": (lambda x: Swish.apply(x), "Swish"),
    "apply, bound early": (lambda x: BOUND(x), "Swish"),
    "as a method of a module": (lambda x: nn.Sequential(nn.Identity())(Swish.apply(x)), "Swish"),
    "numpy inside": (lambda x: Straight.apply(x), "Straight"),
    "in place": (lambda x: InPlace.apply(x.clone()), "InPlace"),
    "two outputs": (lambda x: Halves.apply(x)[0], "Halves"),
    "a checkpoint": (lambda x: checkpoint(torch.tanh, x, use_reentrant=True), "Checkpoint"),
    "vmap": (lambda x: torch.vmap(torch.tanh)(x), "Tanh"),
}


def case_of(f: Callable[[torch.Tensor], torch.Tensor], last: bool = False) -> Case:
    net = nn.Sequential(nn.Linear(5, 3)) if last else nets.functional_net(lambda x: torch.relu(f(x)))
    whole = nets.Composed(lambda m, x: f(m.one(x)), one=nn.Linear(5, 3)) if last else net
    return assay.case(assay.wrap(nets.filled(whole), output="logits"), nets.normal_tensor(3, 5), label=1)


@pytest.mark.parametrize("last", [False, True], ids=["in the middle", "at the end"])
@pytest.mark.parametrize("method", RULES)
@pytest.mark.parametrize("name", UNSEEN)
def test_a_function_that_is_not_seen_is_refused_by_name(name: str, method: str, last: bool) -> None:
    f, shown = UNSEEN[name]
    with pytest.raises(CapabilityError, match=rf"explain.{method} needs a rule for every function .*{shown}"):
        getattr(explain, method)(case_of(f, last))


@pytest.mark.parametrize("name", ["apply", "apply, bound early", "in place", "two outputs", "vmap"])
def test_gradients_of_such_functions_are_their_own(name: str) -> None:
    case = case_of(UNSEEN[name][0])
    x = case.rows.x.clone().requires_grad_(True)
    case.model.net(x)[:, 1].sum().backward()
    assert_allclose(case.gradient(case.rows.x).numpy(), x.grad.numpy(), atol=1e-12)


@torch.library.custom_op("assay_tests::relu", mutates_args=())
def squared(x: torch.Tensor) -> torch.Tensor:
    """An operation of a library's own that is called as one of torch's."""
    return x * x


squared.register_autograd(
    lambda ctx, gradient: 2 * gradient * ctx.saved_tensors[0],
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(inputs[0]),
)


@pytest.mark.parametrize("method", RULES)
@pytest.mark.parametrize("call", [squared, torch.ops.assay_tests.relu, torch.ops.assay_tests.relu.default])
def test_an_operation_of_another_library_has_no_rule_whatever_its_name(call: Any, method: str) -> None:
    with pytest.raises(CapabilityError, match=rf"explain.{method} needs a rule .* none for 'assay_tests::relu'"):
        getattr(explain, method)(case_of(lambda x: call(x)))


@pytest.mark.parametrize("method", RULES)
def test_torchs_own_operations_keep_their_rule_in_every_form(method: str) -> None:
    calls = (torch.relu, torch.ops.aten.relu, torch.ops.aten.relu.default, torch.Tensor.relu)
    values = [getattr(explain, method)(case_of(lambda x, call=call: call(x))).values for call in calls]
    for one in values[1:]:
        assert_allclose(one, values[0], atol=0)


def masked(x: torch.Tensor) -> torch.Tensor:
    """A rectifier whose mask is computed with gradients switched off."""
    with torch.no_grad():
        mask = (torch.sigmoid(x) > 0.5).to(x.dtype)
    return x * mask


@pytest.mark.parametrize("method", ["lrp", "attn_lrp", "guided_backprop"])
def test_what_is_computed_without_gradients_is_a_constant(method: str) -> None:
    found, expected = (getattr(explain, method)(case_of(f)) for f in (masked, torch.relu))
    assert_allclose(found.values, expected.values, atol=1e-12)


CHOICES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "a product with a mask": lambda x: x * (x > 0),
    "torch.where": lambda x: torch.where(x > 0, x, 0.1 * x),
    "an index by a mask": lambda x: x.clone().index_put((x < 0,), torch.zeros((), dtype=x.dtype)),
    "masked_fill": lambda x: x.masked_fill(~(x > 0), 0.0),
    "the position of a maximum": lambda x: x * functional.one_hot(x.argmax(1), 7),
    "the position that max gives": lambda x: x.gather(1, x.max(1, keepdim=True).indices) + x,
    "an if": lambda x: torch.stack([row * 2 if row.sum() > 0 else row for row in x]),
    "an if by a number": lambda x: torch.stack([row * 2 if (row > 0).sum().item() > 3 else row for row in x]),
    "a mask without gradients": masked,
}


@pytest.mark.parametrize("name", CHOICES)
def test_deep_lift_refuses_a_choice_that_differs_at_the_start(name: str) -> None:
    case = case_of(CHOICES[name])
    with pytest.raises(CapabilityError, match="chooses by a comparison, or a position, that differs"):
        explain.deep_lift(case, start=-case.rows.x)


@pytest.mark.parametrize("name", CHOICES)
def test_deep_lift_takes_choices_that_are_equal_at_the_start(name: str) -> None:
    case = case_of(CHOICES[name])
    start = case.rows.x + 1e-7 * nets.normal_tensor(3, 5, seed=4)
    found = explain.deep_lift(case, start=start)
    assert_allclose(found.base, case.value(start), atol=1e-14)
    assert_allclose(found.values, case.gradient(case.rows.x).numpy() * (case.rows.x - start).numpy(), atol=1e-12)


@pytest.mark.parametrize("f", [lambda x: x * x.detach(), lambda x: x - torch.softmax(x, 1).detach()])
def test_deep_lift_refuses_a_net_whose_detached_part_moves(f: Callable[[torch.Tensor], torch.Tensor]) -> None:
    with pytest.raises(CapabilityError, match=r"values miss f\(x\) − f\(start\) by .* detaches"):
        explain.deep_lift(case_of(f))


def test_a_net_with_the_usual_views_and_buffers_is_not_refused() -> None:
    def filled_in(x: torch.Tensor) -> torch.Tensor:
        buffer = torch.zeros(x.shape, dtype=x.dtype)
        buffer[:, :4] = x[:, :4]
        buffer[:, 4:].copy_(x[:, 4:] * 2)
        view = buffer.view(-1)
        view.mul_(0.5)
        first, *others = (row for row in buffer.T)
        return torch.stack([first + 1, *others], 1)

    def plain(x: torch.Tensor) -> torch.Tensor:
        scale = torch.tensor([0.5] * 4 + [1.0] * 3, dtype=x.dtype)
        shift = torch.tensor([1.0] + [0.0] * 6, dtype=x.dtype)
        return x * scale + shift

    for method in ("deep_lift", "lrp", "guided_backprop"):
        found, expected = (getattr(explain, method)(case_of(f)).values for f in (filled_in, plain))
        assert_allclose(found, expected, atol=1e-12)
