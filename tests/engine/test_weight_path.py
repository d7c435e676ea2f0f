"""The gradient–parameter Lipschitz constant between two nets, where it is known."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

import assay
from assay.basics.errors import CapabilityError, InputError
from assay.engine.gradients.weight_path import estimate_gradient_lipschitz

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)


def linear(weights: Any, bias: float = 0.0) -> nn.Module:
    net = nn.Linear(3, 1)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([weights]))
        net.bias.fill_(bias)
    return net


def make_case(net: nn.Module, x: Any = X) -> assay.Case:
    return assay.case(assay.model.torch(net, gives="values"), x)


def other(net: nn.Module) -> assay.Model:
    return assay.model.torch(net, gives="values")


def test_of_linear_models_the_constant_is_one_and_the_distance_that_of_the_weights() -> None:
    path = estimate_gradient_lipschitz(make_case(linear([1.0, 2.0, 3.0])), other(linear([1.0, -2.0, 0.0])), steps=8)
    assert_allclose(path.distance, 5, rtol=1e-6)
    assert_allclose([path.weight_distance, path.constant, path.coarse, path.end_to_end], [5, 1, 1, 1], rtol=1e-5)


def test_weights_that_the_gradient_does_not_depend_on_lower_it() -> None:
    path = estimate_gradient_lipschitz(
        make_case(linear([0.0, 0.0, 0.0])), other(linear([3.0, 0.0, 0.0], bias=4.0)), steps=8
    )
    assert_allclose([path.weight_distance, path.constant], [5, 0.6], rtol=1e-5)


class Product(nn.Module):
    """f(x) = a · b · x: the gradient by x is a · b."""

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.tensor(a)), nn.Parameter(torch.tensor(b))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.a * self.b * x


def test_the_constant_is_that_of_the_steepest_step() -> None:
    """From (0, 0) to (1, 1) the gradient is λ², its slope by the weights √2 λ; on 16 steps at most (2 − 1/16)/√2."""
    path = estimate_gradient_lipschitz(
        make_case(Product(0.0, 0.0), np.ones((4, 1), dtype=np.float32)), other(Product(1.0, 1.0)), steps=16
    )
    assert_allclose(path.distance, 1, rtol=1e-6)
    assert_allclose(path.end_to_end, 1 / np.sqrt(2), rtol=1e-5)
    assert_allclose(path.constant, (2 - 1 / 16) / np.sqrt(2), rtol=1e-4)
    assert_allclose(path.coarse, (2 - 1 / 8) / np.sqrt(2), rtol=1e-4)
    assert path.constant < np.sqrt(2)


def mlp(seed: int, kink: nn.Module | None = None) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 6), kink or nn.Tanh(), nn.BatchNorm1d(6), nn.Linear(6, 2)).eval()


def test_the_estimate_bounds_the_change_of_the_gradient_and_agrees_with_a_loop() -> None:
    nets = [mlp(seed) for seed in (0, 1)]
    nets[1][2].running_mean += 0.5
    case = assay.case(assay.wrap(nets[0]), X, label=1)
    path = estimate_gradient_lipschitz(case, assay.wrap(nets[1]), steps=4)
    assert path.distance.mean() <= path.constant * path.weight_distance * (1 + 1e-9)
    assert path.end_to_end <= path.coarse <= path.constant
    gradients = []
    for share in np.linspace(0, 1, 5):
        blend = mlp(0)
        tensors = zip(*(net.state_dict().items() for net in nets))
        blend.load_state_dict(
            {n: (1 - share) * a + share * b if a.is_floating_point() else a for (n, a), (_, b) in tensors}
        )
        x = torch.tensor(X, requires_grad=True)
        blend(x)[:, 1].sum().backward()
        gradients.append(x.grad.numpy())
    steps = [np.linalg.norm(b - a, axis=1).mean() for a, b in pairwise(gradients)]
    assert_allclose(path.constant, max(steps) * 4 / path.weight_distance, rtol=1e-4)


def test_with_relu_the_estimate_grows_with_the_steps_and_with_softplus_it_converges() -> None:
    case = assay.case(assay.wrap(mlp(0, nn.ReLU())), X[:3], label=1)
    after = assay.wrap(mlp(1, nn.ReLU()))
    growth = (
        estimate_gradient_lipschitz(case, after, steps=512).constant
        / estimate_gradient_lipschitz(case, after, steps=32).constant
    )
    soft = assay.case(assay.model.softplus_surrogate(case.model, sharpness=3.0), X[:3], label=1)
    smooth = [
        estimate_gradient_lipschitz(soft, assay.model.softplus_surrogate(after, sharpness=3.0), steps=n).constant
        for n in (32, 128)
    ]
    assert growth > 2
    assert smooth[1] == pytest.approx(smooth[0], rel=0.05)


def test_for_equal_weights_the_constant_is_undefined() -> None:
    path = estimate_gradient_lipschitz(make_case(linear([1.0, 2.0, 3.0])), other(linear([1.0, 2.0, 3.0])), steps=2)
    assert path.weight_distance == 0
    assert_allclose(path.distance, 0)
    assert np.isnan(path.constant)


def test_the_callers_nets_stay_as_they_are() -> None:
    nets = [mlp(seed) for seed in (0, 1)]
    before = [{name: tensor.clone() for name, tensor in net.state_dict().items()} for net in nets]
    estimate_gradient_lipschitz(assay.case(assay.wrap(nets[0]), X), assay.wrap(nets[1]), steps=2)
    for net, tensors in zip(nets, before):
        assert all(torch.equal(tensor, tensors[name]) for name, tensor in net.state_dict().items())


def test_every_point_costs_one_gradient_a_row() -> None:
    case = make_case(linear([1.0, 2.0, 3.0]))
    before = case.model.meter.backwards
    end = assay.model.torch(linear([1.0, -2.0, 0.0]), gives="values")
    estimate_gradient_lipschitz(case, end, steps=8)
    assert case.model.meter.backwards - before == (8 + 1) * len(X)
    assert end.meter.backwards == len(X)  # once, to check the end of the path


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (lambda: assay.examples.linear().model, "two torch nets"),
        (lambda: other(nn.Sequential(nn.Linear(3, 1))), "have different weights"),
        (
            lambda: assay.model.torch(linear([1.0, 1.0, 1.0]), gives="values", preprocess=lambda x: 2 * x),
            "more than",
        ),
    ],
)
def test_nets_that_are_not_comparable_are_refused_with_the_reason(end: Any, message: str) -> None:
    with pytest.raises(CapabilityError, match=message):
        estimate_gradient_lipschitz(make_case(linear([1.0, 2.0, 3.0])), end(), steps=2)


def test_an_odd_number_of_steps_is_refused() -> None:
    with pytest.raises(InputError, match="steps=3"):
        estimate_gradient_lipschitz(make_case(linear([1.0, 2.0, 3.0])), other(linear([1.0, 2.0, 3.0])), steps=3)
