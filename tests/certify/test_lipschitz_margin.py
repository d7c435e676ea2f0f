# SPDX-License-Identifier: Apache-2.0
"""The radius by a Lipschitz constant: below the exact distance, which is below what attacks reach."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract.nets import filled
from torch import nn

import assay
from assay import attack, certify
from assay.basics.errors import CapabilityError, InputError
from assay.engine.bounds import lipschitz
from assay.engine.bounds.lipschitz import spectral_bound
from assay.engine.bounds.read_layers import read_layers


def case_of(module, x):
    return assay.case(assay.wrap(module.double().eval(), output="logits"), torch.as_tensor(x, dtype=torch.float64))


def test_a_linear_net_has_its_exact_distance():
    module = filled(nn.Sequential(nn.Linear(4, 3)).double(), 1)
    case = case_of(module, np.random.default_rng(0).normal(size=(6, 4)))
    weight, scores, rows = module[0].weight.detach().numpy(), case.prediction, np.arange(6)
    own = scores.argmax(axis=1)
    gaps = scores[rows, own][:, None] - scores
    with np.errstate(invalid="ignore"):
        exact = np.nanmin(gaps / np.linalg.norm(weight[own][:, None] - weight, axis=2), axis=1)
    assert_allclose(certify.lipschitz_margin(case).radius, exact, rtol=1e-9)


NETS = {
    "dense": lambda: nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)),
    "one score": lambda: nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 1)),
    "softmax at the end": lambda: nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 3), nn.Sigmoid()),
}


@pytest.mark.parametrize("kind", NETS)
def test_the_radius_is_below_the_distance_on_a_dense_grid_and_below_every_attack(kind):
    module = filled(NETS[kind]().double(), 3)
    x = np.random.default_rng(1).normal(size=(5, 2))
    case = case_of(module, x)
    found = certify.lipschitz_margin(case)
    grid = np.stack(np.meshgrid(*[np.linspace(-4, 4, 400)] * 2), axis=-1).reshape(-1, 2)
    classes = case.model.gives and assay.case(case.model, torch.as_tensor(grid)).predicted(torch.as_tensor(grid))
    own = case.predicted(case.rows.x)
    for row in range(5):
        distances = np.linalg.norm(grid - x[row], axis=1)[classes != own[row]]
        assert found.radius[row] <= distances.min(initial=np.inf)
    attacked = attack.fmn(case, assay.Ball("l2", 5.0), steps=30)
    reached = np.linalg.norm((np.asarray(attacked.x) - x), axis=1)
    changed = attacked.success.astype(bool)
    assert (found.radius[changed] <= reached[changed]).all()
    assert (found.radius > 0).all()
    assert (found.extra["slope_found"] <= found.extra["slope_bound"] + 1e-9).all()
    assert (found.extra["slope_found"] > 0).all()


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(x + torch.relu(self.layer(x)))


@pytest.mark.parametrize(
    "module",
    [
        Residual(),
        nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)),
        nn.Sequential(nn.Unflatten(1, (1, 2, 2)), nn.Flatten(), nn.Linear(4, 3)),
    ],
    ids=["residual", "dense", "refused"],
)
def test_no_point_within_the_radius_has_another_class(module):
    case = case_of(filled(module.double(), 2), np.random.default_rng(3).normal(size=(4, 4)))
    if isinstance(module, nn.Sequential) and isinstance(module[0], nn.Unflatten):
        with pytest.raises(CapabilityError, match="Unflatten"):
            certify.lipschitz_margin(case)
        return
    radius, own = certify.lipschitz_margin(case).radius, case.predicted(case.rows.x)
    moves = np.random.default_rng(4).normal(size=(200, 4, 4))
    moves *= radius[None, :, None] / np.linalg.norm(moves, axis=2, keepdims=True)
    for move in moves:
        assert (case.predicted(case.rows.x + torch.as_tensor(move)) == own).all()


CONVOLUTIONS = [
    nn.Conv2d(2, 3, 3),
    nn.Conv2d(2, 3, 3, padding=1),
    nn.Conv2d(2, 3, 3, stride=2, padding=1),
    nn.Conv2d(2, 4, 2, groups=2),
    nn.Conv2d(2, 3, 2, dilation=2),
    nn.Conv1d(2, 3, 3, padding=1),
]


@pytest.mark.parametrize("layer", CONVOLUTIONS, ids=repr)
def test_the_norm_of_a_convolution_is_bounded_from_above_and_not_by_much(layer, monkeypatch):
    shape = (2, 6) if isinstance(layer, nn.Conv1d) else (2, 6, 6)
    module = nn.Sequential(layer, nn.Flatten(), nn.LazyLinear(3)).double()
    module(torch.zeros(1, *shape, dtype=torch.float64))
    module = filled(module, 5)
    case = case_of(module, np.random.default_rng(0).normal(size=(2, *shape)))
    step = read_layers(case).steps[0]
    exact = spectral_bound(step, case.rows.x[:1])
    monkeypatch.setattr(lipschitz, "MAX_MATRIX", 0)
    bound = spectral_bound(step, case.rows.x[:1])
    assert exact <= bound * (1 + 1e-9)
    assert bound <= 2.5 * exact


def test_wrong_options_and_decisions_by_a_threshold_are_refused():
    case = case_of(filled(NETS["dense"]().double(), 0), np.ones((2, 2)))
    with pytest.raises(InputError, match="draws"):
        certify.lipschitz_margin(case, draws=-1)
    _, before = case.prediction, case.model.meter.forwards
    certify.lipschitz_margin(case)
    assert case.model.meter.forwards == before


def test_an_activation_counts_with_its_largest_slope():
    torch.manual_seed(0)
    first, last = nn.Linear(4, 6), nn.Linear(6, 2)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    gap = torch.linalg.vector_norm(last.weight[0] - last.weight[1]).item()
    norm = torch.linalg.matrix_norm(first.weight, 2).item()
    for activation, slope in ((nn.Sigmoid(), 0.25), (nn.Tanh(), 1.0), (nn.ReLU(), 1.0)):
        case = case_of(nn.Sequential(first, activation, last), x)
        margins = np.abs(np.diff(case.prediction, axis=1))[:, 0]
        radius = certify.lipschitz_margin(case).bounds["radius"]
        assert_allclose(radius, margins / (gap * norm * slope), rtol=1e-5)
