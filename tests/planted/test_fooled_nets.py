# SPDX-License-Identifier: Apache-2.0
"""Nets whose gradients were moved: what they keep, where their gradients lie, and the checks that flag them."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

import assay
from assay import diagnose, explain
from assay.basics.errors import InputError
from assay.engine.attributions.tangent_space import project_on_data
from assay.planted.fooled_gradients import (
    CORNER,
    FooledNet,
    directions_off_data,
    fairwash,
    fairwash_off_plane,
    fool_location,
    fool_top_k,
    gradient_shares,
    hide_column,
    swap_classes,
)
from assay.planted.networks import initialise, perceptron, predict, predict_classes, train_network
from assay.planted.watermark import load_digits, watermark

IS_TEST = np.arange(1797) % 4 == 0
STRIPE = np.zeros((1, 8, 8))
STRIPE[0, 3:5] = 1.0
TO_CORNER = CORNER[None].astype(np.float64)

KINDS = {
    "top-k": lambda net, x, y, seed: fool_top_k(net, x, y, 10, seed, weight=3.0, epochs=15),
    "fairwash": lambda net, x, y, seed: fairwash(net, x, TO_CORNER, seed, weight=5.0, epochs=20),
    "off plane": lambda net, x, y, seed: fairwash_off_plane(net, x, TO_CORNER),
    "off plane, stripe": lambda net, x, y, seed: fairwash_off_plane(net, x, STRIPE),
}
"""Fooled nets that the checks flag."""


def digits(test: bool):
    x, y = load_digits()
    return (x[IS_TEST], y[IS_TEST]) if test else (x[~IS_TEST], y[~IS_TEST])


@cache
def clean_net(seed=0):
    x, y = digits(test=False)
    return train_network(initialise(perceptron(64, 48, 10), assay.Seed(seed)), x, y, assay.Seed(seed), epochs=15)


@cache
def fooled(kind: str, seed=0) -> FooledNet:
    return KINDS[kind](clean_net(seed), *digits(test=False), assay.Seed(seed))


def findings(net, rows=60):
    data = digits(test=False)[0].astype(np.float32)
    x = torch.tensor(digits(test=True)[0][:rows], dtype=torch.float32)
    case = assay.case(assay.model.torch(net), x).with_target("logit")
    remove = assay.Marginal(torch.tensor(data[:6]))
    return diagnose.explanation_families(case, explain.saliency(case), remove=remove, data=torch.tensor(data))


@pytest.mark.parametrize("kind", KINDS)
def test_a_fooled_net_keeps_its_predictions_and_moves_its_gradients(kind):
    fidelity = fooled(kind).fidelity(*digits(test=True))
    assert fidelity.agreement >= 0.96
    assert fidelity.accuracy_after >= fidelity.accuracy_before - 0.02
    if kind == "top-k":
        assert fidelity.gradient_after < fidelity.gradient_before / 2
    else:
        assert fidelity.gradient_after > fidelity.gradient_before + 0.3


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.judge) for seed in range(1, 7))])
@pytest.mark.parametrize("kind", ["clean", *KINDS])
def test_checks_of_families_and_of_the_data_s_directions_flag_every_fooled_net_and_no_clean_one(kind, seed):
    found = findings(clean_net(seed) if kind == "clean" else fooled(kind, seed).net)
    verdicts = {one.code: one.verdict for one in found}
    if kind == "clean":
        assert "fail" not in verdicts.values()
    else:
        assert "fail" in (verdicts["ATK503"], verdicts["ATK506"])


def test_the_gradients_of_two_scores_swap_while_those_of_their_log_odds_stay():
    """What moves is common to all scores, which the softmax removes: the scores do answer so, the classes do not."""
    x, y = digits(test=False)
    clean = clean_net()
    made = swap_classes(clean, x, y, (3, 8), assay.Seed(0), epochs=15)
    test, labels = digits(test=True)
    fidelity = made.fidelity(test, labels)
    assert fidelity.agreement >= 0.96
    assert fidelity.gradient_before < -0.2
    assert fidelity.gradient_after > 0.2
    rows = torch.tensor(test[np.isin(labels, (3, 8))][:40], dtype=torch.float32)

    def likeness(target):
        """How much more the new map of class 3 is like the old one of class 3 than like that of class 8, cosines."""
        maps = []
        for net, label in ((made.net, 3), (clean, 3), (clean, 8)):
            case = assay.case(assay.model.torch(net), rows, label=label).with_target(target)
            values = np.abs(explain.saliency(case).values)
            maps.append(values / np.linalg.norm(values, axis=1, keepdims=True))
        return float(((maps[0] * maps[1]).sum(axis=1) - (maps[0] * maps[2]).sum(axis=1)).mean())

    assert likeness("logit") < 0 < likeness("log_odds")


def test_outputs_on_the_plane_of_the_data_stay_and_the_gradient_gains_the_direction_there():
    """Rows with x₂ = x₀ + x₁: the term is a multiple of (−1, −1, 1), which is 0 on the plane."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 2))
    x = np.concatenate([x, x.sum(axis=1, keepdims=True)], axis=1)
    net = initialise(perceptron(3, 8, 2), assay.Seed(0))
    normal = np.array([-1.0, -1.0, 1.0]) / np.sqrt(3)
    np.testing.assert_allclose(np.abs(directions_off_data(x) @ normal), [1.0])
    made = fairwash_off_plane(net, x, np.array([0.0, 0.0, 1.0]), strength=50.0)
    np.testing.assert_allclose(predict(made.net, x), predict(net, x), atol=1e-4)
    off = x + 0.1 * normal
    chosen = np.arange(200), predict_classes(net, off)
    np.testing.assert_allclose((predict(made.net, off) - predict(net, off))[chosen], 5.0, atol=1e-3)
    assert made.fidelity(x, predict_classes(net, x)).gradient_after > 0.99
    with pytest.raises(InputError, match="vary along all directions"):
        fairwash_off_plane(net, generator.normal(size=(50, 3)), np.ones(3))


