"""Batch norms folded into the weighted sums before them: the same function, or the plain net."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import assay
from assay import explain
from assay.basics.errors import CapabilityError
from assay.basics.seed import Seed
from assay.model.transformations import fold_batch_norm as fold_module
from assay.model.transformations.randomise_weights import randomise_weights
from assay.model.transformations.softplus_surrogate import softplus_surrogate


def prepare(net: nn.Module, seed: int = 0) -> nn.Module:
    """The net in float64 and evaluation mode; all weights and statistics come from a private random generator."""
    generator = torch.Generator().manual_seed(seed)
    net = net.double().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(2 * torch.rand(parameter.shape, generator=generator) - 1)
        for module in net.modules():
            if not isinstance(module, fold_module.NORMS):
                continue
            if module.running_mean is not None and module.running_var is not None:
                module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=generator))
                module.running_var.copy_(torch.rand(module.running_var.shape, generator=generator) + 0.3)
            if module.affine:
                module.weight.copy_(torch.randn(module.weight.shape, generator=generator))
                module.bias.copy_(torch.randn(module.bias.shape, generator=generator))
    return net


def with_head(*layers: nn.Module) -> nn.Module:
    width = [module.num_features for module in layers if isinstance(module, nn.BatchNorm2d)][-1]
    return prepare(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3)))


class Net(nn.Module):
    """A convolution and a batch norm, combined by ``combine(net, x)``."""

    def __init__(self, combine: Any, **options: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, **options)
        self.norm, self.other = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        self.head = nn.Linear(3, 3)
        self.combine = [combine]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.combine[0](self, x)
        return self.head(maps.relu().mean((2, 3)))  # type: ignore[no-any-return]  # a module's call has no type


class Padded(nn.Conv2d):
    """A convolution that pads in its own forward method."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.pad(x, (0, 1, 0, 1))
        return nn.functional.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class BiasFree(nn.Conv2d):
    """A convolution that never reads a bias."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(x, self.weight, None, self.stride, self.padding)


def images(rows: int = 3) -> torch.Tensor:
    return torch.randn(rows, 3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def folded_pairs(model: assay.Model, x: torch.Tensor) -> int:
    """Number of batch norms that are folded for gradients of these rows."""
    net, rows = model.forward, assay.case(model, x, label=None).rows
    found = net.for_gradients(rows)  # type: ignore[attr-defined]  # a torch net's forward pass
    norms = [sum(type(m) in fold_module.NORMS for m in one.module.modules()) for one in (net, found)]  # type: ignore[attr-defined]  # as above
    return norms[0] - norms[1]


def net_gradient(net: nn.Module, x: torch.Tensor) -> np.ndarray:
    leaf = x.clone().requires_grad_(True)
    return torch.autograd.grad(net(leaf)[:, 0].sum(), leaf)[0].numpy()


def case_gradient(net: nn.Module, x: torch.Tensor) -> np.ndarray:
    case = assay.case(assay.wrap(net), x, label=0, target="logit")
    return np.asarray(case.gradient(case.rows.x))


def conv_then_norm(net: Any, x: torch.Tensor) -> torch.Tensor:
    return net.norm(net.conv(x))


FOLDED: dict[str, tuple[nn.Module, torch.Tensor, int]] = {
    "convolution": (Net(conv_then_norm), images(), 1),
    "no bias": (Net(conv_then_norm, bias=False), images(), 1),
    "in groups": (Net(conv_then_norm, groups=3), images(), 1),
    "dilated": (Net(conv_then_norm, dilation=2), images(), 1),
    "padded by reflection": (Net(conv_then_norm, padding_mode="reflect"), images(), 1),
    "a convolution that pads itself": (with_head(Padded(3, 4, 2), nn.BatchNorm2d(4), nn.ReLU(True)), images(), 1),
    "two after each other": (
        with_head(
            *(nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4), nn.ReLU(True), nn.Conv2d(4, 2, 2), nn.BatchNorm2d(2), nn.ReLU())
        ),
        images(),
        2,
    ),
    "no weights of its own": (with_head(nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4, affine=False), nn.ReLU()), images(), 1),
    "dense": (
        nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)),
        torch.randn(3, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64),
        1,
    ),
    "the shape is read": (Net(lambda net, x: net.norm(net.conv(x)).reshape(len(x), 3, x.shape[2], -1)), images(), 1),
}  # fmt: skip


def doubled(net: Any, x: torch.Tensor) -> torch.Tensor:
    return net.norm(net.conv(net.norm(net.conv(x))))


def residual(net: Any, x: torch.Tensor) -> torch.Tensor:
    y = net.conv(x)
    return net.norm(y) + y


def reads_sign(net: Any, x: torch.Tensor) -> torch.Tensor:
    y = net.conv(x)
    return net.norm(y) * (y > 0).any()


def branching(net: Any, x: torch.Tensor) -> torch.Tensor:
    return conv_then_norm(net, x) if x.mean() < 100 else net.conv(x)


def reweighted(net: Any, x: torch.Tensor) -> torch.Tensor:
    return conv_then_norm(net, x) * net.conv.weight.sum()


def changed(net: Any, x: torch.Tensor) -> torch.Tensor:
    return net.norm(net.conv(x).add_(1.0))


def own_function(net: Any, x: torch.Tensor) -> torch.Tensor:
    y = net.conv(x)
    return net.norm(y) + Squared.apply(y)


class Squared(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x.detach() * x.detach()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        return 2 * ctx.saved_tensors[0] * grads[0]


PLAIN: dict[str, nn.Module] = {
    "both used twice": Net(doubled),
    "two norms of one sum": Net(lambda net, x: net.norm(net.conv(x)) + net.other(net.conv(x))),
    "two norms of one output": Net(lambda net, x: (lambda y: net.norm(y) + net.other(y))(net.conv(x))),
    "a residual from the sum's output": Net(residual),
    "its sign is read": Net(reads_sign),
    "its course depends on values": Net(branching),
    "weights read elsewhere": Net(reweighted),
    "changed in place between": Net(changed),
    "an autograd function reads it, too": Net(own_function),
    "something between": Net(lambda net, x: net.norm(net.conv(x).relu())),
    "the norm first": Net(lambda net, x: net.conv(net.norm(x))),
    "transposed": with_head(nn.ConvTranspose2d(3, 4, 2), nn.BatchNorm2d(4), nn.ReLU()),
    "a bias that is never read": with_head(BiasFree(3, 4, 2), nn.BatchNorm2d(4), nn.ReLU()),
}


@pytest.mark.parametrize("name", FOLDED)
def test_gradients_are_those_of_the_net(name: str) -> None:
    net, x, count = FOLDED[name]
    prepare(net)
    assert folded_pairs(assay.wrap(net), x) == count
    np.testing.assert_allclose(case_gradient(net, x), net_gradient(net, x), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", PLAIN)
def test_sums_with_other_readers_are_not_folded(name: str) -> None:
    net, x = prepare(PLAIN[name]), images()
    assert folded_pairs(assay.wrap(net), x) == 0
    np.testing.assert_allclose(case_gradient(net, x), net_gradient(net, x), rtol=1e-12, atol=1e-13)


def test_a_norm_without_statistics_is_not_folded_and_the_net_is_no_function_of_a_row() -> None:
    net = with_head(nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU())
    assert folded_pairs(assay.wrap(prepare(net)), images()) == 0
    with pytest.raises(CapabilityError, match="depend on the other rows of the batch"):
        case_gradient(net, images())


def test_shared_weights_are_not_folded() -> None:
    first, second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
    second.weight = first.weight
    net = with_head(first, nn.BatchNorm2d(3), nn.ReLU(), second, nn.ReLU())
    assert folded_pairs(assay.wrap(net), images()) == 0
    np.testing.assert_allclose(case_gradient(net, images()), net_gradient(net, images()), rtol=1e-12)


def test_a_module_with_a_hook_is_not_folded() -> None:
    net = with_head(nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4), nn.ReLU())
    net[0].register_forward_hook(lambda module, args, out: 2 * out)
    assert folded_pairs(assay.wrap(net), images()) == 0
    np.testing.assert_allclose(case_gradient(net, images()), net_gradient(net, images()), rtol=1e-12)


def test_gradients_in_float32_are_equal_up_to_rounding() -> None:
    net, x = prepare(Net(conv_then_norm)), images()
    small = copy.deepcopy(net).float()
    assert folded_pairs(assay.wrap(small), x.float()) == 1
    np.testing.assert_allclose(case_gradient(small, x.float()), net_gradient(net, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer", ["conv", "norm", "conv#0", "head"])
def test_layer_gradients_and_activations_are_those_of_the_plain_net(layer: str) -> None:
    net, x = prepare(Net(conv_then_norm)), images()
    case = assay.case(assay.wrap(net), x, label=0, target="logit")
    found, recorded = case.layer_gradient(case.rows.x, layer, along=torch.ones_like(case.rows.x)), {}
    for name in ("conv", "norm", "head"):
        net.get_submodule(name).register_forward_hook(lambda m, a, out, name=name: recorded.setdefault(name, out))
    out = net(x.clone().requires_grad_(True))
    activation = recorded[layer.partition("#")[0]]
    np.testing.assert_allclose(found.activation.numpy(), activation.detach().numpy(), rtol=1e-12, atol=1e-13)
    expected = torch.autograd.grad(out[:, 0].sum(), activation)[0]
    np.testing.assert_allclose(found.gradient.numpy(), expected.numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("layer", ["conv", "norm"])
def test_a_net_cut_at_a_folded_pair_has_the_plain_gradient(layer: str) -> None:
    net, x = prepare(Net(conv_then_norm)), images()
    since = assay.case(assay.wrap(net), x, label=0, target="logit").from_layer(layer)
    recorded: list[torch.Tensor] = []
    net.get_submodule(layer).register_forward_hook(lambda m, a, out: recorded.append(out))
    expected = torch.autograd.grad(net(x.clone().requires_grad_(True))[:, 0].sum(), recorded[0])[0]
    np.testing.assert_allclose(since.gradient(since.rows.x).numpy(), expected.numpy(), rtol=1e-12, atol=1e-13)


def test_folding_counts_no_pass_draws_nothing_and_leaves_no_hook() -> None:
    net, x = prepare(Net(conv_then_norm)), images()
    model = assay.wrap(net)
    private: Any = model.net
    before, state = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    case = assay.case(model, x, label=0, target="logit")
    meter = model.meter
    counted = meter.forwards, meter.backwards
    case.gradient(case.rows.x)
    assert (meter.forwards - counted[0], meter.backwards - counted[1]) == (3, 3)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    for one in (net, private):
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in one.modules())
        assert isinstance(one.norm, nn.BatchNorm2d)


def test_a_folded_copy_shares_other_weights_and_is_cached() -> None:
    net, x = prepare(Net(conv_then_norm)), images()
    model = assay.wrap(net)
    rows, forward = assay.case(model, x, label=0).rows, model.forward
    first, second = forward.for_gradients(rows), forward.for_gradients(rows.take(np.array([2])))  # type: ignore[attr-defined]  # a torch net's
    assert first.module is second.module
    assert first.module.head.weight is model.net.head.weight
    assert first.module.conv.weight is not model.net.conv.weight


def test_after_an_error_the_plain_net_is_used() -> None:
    calls = {"n": -100}  # the case evaluates the net, too

    def combine(net: Any, x: torch.Tensor) -> torch.Tensor:
        calls["n"] += 1
        if calls["n"] == 1:  # the checking pass
            raise RuntimeError("the net broke")
        return conv_then_norm(net, x)

    net = prepare(Net(combine))
    model = assay.wrap(net)
    case = assay.case(model, images(), label=0, target="logit")
    calls["n"] = 0
    found = np.asarray(case.gradient(case.rows.x))
    assert calls["n"] > 1
    np.testing.assert_allclose(found, net_gradient(net, images()), rtol=1e-12)
    assert not any(module._forward_hooks for module in model.net.modules())


def test_with_too_much_rounding_the_plain_net_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold_module, "ROUNDINGS", -1)  # rejects even equal outputs
    net = prepare(Net(conv_then_norm))
    assert folded_pairs(assay.wrap(net.float()), images().float()) == 0


def test_randomised_weights_are_folded_separately() -> None:
    net, x = prepare(Net(conv_then_norm)), images()
    model = assay.wrap(net)
    case = assay.case(model, x, label=0, target="logit")
    first = np.asarray(case.gradient(case.rows.x))
    other = randomise_weights(model, Seed(3))
    randomised = assay.case(other, x, label=0, target="logit")
    np.testing.assert_allclose(
        np.asarray(randomised.gradient(randomised.rows.x)), net_gradient(other.net, x), rtol=1e-12, atol=1e-13
    )
    assert np.abs(np.asarray(randomised.gradient(randomised.rows.x)) - first).max() > 1e-6
    with torch.no_grad():
        model.net.conv.weight.mul_(2.0)  # not allowed, but a stale copy would hide it
    np.testing.assert_allclose(
        np.asarray(case.gradient(case.rows.x)), net_gradient(model.net, x), rtol=1e-12, atol=1e-13
    )


def test_a_softplus_surrogate_keeps_its_softplus_gradient() -> None:
    net, x = prepare(Net(conv_then_norm)), images()
    soft = softplus_surrogate(assay.wrap(net), sharpness=2.0)
    case = assay.case(soft, x, label=0, target="logit")
    found, plain = np.asarray(case.gradient(case.rows.x)), net_gradient(net, x)
    assert np.abs(found - plain).max() > 1e-3


def test_a_gradient_does_not_depend_on_other_rows() -> None:
    net, x = prepare(Net(conv_then_norm)), images()
    model = assay.wrap(net)
    together = explain.saliency(assay.case(model, x, label=0)).values
    for row in range(3):
        alone = explain.saliency(assay.case(assay.wrap(net), x[row : row + 1], label=0)).values
        np.testing.assert_allclose(alone[0], together[row], rtol=1e-12)


def test_guided_backprop_is_equal_on_the_folded_net() -> None:
    net, x = prepare(FOLDED["two after each other"][0]), images()
    case = assay.case(assay.wrap(net), x, label=0, target="logit")
    leaf = x.clone().requires_grad_(True)
    for module in net.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda m, a, out: out.register_hook(lambda g: g.clamp(min=0)) and None)
    expected = torch.autograd.grad(net(leaf)[:, 0].sum(), leaf)[0].numpy()
    found = np.asarray(explain.guided_backprop(case).values).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
