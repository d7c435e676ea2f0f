"""Batch norms folded into the sums before them: the same function, and the plain net wherever that is not seen."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import assay
from assay import explain
from assay.basics.seed import Seed
from assay.model.transformations import fold_batch_norm as made
from assay.model.transformations.randomise_weights import randomise_weights
from assay.model.transformations.softplus_surrogate import softplus_surrogate


def settled(net: nn.Module, seed: int = 0) -> nn.Module:
    """The net in float64 and evaluation mode, its batch norms with constants of their own."""
    draw = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, made.NORMS) and module.running_mean is not None and module.running_var is not None:
            module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=draw))
            module.running_var.copy_(torch.rand(module.running_var.shape, generator=draw) + 0.3)
            if module.affine:
                with torch.no_grad():
                    module.weight.copy_(torch.randn(module.weight.shape, generator=draw))
                    module.bias.copy_(torch.randn(module.bias.shape, generator=draw))
    return net.double().eval()


def ended(*layers: nn.Module) -> nn.Module:
    width = [module.num_features for module in layers if isinstance(module, nn.BatchNorm2d)][-1]
    return settled(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3)))


class Net(nn.Module):
    """A convolution and a batch norm, put together by ``way(net, x)``."""

    def __init__(self, way: Any, **options: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, **options)
        self.norm, self.other = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        self.head = nn.Linear(3, 3)
        self.way = [way]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.way[0](self, x)
        return self.head(maps.relu().mean((2, 3)))  # type: ignore[no-any-return]  # a module's call has no type


class Padded(nn.Conv2d):
    """A convolution that pads in its own forward."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.pad(x, (0, 1, 0, 1))
        return nn.functional.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class Silent(nn.Conv2d):
    """A convolution that never reads a bias."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(x, self.weight, None, self.stride, self.padding)


def pictures(rows: int = 3) -> torch.Tensor:
    return torch.randn(rows, 3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def pairs(model: assay.Model, x: torch.Tensor) -> int:
    """How many batch norms are folded for gradients of these rows."""
    net, rows = model.forward, assay.case(model, x, label=0).rows
    found = net.derived(rows)  # type: ignore[attr-defined]  # a torch net's forward pass
    norms = [sum(type(m) in made.NORMS for m in one.module.modules()) for one in (net, found)]  # type: ignore[attr-defined]  # as above
    return norms[0] - norms[1]


def slope(net: nn.Module, x: torch.Tensor) -> np.ndarray:
    leaf = x.clone().requires_grad_(True)
    return torch.autograd.grad(net(leaf)[:, 0].sum(), leaf)[0].numpy()


def asked(net: nn.Module, x: torch.Tensor) -> np.ndarray:
    case = assay.case(assay.wrap(net), x, label=0, target="logit")
    return np.asarray(case.gradient(case.rows.x))


def straight(net: Any, x: torch.Tensor) -> torch.Tensor:
    return net.norm(net.conv(x))


FOLDED: dict[str, tuple[nn.Module, torch.Tensor, int]] = {
    "convolution": (Net(straight), pictures(), 1),
    "no bias": (Net(straight, bias=False), pictures(), 1),
    "in groups": (Net(straight, groups=3), pictures(), 1),
    "dilated": (Net(straight, dilation=2), pictures(), 1),
    "padded by reflection": (Net(straight, padding_mode="reflect"), pictures(), 1),
    "a convolution that pads itself": (ended(Padded(3, 4, 2), nn.BatchNorm2d(4), nn.ReLU(True)), pictures(), 1),
    "two after each other": (
        ended(nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4), nn.ReLU(True), nn.Conv2d(4, 2, 2), nn.BatchNorm2d(2), nn.ReLU()),
        pictures(),
        2,
    ),
    "no weights of its own": (ended(nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4, affine=False), nn.ReLU()), pictures(), 1),
    "dense": (
        nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)),
        torch.randn(3, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64),
        1,
    ),
    "the shape is read": (Net(lambda net, x: net.norm(net.conv(x)).reshape(len(x), 3, x.shape[2], -1)), pictures(), 1),
}  # fmt: skip


def doubled(net: Any, x: torch.Tensor) -> torch.Tensor:
    return net.norm(net.conv(net.norm(net.conv(x))))


def beside(net: Any, x: torch.Tensor) -> torch.Tensor:
    y = net.conv(x)
    return net.norm(y) + y


def looked(net: Any, x: torch.Tensor) -> torch.Tensor:
    y = net.conv(x)
    return net.norm(y) * (y > 0).any()


def branching(net: Any, x: torch.Tensor) -> torch.Tensor:
    return straight(net, x) if x.mean() < 100 else net.conv(x)


def reweighted(net: Any, x: torch.Tensor) -> torch.Tensor:
    return straight(net, x) * net.conv.weight.sum()


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
    "a residual from the sum's output": Net(beside),
    "asked whether it is positive": Net(looked),
    "its course depends on values": Net(branching),
    "weights read elsewhere": Net(reweighted),
    "changed in place between": Net(changed),
    "a function of one's own reads it, too": Net(own_function),
    "something between": Net(lambda net, x: net.norm(net.conv(x).relu())),
    "the norm first": Net(lambda net, x: net.conv(net.norm(x))),
    "transposed": ended(nn.ConvTranspose2d(3, 4, 2), nn.BatchNorm2d(4), nn.ReLU()),
    "statistics missing": ended(nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU()),
    "a bias nobody reads": ended(Silent(3, 4, 2), nn.BatchNorm2d(4), nn.ReLU()),
}


@pytest.mark.parametrize("name", FOLDED)
def test_gradients_are_those_of_the_net(name: str) -> None:
    net, x, count = FOLDED[name]
    settled(net)
    assert pairs(assay.wrap(net), x) == count
    np.testing.assert_allclose(asked(net, x), slope(net, x), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_read_elsewhere_is_not_folded(name: str) -> None:
    net, x = settled(PLAIN[name]), pictures()
    assert pairs(assay.wrap(net), x) == 0
    np.testing.assert_allclose(asked(net, x), slope(net, x), rtol=1e-12, atol=1e-13)


def test_shared_weights_stay() -> None:
    first, second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
    second.weight = first.weight
    net = ended(first, nn.BatchNorm2d(3), nn.ReLU(), second, nn.ReLU())
    assert pairs(assay.wrap(net), pictures()) == 0
    np.testing.assert_allclose(asked(net, pictures()), slope(net, pictures()), rtol=1e-12)


def test_a_hook_keeps_its_pair() -> None:
    net = ended(nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4), nn.ReLU())
    net[0].register_forward_hook(lambda module, args, out: 2 * out)
    assert pairs(assay.wrap(net), pictures()) == 0
    np.testing.assert_allclose(asked(net, pictures()), slope(net, pictures()), rtol=1e-12)


def test_in_float32_up_to_rounding() -> None:
    net, x = settled(Net(straight)), pictures()
    small = copy.deepcopy(net).float()
    assert pairs(assay.wrap(small), x.float()) == 1
    np.testing.assert_allclose(asked(small, x.float()), slope(net, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer", ["conv", "norm", "conv#0", "head"])
def test_layers_have_their_own_activations(layer: str) -> None:
    net, x = settled(Net(straight)), pictures()
    case = assay.case(assay.wrap(net), x, label=0, target="logit")
    found, kept = case.slope(case.rows.x, layer, along=torch.ones_like(case.rows.x)), {}
    for name in ("conv", "norm", "head"):
        net.get_submodule(name).register_forward_hook(lambda m, a, out, name=name: kept.setdefault(name, out))
    out = net(x.clone().requires_grad_(True))
    activation = kept[layer.partition("#")[0]]
    np.testing.assert_allclose(found.activation.numpy(), activation.detach().numpy(), rtol=1e-12, atol=1e-13)
    wanted = torch.autograd.grad(out[:, 0].sum(), activation)[0]
    np.testing.assert_allclose(found.gradient.numpy(), wanted.numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("layer", ["conv", "norm"])
def test_a_net_cut_at_a_folded_pair(layer: str) -> None:
    net, x = settled(Net(straight)), pictures()
    since = assay.case(assay.wrap(net), x, label=0, target="logit").from_layer(layer)
    kept: list[torch.Tensor] = []
    net.get_submodule(layer).register_forward_hook(lambda m, a, out: kept.append(out))
    wanted = torch.autograd.grad(net(x.clone().requires_grad_(True))[:, 0].sum(), kept[0])[0]
    np.testing.assert_allclose(since.gradient(since.rows.x).numpy(), wanted.numpy(), rtol=1e-12, atol=1e-13)


def test_nothing_is_counted_drawn_or_left() -> None:
    net, x = settled(Net(straight)), pictures()
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


def test_a_copy_shares_what_is_not_folded_and_is_made_once() -> None:
    net, x = settled(Net(straight)), pictures()
    model = assay.wrap(net)
    rows, forward = assay.case(model, x, label=0).rows, model.forward
    first, again = forward.derived(rows), forward.derived(rows.take(np.array([2])))  # type: ignore[attr-defined]  # a torch net's
    assert first.module is again.module
    assert first.module.head.weight is model.net.head.weight
    assert first.module.conv.weight is not model.net.conv.weight


def test_an_error_midway_leaves_the_plain_net() -> None:
    calls = {"n": 0}

    def way(net: Any, x: torch.Tensor) -> torch.Tensor:
        calls["n"] += 1
        if calls["n"] == 2:  # the pass of proof
            raise RuntimeError("the net broke")
        return straight(net, x)

    net = settled(Net(way))
    model = assay.wrap(net)
    case = assay.case(model, pictures(), label=0, target="logit")
    found = np.asarray(case.gradient(case.rows.x))
    np.testing.assert_allclose(found, slope(net, pictures()), rtol=1e-12)
    assert not any(module._forward_hooks for module in model.net.modules())


def test_too_much_rounding_keeps_the_plain_net(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made, "ROUNDINGS", -1)  # not even equal is near enough
    net = settled(Net(straight))
    assert pairs(assay.wrap(net.float()), pictures().float()) == 0


def test_other_weights_have_another_fold() -> None:
    net, x = settled(Net(straight)), pictures()
    model = assay.wrap(net)
    case = assay.case(model, x, label=0, target="logit")
    first = np.asarray(case.gradient(case.rows.x))
    other = randomise_weights(model, Seed(3))
    drawn = assay.case(other, x, label=0, target="logit")
    np.testing.assert_allclose(np.asarray(drawn.gradient(drawn.rows.x)), slope(other.net, x), rtol=1e-12, atol=1e-13)
    assert np.abs(np.asarray(drawn.gradient(drawn.rows.x)) - first).max() > 1e-6
    with torch.no_grad():
        model.net.conv.weight.mul_(2.0)  # what nobody should do, but a stale copy would hide
    np.testing.assert_allclose(np.asarray(case.gradient(case.rows.x)), slope(model.net, x), rtol=1e-12, atol=1e-13)


def test_a_softened_net_is_softened() -> None:
    net, x = settled(Net(straight)), pictures()
    soft = softplus_surrogate(assay.wrap(net), sharpness=2.0)
    case = assay.case(soft, x, label=0, target="logit")
    found, plain = np.asarray(case.gradient(case.rows.x)), slope(net, x)
    assert np.abs(found - plain).max() > 1e-3


def test_other_rows_change_nothing() -> None:
    net, x = settled(Net(straight)), pictures()
    model = assay.wrap(net)
    together = explain.saliency(assay.case(model, x, label=0)).values
    for row in range(3):
        alone = explain.saliency(assay.case(assay.wrap(net), x[row : row + 1], label=0)).values
        np.testing.assert_allclose(alone[0], together[row], rtol=1e-12)


def test_guided_backprop_on_the_folded_net_is_that_of_the_net() -> None:
    net, x = settled(FOLDED["two after each other"][0]), pictures()
    case = assay.case(assay.wrap(net), x, label=0, target="logit")
    leaf = x.clone().requires_grad_(True)
    for module in net.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda m, a, out: out.register_hook(lambda g: g.clamp(min=0)) and None)
    wanted = torch.autograd.grad(net(leaf)[:, 0].sum(), leaf)[0].numpy()
    found = np.asarray(explain.guided_backprop(case).values).reshape(wanted.shape)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-13)
