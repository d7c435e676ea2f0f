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
from assay.engine.gradients.weight_path import segment

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)


def linear(weights: Any, bias: float = 0.0) -> nn.Module:
    net = nn.Linear(3, 1)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([weights]))
        net.bias.fill_(bias)
    return net


def asked(net: nn.Module, x: Any = X) -> assay.Case:
    return assay.case(assay.model.torch(net, gives="values"), x)


def other(net: nn.Module) -> assay.Model:
    return assay.model.torch(net, gives="values")


def test_of_linear_models_the_constant_is_one_and_the_distance_that_of_the_weights() -> None:
    way = segment(asked(linear([1.0, 2.0, 3.0])), other(linear([1.0, -2.0, 0.0])), steps=8)
    assert_allclose(way.distance, 5, rtol=1e-6)
    assert_allclose([way.weights, way.constant, way.coarse, way.whole], [5, 1, 1, 1], rtol=1e-5)


def test_weights_that_the_gradient_does_not_read_lower_it() -> None:
    way = segment(asked(linear([0.0, 0.0, 0.0])), other(linear([3.0, 0.0, 0.0], bias=4.0)), steps=8)
    assert_allclose([way.weights, way.constant], [5, 0.6], rtol=1e-5)


class Product(nn.Module):
    """f(x) = a · b · x: the gradient by x is a · b."""

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.tensor(a)), nn.Parameter(torch.tensor(b))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.a * self.b * x


def test_where_gradients_bend_along_the_way_the_steepest_step_counts() -> None:
    """From (0, 0) to (1, 1) the gradient is λ², its slope by the weights √2 λ; on 16 steps at most (2 − 1/16)/√2."""
    way = segment(asked(Product(0.0, 0.0), np.ones((4, 1), dtype=np.float32)), other(Product(1.0, 1.0)), steps=16)
    assert_allclose(way.distance, 1, rtol=1e-6)
    assert_allclose(way.whole, 1 / np.sqrt(2), rtol=1e-5)
    assert_allclose(way.constant, (2 - 1 / 16) / np.sqrt(2), rtol=1e-4)
    assert_allclose(way.coarse, (2 - 1 / 8) / np.sqrt(2), rtol=1e-4)
    assert way.constant < np.sqrt(2)


def mlp(seed: int, kink: nn.Module | None = None) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 6), kink or nn.Tanh(), nn.BatchNorm1d(6), nn.Linear(6, 2)).eval()


def test_the_estimate_bounds_the_move_of_the_gradient_and_is_that_of_a_loop() -> None:
    nets = [mlp(seed) for seed in (0, 1)]
    nets[1][2].running_mean += 0.5
    case = assay.case(assay.wrap(nets[0]), X, label=1)
    way = segment(case, assay.wrap(nets[1]), steps=4)
    assert way.distance.mean() <= way.constant * way.weights * (1 + 1e-9)
    assert way.whole <= way.coarse <= way.constant
    gradients = []
    for share in np.linspace(0, 1, 5):
        there = mlp(0)
        held = zip(*(net.state_dict().items() for net in nets))
        there.load_state_dict(
            {n: (1 - share) * a + share * b if a.is_floating_point() else a for (n, a), (_, b) in held}
        )
        x = torch.tensor(X, requires_grad=True)
        there(x)[:, 1].sum().backward()
        gradients.append(x.grad.numpy())
    steps = [np.linalg.norm(b - a, axis=1).mean() for a, b in pairwise(gradients)]
    assert_allclose(way.constant, max(steps) * 4 / way.weights, rtol=1e-4)


def test_kinks_make_the_estimate_grow_with_the_steps_and_softening_settles_it() -> None:
    case = assay.case(assay.wrap(mlp(0, nn.ReLU())), X[:3], label=1)
    after = assay.wrap(mlp(1, nn.ReLU()))
    growth = segment(case, after, steps=512).constant / segment(case, after, steps=32).constant
    soft = assay.case(assay.model.softplus_surrogate(case.model, sharpness=3.0), X[:3], label=1)
    smooth = [segment(soft, assay.model.softplus_surrogate(after, sharpness=3.0), steps=n).constant for n in (32, 128)]
    assert growth > 2
    assert smooth[1] == pytest.approx(smooth[0], rel=0.05)


def test_the_same_weights_leave_nothing_to_divide_by() -> None:
    way = segment(asked(linear([1.0, 2.0, 3.0])), other(linear([1.0, 2.0, 3.0])), steps=2)
    assert way.weights == 0
    assert_allclose(way.distance, 0)
    assert np.isnan(way.constant)


def test_the_callers_nets_stay_as_they_are() -> None:
    nets = [mlp(seed) for seed in (0, 1)]
    before = [{name: tensor.clone() for name, tensor in net.state_dict().items()} for net in nets]
    segment(assay.case(assay.wrap(nets[0]), X), assay.wrap(nets[1]), steps=2)
    for net, held in zip(nets, before):
        assert all(torch.equal(tensor, held[name]) for name, tensor in net.state_dict().items())


def test_every_point_costs_one_gradient_a_row() -> None:
    case = asked(linear([1.0, 2.0, 3.0]))
    before = case.model.meter.backwards
    end = assay.model.torch(linear([1.0, -2.0, 0.0]), gives="values")
    segment(case, end, steps=8)
    assert case.model.meter.backwards - before == (8 + 1) * len(X)
    assert end.meter.backwards == len(X)  # once, to see that the way arrives


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (lambda: assay.examples.linear().model, "two torch nets"),
        (lambda: other(nn.Sequential(nn.Linear(3, 1))), "differ in the weights they have"),
        (
            lambda: assay.model.torch(linear([1.0, 1.0, 1.0]), gives="values", preprocess=lambda x: 2 * x),
            "more than",
        ),
    ],
)
def test_where_no_way_leads_it_says_why(end: Any, told: str) -> None:
    with pytest.raises(CapabilityError, match=told):
        segment(asked(linear([1.0, 2.0, 3.0])), end(), steps=2)


def test_an_odd_number_of_steps_is_refused() -> None:
    with pytest.raises(InputError, match="steps=3"):
        segment(asked(linear([1.0, 2.0, 3.0])), other(linear([1.0, 2.0, 3.0])), steps=3)
