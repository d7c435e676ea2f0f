"""Globally robust training: what is certified lies below the exact truth, and that below what attacks leave."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.datasets import load_digits
from tests.repair.nets import case as digit_rows
from tests.repair.nets import digits
from torch import nn

import assay
from assay import attack, certify, repair
from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.engine.bounds.lipschitz import score_slopes
from assay.engine.bounds.read_layers import read_graph
from assay.engine.bounds.trained_slopes import TrainedSlopes
from assay.engine.performance.change_of_training import CERTIFIED, PLAIN, ROBUST
from assay.engine.retraining.fine_tuning import fine_tune
from assay.repair.gloro import with_bottom

BALL = assay.Ball("l2", 0.5)


def repaired(explained: int = 2, **given: Any) -> Any:
    options = {"epochs": 15, "rate": 0.01, "steps": 6, "rows": 60, "ball": BALL, **given}
    return repair.gloro(digit_rows(explained), **digits()[1], **options)


@cache
def short() -> Any:
    return repaired()


def test_the_certified_accuracy_rises_from_nearly_nothing_and_plain_fine_tuning_does_not_raise_it() -> None:
    found = short()
    assert found.before[CERTIFIED] < 0.05
    assert found.after[CERTIFIED] > 0.25
    assert found.after[CERTIFIED + PLAIN] < 0.05
    assert found.after[CERTIFIED] <= found.after[ROBUST] <= found.after["accuracy"] + 0.15
    assert found.after["accuracy"] > 0.85
    assert found.after[f"{CERTIFIED}, low"] < found.after[CERTIFIED] < found.after[f"{CERTIFIED}, high"]
    assert "a Euclidean distance of 0.5" in found.change


def test_no_certified_point_is_attacked() -> None:
    x = digits()[1]["held_out"][0]
    rows = assay.case(short().model, x)
    radius = certify.lipschitz_margin(rows).radius
    attacked = attack.pgd(rows, BALL, steps=40, restarts=2)
    assert not (attacked.success & (radius > 0.5)).any()
    nearest = attack.fmn(rows, BALL, steps=40).extra["minimal_distance"]
    assert (radius <= nearest).all()
    assert attacked.success.any()
    assert (radius > 0.5).any()


def test_the_same_seed_gives_the_same_bytes_and_the_callers_net_stays() -> None:
    kept = [weight.clone() for weight in digits()[2].parameters()]
    one, again = (repaired(epochs=1, steps=1, rows=2) for _ in range(2))
    assert one.model.fingerprint == again.model.fingerprint != digit_rows().model.fingerprint
    assert one.after == again.after
    assert all(torch.equal(a, b) for a, b in zip(kept, digits()[2].parameters()))
    assert one.baseline.fingerprint != one.model.fingerprint


def exact_distances(net: Any, x: Any) -> Any:
    """The distance of the nearest tie of the predicted class, over all patterns of a hidden layer of rectifiers.

    Where the pattern is fixed the net is affine; the nearest point of that polyhedron on the tie is a small quadratic
    program.
    """
    weight, bias, last, add = (one.detach().numpy() for one in net.parameters())
    own = net(torch.as_tensor(x)).argmax(dim=1).numpy()
    found = np.full(len(x), np.inf)
    for row, pattern in product(range(len(x)), product((0.0, 1.0), repeat=len(bias))):
        on = np.array(pattern)
        sign, slope, level = 2 * on - 1, last @ (on[:, None] * weight), last @ (on * bias) + add
        for other in set(range(len(add))) - {int(own[row])}:
            gap, at = slope[other] - slope[own[row]], level[other] - level[own[row]]
            limits = [
                {
                    "type": "ineq",
                    "fun": lambda p, s=sign: s * (weight @ p + bias),
                    "jac": lambda p, s=sign: s[:, None] * weight,
                },
                {"type": "ineq", "fun": lambda p, g=gap, a=at: g @ p + a, "jac": lambda p, g=gap: g},
            ]
            centre = x[row]
            done = minimize(
                lambda p, c=centre: ((p - c) ** 2).sum(),
                centre,
                jac=lambda p, c=centre: 2 * (p - c),
                method="SLSQP",
                constraints=limits,
                options={"maxiter": 60},
            )
            feasible = (sign * (weight @ done.x + bias) > -1e-7).all() and gap @ done.x + at > -1e-7
            if feasible:
                found[row] = min(found[row], float(np.sqrt(done.fun)))
    return found


def test_on_a_small_net_the_certified_radius_is_below_the_exact_distance_which_is_below_every_attack() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 2))
    y = (x[:, 0] + np.abs(x[:, 1]) > 0.6).astype(int) + (x[:, 0] > 1)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3)).double()
    model = assay.model.torch(net.eval(), gives="logits")
    asked = assay.case(model, x[:6])
    found = repair.gloro(
        asked,
        train=(x, y),
        held_out=(x[:20], y[:20]),
        ball=assay.Ball("l2", 0.1),
        epochs=20,
        rate=0.02,
        steps=3,
        rows=4,
    )
    rows = assay.case(found.model, x[:6])
    exact = exact_distances(found.model.net, x[:6])
    radius = certify.lipschitz_margin(rows).radius
    nearest = attack.fmn(rows, assay.Ball("l2", 5.0), steps=100).extra["minimal_distance"]
    assert np.isfinite(exact).all()
    assert (radius <= exact + 1e-9).all()
    assert (exact <= nearest + 1e-6).all()
    assert (radius > 0.2 * exact).any()  # the bound is not empty


NETS = {
    "dense": lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 7), nn.Tanh(), nn.Linear(7, 3)),
    "one score": lambda: nn.Sequential(nn.Linear(6, 5), nn.Sigmoid(), nn.Linear(5, 1)),
    "pooled": lambda: nn.Sequential(
        nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2, 1), nn.Flatten(), nn.Linear(12, 3)
    ),
    "activation at the end": lambda: nn.Sequential(nn.Linear(6, 5), nn.ReLU()),
    "residual": lambda: Residual(),
}


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Any) -> Any:
        return self.head(x + torch.relu(self.layer(x)))


@pytest.mark.parametrize("kind", NETS)
def test_power_iteration_reaches_the_bounds_of_the_certificate_from_below_and_follows_the_weights(kind: str) -> None:
    torch.manual_seed(1)
    net = NETS[kind]().double().eval()
    shape = (1, 1, 4, 4) if kind == "pooled" else (1, 6)
    example = torch.randn(shape, dtype=torch.float64)
    slopes = TrainedSlopes(net, example, "net", Seed(0))
    graph = read_graph(net, example, "net")
    for _ in range(2):
        bound = score_slopes(graph, example)
        early = slopes().detach().numpy()
        for _ in range(300):
            late = slopes().detach().numpy()
        assert (early <= bound + 1e-9).all()
        np.testing.assert_allclose(late, bound, rtol=1e-6, atol=1e-12)
        with torch.no_grad():
            for weight in net.parameters():
                weight.mul_(1.7)
    net.requires_grad_(True)
    grads = torch.autograd.grad(
        slopes().sum(), [w for n, w in net.named_parameters() if "weight" in n], allow_unused=True
    )
    assert any(one is not None and bool((one != 0).any()) for one in grads)


def test_the_further_score_is_the_highest_that_another_class_can_reach() -> None:
    scores, slopes = torch.tensor([[3.0, 1.0, 0.0], [0.0, 0.5, 0.4]]), torch.tensor([[0.0, 2, 9], [2, 0, 1], [9, 1, 0]])
    found = with_bottom(scores, slopes, 0.5)
    assert found[:, 3].tolist() == [4.5, 1.0]  # 0 + 0.5 · 9 is above 1 + 0.5 · 2
    assert torch.equal(found[:, :3], scores)
    single = with_bottom(torch.tensor([[2.0], [-1.0]]), torch.tensor([[4.0]]), 0.25)
    assert single.tolist() == [[0.0, 2.0, 1.0], [0.0, -1.0, 0.0]]


def test_impossible_options_and_nets_that_cannot_be_certified_are_refused_before_training() -> None:
    for wrong in ({"reach": 0.0}, {"epochs": 0}, {"train_rows": 0}, {"rows": 0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            repaired(**wrong)
    with pytest.raises(InputError, match="l0"):
        repaired(ball=assay.Ball("l0", 3, 0.0, 1.0))
    odd = assay.case(
        assay.model.torch(nn.Sequential(nn.Linear(64, 10), nn.GELU()).eval(), gives="logits"), digit_rows().rows.x
    )
    with pytest.raises(CapabilityError, match="GELU"):
        repair.gloro(odd, **digits()[1], ball=BALL)


@pytest.mark.judge
def test_on_digits_at_least_60_percent_are_certified_at_half_a_unit_and_none_of_them_is_attacked() -> None:
    x, y = load_digits(return_X_y=True)
    x, order = (x / 16).astype("float32"), np.random.default_rng(0).permutation(len(x))
    x, y = x[order], y[order]
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))

    def loss(net: Any, x: Any, y: Any) -> Any:
        return nn.functional.cross_entropy(net(x), y)

    fine_tune(net, torch.tensor(x[:1200]), torch.tensor(y[:1200]), loss, epochs=20, rate=3e-3, seed=Seed(0))
    asked = assay.case(assay.model.torch(net.eval(), gives="logits"), x[1200:1210])
    train, test = (x[:1200], y[:1200]), (x[1200:], y[1200:])
    found = repair.gloro(asked, train=train, held_out=test, ball=BALL, rows=597, steps=40)
    assert found.after[CERTIFIED] >= 0.6
    assert found.after["accuracy"] >= 0.94
    rows = assay.case(found.model, x[1200:])
    attacked = attack.auto(rows, BALL, labels=y[1200:].tolist(), queries=50)
    certified = (certify.lipschitz_margin(rows).radius > 0.5) & (rows.prediction.argmax(axis=1) == y[1200:])
    assert not (certified & attacked.success).any()