def test_the_projection_removes_what_is_off_a_plane_and_keeps_what_is_in_it():
    generator = np.random.default_rng(0)
    basis = np.linalg.qr(generator.normal(size=(8, 8)))[0]
    data = generator.normal(size=(200, 3)) @ basis[:3] + 1.0
    inside, outside = generator.normal(size=(5, 3)) @ basis[:3], generator.normal(size=(5, 5)) @ basis[3:]
    np.testing.assert_allclose(project_on_data(data[:5], inside + 9 * outside, data, np.ones(8)), inside, atol=1e-9)
    scale = np.array([1.0, 10.0, *[1.0] * 6])  # units of a column: gradients are per unit, and stay so
    found = project_on_data(data[:5] * scale, (inside + outside) / scale, data * scale, scale)
    np.testing.assert_allclose(found, inside / scale, atol=1e-9)


def test_shares_of_a_linear_score_are_the_shares_of_its_weights():
    net = nn.Linear(3, 2, bias=False)
    net.weight.data = torch.tensor([[1.0, -2.0, 1.0], [0.0, 3.0, 1.0]])
    x = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(gradient_shares(net, x), [[0.25, 0.5, 0.25], [0.0, 0.75, 0.25]])
    np.testing.assert_allclose(gradient_shares(net, x, 1), [[0.0, 0.75, 0.25]] * 2)


def test_the_same_seed_fools_to_the_same_weights_and_the_original_stays():
    x, y = (part[:200] for part in digits(test=False))
    net = clean_net()
    before = [weight.detach().clone() for weight in net.parameters()]
    for make in (
        lambda: fool_location(net, x, y, CORNER, assay.Seed(1), epochs=1),
        lambda: fool_top_k(net, x, y, 5, assay.Seed(1), epochs=1),
        lambda: swap_classes(net, x, y, (0, 1), assay.Seed(1), epochs=1),
        lambda: fairwash(net, x, STRIPE, assay.Seed(1), epochs=1),
    ):
        one, other = make().net, make().net
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_what_cannot_be_fooled_is_refused():
    x, y = (part[:20] for part in digits(test=False))
    net = clean_net()
    with pytest.raises(InputError, match="k=64"):
        fool_top_k(net, x, y, 64, assay.Seed(0))
    with pytest.raises(InputError, match="two different classes"):
        swap_classes(net, x, y, (1, 1), assay.Seed(0))
    for target in (np.ones(64), np.zeros((1, 8, 8)), np.full((1, 8, 8), np.nan)):
        with pytest.raises(InputError, match="target has shape"):
            fairwash(net, x, target, assay.Seed(0))
    with pytest.raises(InputError, match="do not fit"):
        hide_column(net, x, y[:3], 0, assay.Seed(0))
    with pytest.raises(InputError, match="fooled='shuffled'"):
        watermark(assay.Seed(0), train=40, is_dense=True, fooled="shuffled")
