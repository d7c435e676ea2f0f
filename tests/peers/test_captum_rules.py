"""Backward rules, layers and paths agree with captum where captum is right: a second witness, never the oracle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.explain import nets
from torch import nn

from assay import explain
from assay.cases.case import Case
from assay.engine.gradients.distributions import Line

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]
attr: Any = pytest.importorskip("captum.attr", reason="captum is not installed (make peers)", exc_type=ImportError)

TIGHT = 1e-5


def spaced() -> nn.Module:
    """Convolutions, rectifiers and pools, none right after another that captum hooks."""
    return nets.filled(
        nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(3, 4, 3, padding=1),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(16, 3),
        )
    )


def tanhs() -> nn.Module:
    return nets.filled(nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Sigmoid(), nn.Linear(5, 3)))


NETS: dict[str, Callable[[], Any]] = {"relu": nets.mlp, "tanh": tanhs, "conv": nets.conv, "pooled": spaced}


def asked(net: Any) -> tuple[Case, torch.Tensor]:
    case = nets.make_case(net)
    return case, case.rows.x.clone().requires_grad_(True)


def agree(ours: Any, theirs: Any, tolerance: float = TIGHT) -> None:
    theirs = theirs.detach().numpy()
    assert np.abs(theirs).max() > 1e-3
    assert_allclose(ours, theirs, atol=tolerance * max(1.0, float(np.abs(theirs).max())))


@pytest.mark.parametrize("start", [0.0, 0.4])
@pytest.mark.parametrize("name", NETS)
def test_deep_lift_agrees_on_modules_that_are_not_adjacent(name: str, start: float) -> None:
    case, x = asked(NETS[name]())
    theirs = attr.DeepLift(NETS[name]()).attribute(x, baselines=torch.full_like(x, start), target=1)
    agree(explain.deep_lift(case, start=start).map(), theirs)


@pytest.mark.parametrize("name", NETS)
def test_integrated_gradients_agree(name: str) -> None:
    case, x = asked(NETS[name]())
    theirs = attr.IntegratedGradients(NETS[name]()).attribute(x, target=1, n_steps=20, method="gausslegendre")
    agree(explain.integrated_gradients(case, steps=20).map(), theirs)


class Flattened(nn.Module):
    """The convolutional net with its reshape as a function: captum's LRP has no rule for nn.Flatten."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.relu, _, self.head = nets.conv()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.relu(self.first(x)).flatten(1))


@pytest.mark.parametrize("name", ["relu", "conv"])
def test_lrp_epsilon_agrees(name: str) -> None:
    case, x = asked(NETS[name]())
    theirs = attr.LRP(Flattened() if name == "conv" else nets.mlp()).attribute(x, target=1)
    agree(explain.lrp(case, composite="epsilon", epsilon=1e-9).map(), theirs)


@pytest.mark.parametrize("name", ["relu", "conv"])
@pytest.mark.parametrize(
    ("ours", "theirs"), [("guided_backprop", "GuidedBackprop"), ("deconvolution", "Deconvolution")]
)
def test_rules_of_rectifiers_agree(name: str, ours: str, theirs: str) -> None:
    case, x = asked(NETS[name]())
    agree(getattr(explain, ours)(case).map(), getattr(attr, theirs)(NETS[name]()).attribute(x, target=1))


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("layer", ["0", "2"])
def test_grad_cam_agrees(layer: str, signed: bool) -> None:
    case, x = asked(spaced())
    net = spaced()
    theirs = attr.LayerGradCam(net, net[int(layer)]).attribute(x, target=1, relu_attributions=not signed)
    agree(explain.grad_cam(case, layer=layer, signed=signed).extra["map"], theirs[:, 0])


def test_guided_grad_cam_is_guided_backprop_times_the_enlarged_map() -> None:
    case, net = nets.make_case(nets.conv()), nets.conv()
    theirs = attr.GuidedGradCam(net, net[0]).attribute(case.rows.x.clone().requires_grad_(True), target=1)
    ours = explain.guided_backprop(case).map() * explain.grad_cam(case, layer="0").extra["map"][:, None]
    agree(ours, theirs)


@pytest.mark.parametrize("name", ["relu", "tanh"])
@pytest.mark.parametrize("layer", ["0", "1", "2"])
def test_conductance_agrees_with_many_differences(name: str, layer: str) -> None:
    case, x = asked(NETS[name]())
    net = NETS[name]()
    theirs = attr.LayerConductance(net, net[int(layer)]).attribute(
        x, target=1, n_steps=3000, method="riemann_middle", baselines=0.2 * torch.ones_like(x)
    )
    agree(explain.conductance(case, layer=layer, start=0.2, steps=800).map(), theirs, 3e-3)


@pytest.mark.parametrize("name", ["tanh", "pooled"])
@pytest.mark.parametrize("layer", ["0", "2"])
def test_internal_influence_agrees(name: str, layer: str) -> None:
    case, x = asked(NETS[name]())
    net = NETS[name]()
    theirs = attr.InternalInfluence(net, net[int(layer)]).attribute(x, target=1, n_steps=20, method="gausslegendre")
    agree(explain.internal_influence(case, layer=layer, over=Line(steps=20)).map(), theirs)
