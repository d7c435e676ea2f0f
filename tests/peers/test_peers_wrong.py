"""What other libraries get wrong without a word: here it is right, and there it still is not.

Where a peer has been mended meanwhile the test says so and is skipped.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from importlib.metadata import version
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

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]
EXACT, RIGHT = 1e-9, 1e-6


@pytest.fixture(scope="module")
def captum() -> Any:
    return pytest.importorskip("captum.attr", reason="captum is not installed (make peers)", exc_type=ImportError)


@pytest.fixture(scope="module")
def shap() -> Any:
    return pytest.importorskip("shap", reason="shap is not installed (make peers)", exc_type=ImportError)


@pytest.fixture(scope="module")
def zennit() -> Iterator[Any]:
    """zennit asks for torchvision, of which it needs the names of three classes: stand-ins have those."""
    names = ("torchvision", "torchvision.models", "torchvision.models.vgg", "torchvision.models.resnet")
    added = [name for name in names if name not in sys.modules]
    for name in added:
        stand_in: Any = types.ModuleType(name)
        for kind in ("VGG", "ResNet", "BasicBlock", "Bottleneck"):
            setattr(stand_in, kind, type(kind, (nn.Module,), {}))
        sys.modules[name] = stand_in
    try:
        for part in ("attribution", "composites", "rules", "types"):
            pytest.importorskip(f"zennit.{part}", reason="zennit is not installed (make peers)", exc_type=ImportError)
        yield sys.modules["zennit"]
    finally:
        for name in added:
            del sys.modules[name]


def wrong(peer: str, error: float, recorded: float) -> None:
    """The peer misses by more than was recorded; one that has been mended is told of."""
    if error <= RIGHT:
        pytest.skip(f"{peer} {version(peer)} is right now: off by {error:.1e}, where more than {recorded} was recorded")
    assert error > recorded


def asked(net: nn.Module, x: torch.Tensor) -> Case:
    return assay.case(assay.wrap(net), x, label=1)


def unbiased(net: nn.Module) -> nn.Module:
    """Without biases nothing is absorbed, so that relevance adds up to the output."""
    with torch.no_grad():
        for name, parameter in nets.filled(net).named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    return net


def lifted(captum: Any, net: nn.Module, x: torch.Tensor, start: torch.Tensor) -> np.ndarray:
    given = x.clone().requires_grad_(True)
    return captum.DeepLift(net).attribute(given, baselines=start, target=1).detach().numpy()


LIFTED: dict[str, tuple[Callable[[], nn.Module], float]] = {
    "GELU": (lambda: nn.Sequential(nn.Linear(5, 7), nn.GELU(), nn.Linear(7, 3)), 0.02),
    "SiLU": (lambda: nn.Sequential(nn.Linear(5, 7), nn.SiLU(), nn.Linear(7, 3)), 0.02),
    "LayerNorm": (nets.normed, 0.05),
    "F.relu": (lambda: nets.functional_net(functional.relu), 0.05),
    "F.gelu": (lambda: nets.functional_net(functional.gelu), 0.02),
    "torch.tanh": (lambda: nets.functional_net(torch.tanh), 0.02),
    "adjacent Sigmoid and Tanh": (nets.sigmoid_tanh, 0.003),
}


@pytest.mark.parametrize("name", LIFTED)
def test_deep_lift_is_complete_where_captum_takes_the_plain_gradient(captum: Any, name: str) -> None:
    make, recorded = LIFTED[name]
    net, x = nets.filled(make()), nets.normal_tensor(3, 5)
    start = 0.4 * nets.normal_tensor(3, 5, seed=8)
    ours = explain.deep_lift(asked(net, x), start=start)
    assert np.abs(ours.residual).max() <= EXACT
    theirs = lifted(captum, net, x, start).sum(1)
    wrong("captum", float(np.abs(ours.output - ours.base - theirs).max()), recorded)


def test_deep_lift_is_complete_where_captum_loses_a_pool_right_after_a_rectifier(captum: Any) -> None:
    net, x = nets.filled(nets.conv_relu_pool()), nets.normal_tensor(3, 2, 6, 6)
    start = 0.4 * nets.normal_tensor(3, 2, 6, 6, seed=8)
    ours = explain.deep_lift(asked(net, x), start=start)
    assert np.abs(ours.residual).max() <= EXACT
    theirs = lifted(captum, net, x, start).sum((1, 2, 3))
    wrong("captum", float(np.abs(ours.output - ours.base - theirs).max()), 0.05)


def test_a_softmax_head_knows_no_batch_mates_where_captum_takes_their_mean(captum: Any) -> None:
    net, x, start = nets.filled(nets.softmax_head()), nets.normal_tensor(3, 5), torch.zeros(3, 5, dtype=torch.float64)
    x[1:] *= 4
    case = asked(net, x)
    ours, alone = explain.deep_lift(case), explain.deep_lift(case.take([0]))
    assert np.abs(ours.residual).max() <= EXACT
    assert_allclose(alone.values[0], ours.values[0], atol=EXACT)
    together, apart = lifted(captum, net, x, start)[0], lifted(captum, net, x[:1], start[:1])[0]
    wrong("captum", float(np.abs(together - apart).max() / np.abs(apart).max()), 0.003)


def test_pooled_positions_that_agree_know_no_batch_mates_where_captum_reads_the_first(captum: Any) -> None:
    first = nn.Conv2d(2, 4, 3)
    net = nets.filled(nn.Sequential(first, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3)))
    with torch.no_grad():
        first.weight -= first.weight.mean((1, 2, 3), keepdim=True)  # blind to what is added to all of its window
    x = nets.normal_tensor(3, 2, 6, 6)
    start = x - 0.4 * nets.normal_tensor(3, 2, 6, 6, seed=8)
    start[1:, :, :4] = x[1:, :, :4] - 0.5
    case = asked(net, x)
    ours = explain.deep_lift(case, start=start)
    assert np.abs(ours.residual).max() <= EXACT
    for place in range(3):
        alone = explain.deep_lift(case.take([place]), start=start[place])
        assert_allclose(alone.values[0], ours.values[place], atol=EXACT)
    together = lifted(captum, net, x, start)
    apart = np.concatenate([lifted(captum, net, x[i : i + 1], start[i : i + 1]) for i in range(3)])
    wrong("captum", float(np.abs(together - apart).max()), 0.05)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("guided_backprop", "GuidedBackprop"), ("deconvolution", "Deconvolution")]
)
def test_functional_rectifiers_are_rectifiers_where_captum_gives_the_gradient(
    captum: Any, ours: str, theirs: str
) -> None:
    x = nets.normal_tensor(3, 5)
    module = nets.filled(nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)))
    function = nets.filled(nets.functional_net(functional.relu))
    known = getattr(captum, theirs)(module).attribute(x.clone().requires_grad_(True), target=1).numpy()
    assert_allclose(getattr(explain, ours)(asked(function, x)).values, known, atol=EXACT)
    missed = getattr(captum, theirs)(function).attribute(x.clone().requires_grad_(True), target=1).numpy()
    wrong("captum", float(np.abs(missed - known).max()), 0.05)


class Gated(nn.Module):
    """x times the sigmoid of a dense layer, as functions; the layers are modules."""

    def __init__(self) -> None:
        super().__init__()
        self.value, self.gate, self.head = nn.Linear(5, 7), nn.Linear(5, 7), nn.Linear(7, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.value(x) * torch.sigmoid(self.gate(x)))


LEAKS: dict[str, Callable[[], nn.Module]] = {
    "gate": Gated,
    "F.gelu": lambda: nets.functional_net(functional.gelu),
    "torch.sigmoid": lambda: nets.functional_net(torch.sigmoid),
    "LayerNorm": nets.normed,
    "residual": nets.residual,
}


@pytest.mark.parametrize("name", ["gate", "F.gelu"])
def test_relevance_is_conserved_where_captum_leaks(captum: Any, name: str) -> None:
    net, x = unbiased(LEAKS[name]()), nets.normal_tensor(3, 5)
    ours = explain.lrp(asked(net, x), composite="epsilon", epsilon=1e-12)
    assert np.abs(ours.output - ours.values.sum(1) - ours.extra["absorbed"]).max() <= EXACT
    assert np.abs(ours.extra["absorbed"]).max() <= EXACT
    theirs = captum.LRP(net).attribute(x.clone().requires_grad_(True), target=1).detach().numpy()
    wrong("captum", float(np.abs(ours.output - theirs.sum(1)).max()), 0.02)


def test_nothing_is_left_on_the_layers_where_captum_leaves_activations(captum: Any) -> None:
    net, x = nets.filled(nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))), nets.normal_tensor(3, 5)
    before = {name: sorted(vars(module)) for name, module in net.named_modules()}
    explain.lrp(asked(net, x))
    assert {name: sorted(vars(module)) for name, module in net.named_modules()} == before
    captum.LRP(net).attribute(x.clone().requires_grad_(True), target=1)
    left = sum(len(set(vars(module)) - set(before[name])) for name, module in net.named_modules())
    wrong("captum", float(left), 0)


@pytest.mark.parametrize(("name", "recorded"), [("residual", 0.1), ("torch.sigmoid", 0.02), ("LayerNorm", 0.05)])
def test_relevance_is_conserved_where_zennit_doubles_leaks_or_loses_it(zennit: Any, name: str, recorded: float) -> None:
    net, x = unbiased(LEAKS[name]()), nets.normal_tensor(3, 5)
    ours = explain.lrp(asked(net, x), composite="epsilon", epsilon=1e-12)
    assert np.abs(ours.output - ours.values.sum(1) - ours.extra["absorbed"]).max() <= EXACT
    rules = [
        (zennit.types.Activation, zennit.rules.Pass()),
        (zennit.types.Linear, zennit.rules.Epsilon(epsilon=1e-9)),
    ]
    chosen = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    composite = zennit.composites.LayerMapComposite(rules)
    with zennit.attribution.Gradient(model=net, composite=composite) as attributor:
        _, theirs = attributor(x.clone().requires_grad_(True), lambda out: out * chosen)
    gap = ours.output - ours.extra["absorbed"] - theirs.detach().numpy().sum(1)
    wrong("zennit", float(np.abs(gap).max()), recorded)


def test_a_residual_passes_once_what_zennit_passes_twice(zennit: Any) -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branch = nn.Linear(5, 5, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.branch(x)

    net, x = nets.filled(Residual()), nets.normal_tensor(3, 5)
    ours = explain.lrp(asked(net, x), composite="epsilon", epsilon=1e-12)
    assert_allclose(ours.values.sum(1), ours.output, atol=EXACT)
    chosen = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    composite = zennit.composites.LayerMapComposite([(zennit.types.Linear, zennit.rules.Epsilon(epsilon=1e-12))])
    with zennit.attribution.Gradient(model=net, composite=composite) as attributor:
        _, theirs = attributor(x.clone().requires_grad_(True), lambda out: out * chosen)
    share = theirs.detach().numpy().sum(1) / ours.output
    wrong("zennit", float(np.abs(share - 1).max()), 0.5)
    assert_allclose(share, 2.0, atol=1e-6)


@pytest.mark.parametrize("name", ["LayerNorm", "F.gelu", "F.relu"])
def test_deep_lift_is_complete_where_shaps_deep_explainer_is_not(shap: Any, name: str) -> None:
    make, _ = LIFTED[name]
    net, x = nets.filled(make()), nets.normal_tensor(3, 5)
    start = 0.4 * nets.normal_tensor(1, 5, seed=8)
    ours = explain.deep_lift(asked(net, x), start=start[0])
    assert np.abs(ours.residual).max() <= EXACT
    theirs = shap.DeepExplainer(net, start).shap_values(x, check_additivity=False)[:, :, 1].sum(1)
    wrong("shap", float(np.abs(ours.output - ours.base - theirs).max()), 0.02)
