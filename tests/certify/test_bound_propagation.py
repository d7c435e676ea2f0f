# SPDX-License-Identifier: Apache-2.0
"""Certified margins of rectifier nets: below the exact minimum, which is below what an attack reaches."""

from itertools import product

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.optimize import linprog
from tests.contract.nets import filled
from torch import nn

import assay
from assay import attack, certify
from assay.basics.errors import CapabilityError
from assay.engine.bounds.propagation import InputSet, largest_slope, propagate_intervals, tighten_by_crown
from assay.engine.bounds.read_layers import read_layers

HOW = ("ibp", "crown-ibp", "crown")


def small_net(seed, outputs=3):
    return filled(
        nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, outputs)).double(), seed
    )


def picture_net(seed=0):
    module = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1, stride=2),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Conv2d(3, 2, 2),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(2, 3),
    ).double()
    return filled(module, seed).eval()


def case_of(module, x, **options):
    return assay.case(assay.wrap(module.eval()), torch.as_tensor(x), **options)


def exact_margin(module, x, radius):
    """The minimum over the box by one linear programme for each pattern of the rectifiers."""
    layers = [
        (layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in module if hasattr(layer, "weight")
    ]
    label = int(module(torch.as_tensor(x)[None]).argmax())
    least = np.inf
    box = [(v - radius, v + radius) for v in x]
    for pattern in product((0, 1), repeat=7):
        slope, offset, limits, edges = np.eye(len(x)), np.zeros(len(x)), [], []
        for place, (weight, bias) in enumerate(layers[:-1]):
            slope, offset = weight @ slope, weight @ offset + bias
            on = np.array(pattern[:4] if place == 0 else pattern[4:], dtype=float)
            sign = 1 - 2 * on  # on: z ≥ 0, off: z ≤ 0
            limits.append(sign[:, None] * slope)
            edges.append(-sign * offset)
            slope, offset = on[:, None] * slope, on * offset
        slope, offset = layers[-1][0] @ slope, layers[-1][0] @ offset + layers[-1][1]
        for other in range(len(offset)):
            if other != label:
                cost = slope[label] - slope[other]
                found = linprog(cost, np.concatenate(limits), np.concatenate(edges), bounds=box, method="highs")
                if found.success:
                    least = min(least, found.fun + offset[label] - offset[other])
    return least


@pytest.mark.parametrize(("seed", "radius"), [(0, 0.05), (1, 0.3)])
def test_certified_margins_are_below_the_exact_minimum_which_is_below_the_attack(seed, radius):
    x = np.random.default_rng(seed).normal(size=(1, 2))
    module = small_net(seed)
    case, ball = case_of(module, x), assay.Ball("linf", radius)
    exact = np.array([exact_margin(module, row, radius) for row in x])
    found = {how: certify.bound_propagation(case, ball, how=how).margin for how in HOW}
    attacked = attack.pgd(case, ball, steps=30).after
    assert (found["ibp"] <= found["crown-ibp"] + 1e-9).all()
    assert (found["crown-ibp"] <= found["crown"] + 1e-9).all()
    assert (found["crown"] <= exact + 1e-9).all()
    assert (exact <= attacked + 1e-9).all()
    if radius == 0.05:
        assert_allclose(found["crown"], exact, atol=0.4 * np.abs(exact).max())  # and it is not vacuous


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(
    "ball",
    [
        assay.Ball("linf", 0.2),
        assay.Ball("l2", 0.5),
        assay.Ball("l1", 0.7),
        assay.Ball("linf", 0.4, -0.5, 0.6),
        assay.Ball("l2", 0.4, scale=(1.0, 0.0)),
    ],
    ids=repr,
)
def test_no_input_in_the_ball_has_a_smaller_margin(ball, how):
    x = np.random.default_rng(3).uniform(-0.5, 0.6, size=(4, 2))
    module = small_net(7)
    case = case_of(module, x)
    found = certify.bound_propagation(case, ball, how=how)
    for draw in range(80):
        points = ball.draw(case.rows, assay.Seed(draw), edge=draw % 2 == 0)
        scores = module(points).detach().numpy()
        own = case.prediction.argmax(axis=1)
        others = np.where(np.eye(3, dtype=bool)[own], -np.inf, scores).max(axis=1)
        assert (found.margin <= scores[np.arange(4), own] - others).all()


def test_an_l2_ball_is_certified_further_than_the_box_around_it():
    module = filled(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).double(), 2)
    case = case_of(module, np.random.default_rng(0).normal(size=(4, 6)))
    box = certify.bound_propagation(case, assay.Ball("linf", 0.2)).margin
    assert (certify.bound_propagation(case, assay.Ball("l2", 0.2)).margin > box).all()


def test_a_linear_net_is_bounded_exactly_in_every_norm():
    module = filled(nn.Sequential(nn.Linear(3, 2)).double(), 1)
    x = np.random.default_rng(1).normal(size=(5, 3))
    case = case_of(module, x)
    gap = np.diff(module[0].weight.detach().numpy(), axis=0)[0]
    for norm, dual in (("linf", np.abs(gap).sum()), ("l2", np.linalg.norm(gap)), ("l1", np.abs(gap).max())):
        found = certify.bound_propagation(case, assay.Ball(norm, 0.3))
        assert_allclose(found.margin, found.extra["clean"] - 0.3 * dual, atol=1e-9)
        assert found.guarantee == "exact"


