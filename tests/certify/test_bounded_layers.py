# SPDX-License-Identifier: Apache-2.0
"""Bounds through every kind of layer: no point of the ball violates them, and each step's lines enclose it."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract.nets import filled
from torch import nn

import assay
from assay import attack, certify
from assay.basics.errors import CapabilityError
from assay.engine.bounds.layer_graph import Activation, MaxPool
from assay.engine.bounds.propagation import InputSet, largest_slope, propagate_intervals, tighten_by_crown
from assay.engine.bounds.read_layers import read_layers
from assay.engine.bounds.relaxations import lines_of, through_max_pool

HOW = ("ibp", "crown-ibp", "crown")


class Block(nn.Module):
    """A residual block of convolutions with batch norm, as in a ResNet."""

    def __init__(self, channels):
        super().__init__()
        self.first, self.norm = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return torch.relu(x + self.second(torch.relu(self.norm(self.first(x)))))


class Residual(nn.Module):
    """A small residual net written as functions: pooling, flattening by view, a mean over positions."""

    def __init__(self):
        super().__init__()
        self.stem, self.block, self.head = nn.Conv2d(1, 2, 3, padding=1), Block(2), nn.Linear(2, 3)

    def forward(self, x):
        x = torch.nn.functional.max_pool2d(self.block(self.stem(x)), 2)
        return self.head(x.mean((2, 3)).view(x.size(0), -1))


def pooled(**options):
    return nn.Sequential(
        nn.Conv2d(1, 2, 3),
        nn.ReLU(),
        nn.MaxPool2d(**options),
        nn.Flatten(),
        nn.LazyLinear(4),
        nn.ReLU(),
        nn.Linear(4, 3),
    )


def smooth(activation):
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 5), activation, nn.Linear(5, 4), activation, nn.Linear(4, 3))


NETS = {
    "max-pool": lambda: pooled(kernel_size=2),
    "max-pool that overlaps": lambda: pooled(kernel_size=3, stride=1, padding=1),
    "max-pool with dilation": lambda: pooled(kernel_size=2, stride=2, dilation=2),
    "residual": Residual,
    "softplus": lambda: smooth(nn.Softplus(beta=3)),
    "sigmoid": lambda: smooth(nn.Sigmoid()),
    "tanh": lambda: smooth(nn.Tanh()),
}


def case_of(kind, seed=4, rows=3, **options):
    module = NETS[kind]().double()
    module(torch.zeros(2, 1, 6, 6, dtype=torch.float64))
    module = filled(module, seed).eval()
    x = torch.as_tensor(np.random.default_rng(seed).normal(size=(rows, 1, 6, 6)))
    return module, assay.case(assay.wrap(module, output="logits"), x, **options)


def margins(module, x, own):
    scores = module(x).detach().numpy()
    others = np.where(np.eye(scores.shape[1], dtype=bool)[own], -np.inf, scores).max(axis=1)
    return scores[np.arange(len(own)), own] - others


@pytest.mark.parametrize("kind", NETS)
def test_bounds_lie_below_every_point_of_the_ball_and_tighten_from_intervals_to_crown(kind):
    module, case = case_of(kind)
    ball, own = assay.Ball("linf", 0.1), case.prediction.argmax(axis=1)
    found = {how: certify.bound_propagation(case, ball, how=how).margin for how in HOW}
    assert (found["ibp"] <= found["crown-ibp"] + 1e-9).all()
    assert (found["crown-ibp"] <= found["crown"] + 1e-9).all()
    least = attack.pgd(case, ball, steps=20).after
    for draw in range(40):
        least = np.minimum(least, margins(module, ball.draw(case.rows, assay.Seed(draw), edge=draw % 2 == 0), own))
    assert (found["crown"] <= least).all()
    tiny = certify.bound_propagation(case, assay.Ball("linf", 1e-7), how="crown")
    assert_allclose(tiny.margin, tiny.extra["clean"], atol=1e-4)


@pytest.mark.parametrize("kind", NETS)
def test_every_value_of_the_net_stays_within_its_limits(kind):
    _, case = case_of(kind, seed=7)
    ball, graph = assay.Ball("linf", 0.3), read_layers(case)
    inputs = InputSet.of(case.rows.x, ball)
    plain = propagate_intervals(graph, inputs)
    tight = tighten_by_crown(graph, inputs, plain)
    for draw in range(20):
        values = [ball.draw(case.rows, assay.Seed(draw), edge=True)]
        for step, source in zip(graph.steps, graph.sources):
            values.append(step(*(values[one] for one in source)))
        for bounds in (plain, tight):
            for low, value, high in zip(bounds.low, values, bounds.high):
                assert (low - 1e-9 <= value).all()
                assert (value <= high + 1e-9).all()


@pytest.mark.parametrize("kind", NETS)
def test_the_slope_in_a_box_is_never_above_its_bound_for_any_layer(kind):
    _, case = case_of(kind, seed=5, target="logit", label=1)
    ball, weights = assay.Ball("linf", 0.2), torch.eye(3, dtype=torch.float64)[[1, 1, 1]]
    bound = largest_slope(read_layers(case), InputSet.of(case.rows.x, ball), weights).detach().numpy()
    for draw in range(20):
        slopes = case.gradient(ball.draw(case.rows, assay.Seed(draw))).numpy().reshape(3, -1)
        assert (np.linalg.norm(slopes, axis=1) <= bound + 1e-9).all()


@pytest.mark.parametrize("kind", ["relu", "softplus", "sigmoid", "tanh"])
def test_the_lines_of_an_activation_enclose_it_between_its_limits(kind):
    step, generator = Activation(kind, 2.0), np.random.default_rng(0)
    ends = np.sort(generator.normal(scale=3.0, size=(2, 500)), axis=0)
    ends[1, :50] = ends[0, :50] + 10.0 ** -generator.uniform(3, 12, 50)
    low, high = torch.as_tensor(ends)
    lines = lines_of(step, low, high)
    for share in np.linspace(0, 1, 41):
        z = low + share * (high - low)
        assert (lines.below * z + lines.below_at <= step(z) + 1e-9).all()
        assert (step(z) <= lines.above * z + lines.above_at + 1e-9).all()
    assert_allclose(step.slope(low), torch.autograd.functional.jvp(step, low, torch.ones_like(low))[1], atol=1e-12)


def test_the_lines_of_max_pooling_enclose_it():
    step, generator = MaxPool((2, 2), (1, 1), (1, 1), (1, 1)), np.random.default_rng(0)
    ends = np.sort(generator.normal(size=(2, 4, 2, 4, 4)), axis=0)
    low, high = torch.as_tensor(ends)
    weights = torch.as_tensor(generator.normal(size=(4, 6, 2, 5, 5)))
    through, constant = through_max_pool(step, weights, low, high)
    for _ in range(200):
        z = low + torch.as_tensor(generator.random(low.shape) ** 0.3) * (high - low)
        exact = (weights * step(z)[:, None]).flatten(2).sum(dim=2)
        assert ((through * z[:, None]).flatten(2).sum(dim=2) + constant <= exact + 1e-9).all()


def test_layers_of_another_kind_are_named():
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2, ceil_mode=True), nn.Flatten(), nn.Linear(8, 3)).double()
    case = assay.case(assay.wrap(module), torch.zeros(2, 1, 6, 6, dtype=torch.float64))
    with pytest.raises(CapabilityError, match="ceil_mode"):
        certify.bound_propagation(case, assay.Ball("linf", 0.1))