def test_images_are_bounded_through_convolutions_norms_and_pooling():
    x = np.random.default_rng(2).normal(size=(3, 1, 6, 6))
    module = picture_net(4)
    module[1].running_mean.copy_(torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64))
    module[1].running_var.copy_(torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64))
    case, ball = case_of(module, x), assay.Ball("linf", 0.05)
    found = {how: certify.bound_propagation(case, ball, how=how) for how in HOW}
    own = case.prediction.argmax(axis=1)
    for draw in range(60):
        scores = module(ball.draw(case.rows, assay.Seed(draw), edge=True)).detach().numpy()
        others = np.where(np.eye(3, dtype=bool)[own], -np.inf, scores).max(axis=1)
        for one in found.values():
            assert (one.margin <= scores[np.arange(3), own] - others).all()
    assert (found["ibp"].margin <= found["crown"].margin).all()
    assert (found["ibp"].margin < found["crown"].margin).any()


def test_a_net_of_one_score_is_bounded_by_the_score():
    module = small_net(3, outputs=1)
    case = case_of(module, np.random.default_rng(5).normal(size=(6, 2)), target="logit", label=1)
    found = certify.bound_propagation(case, assay.Ball("linf", 1e-6))
    assert_allclose(found.margin, np.abs(case.prediction[:, 0]), atol=1e-3)
    assert_allclose(found.extra["clean"], np.abs(case.prediction[:, 0]))


def test_a_net_written_as_functions_is_read_from_its_trace():
    class Written(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 5), nn.Linear(5, 3)

        def forward(self, x):
            return self.second(torch.relu(self.first(torch.flatten(x, 1))))

    module = filled(Written().double(), 0)
    case = case_of(module, np.random.default_rng(0).normal(size=(2, 4)))
    layers = nn.Sequential(module.first, nn.ReLU(), module.second)
    ball = assay.Ball("linf", 0.1)
    same = certify.bound_propagation(case_of(layers, case.rows.x.numpy()), ball)
    assert_allclose(certify.bound_propagation(case, ball).margin, same.margin, atol=1e-12)


def test_hidden_bounds_hold_and_crown_tightens_them():
    x = np.random.default_rng(6).normal(size=(3, 2))
    module, ball = small_net(9), assay.Ball("linf", 0.4)
    case = case_of(module, x)
    chain, inputs = read_layers(case), InputSet.of(case.rows.x, ball)
    plain = propagate_intervals(chain, inputs)
    tight = tighten_by_crown(chain, inputs, plain)
    narrower = 0
    for place in range(len(chain.steps) + 1):
        for draw in range(40):
            z = ball.draw(case.rows, assay.Seed(draw), edge=True)
            for layer in list(module)[:place]:
                z = layer(z)
            for bounds in (plain, tight):
                assert (bounds.low[place] - 1e-9 <= z).all()
                assert (z <= bounds.high[place] + 1e-9).all()
        assert (tight.low[place] >= plain.low[place] - 1e-12).all()
        narrower += int((tight.high[place] < plain.high[place] - 1e-6).sum())
    assert narrower > 0


def test_the_slope_in_a_box_is_never_above_its_bound():
    x = np.random.default_rng(8).normal(size=(3, 2))
    case, ball = case_of(small_net(5), x, target="logit", label=1), assay.Ball("linf", 0.3)
    weights = torch.eye(3, dtype=torch.float64)[[1, 1, 1]]
    bound = largest_slope(read_layers(case), InputSet.of(case.rows.x, ball), weights).numpy()
    for draw in range(60):
        slopes = case.gradient(ball.draw(case.rows, assay.Seed(draw))).numpy()
        assert (np.linalg.norm(slopes, axis=1) <= bound + 1e-9).all()
    tiny = largest_slope(read_layers(case), InputSet.of(case.rows.x, assay.Ball("linf", 1e-9)), weights).numpy()
    assert_allclose(tiny, np.linalg.norm(case.gradient(case.rows.x).numpy(), axis=1), rtol=1e-9)


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (nn.Sequential(nn.Linear(4, 5), nn.SiLU(), nn.Linear(5, 3)), "SiLU"),
        (nn.Sequential(nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 3)), "GELU"),
    ],
    ids=["silu", "gelu"],
)
def test_a_net_with_another_activation_is_refused_by_name(module, why):
    case = case_of(module.double(), np.ones((2, 4)))
    with pytest.raises(CapabilityError, match=why):
        certify.bound_propagation(case, assay.Ball("linf", 0.1))


def test_what_lies_outside_the_net_is_noticed():
    module = filled(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).double(), 0).eval()
    model = assay.wrap(module, preprocess=lambda x: 3 * x + 1)
    with pytest.raises(CapabilityError, match="preprocess"):
        certify.bound_propagation(assay.case(model, torch.ones(2, 4, dtype=torch.float64)), assay.Ball("linf", 0.1))


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return x * self.layer(x)


def test_products_and_balls_without_limits_are_refused():
    case = case_of(filled(Gated().double(), 0), np.random.default_rng(0).normal(size=(2, 4)))
    with pytest.raises(CapabilityError, match="mul"):
        certify.bound_propagation(case, assay.Ball("linf", 0.1))
    with pytest.raises(CapabilityError, match="l0"):
        certify.bound_propagation(case, assay.Ball("l0", 1, 0.0, 1.0))


def test_no_evaluation_of_the_model_is_spent():
    case = case_of(small_net(0), np.ones((2, 2)))
    _, before = case.prediction, case.model.meter.forwards
    certify.bound_propagation(case, assay.Ball("linf", 0.1))
    assert case.model.meter.forwards == before
