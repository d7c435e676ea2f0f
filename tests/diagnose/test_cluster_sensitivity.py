"""ROB103: whether the clusters that a class needs stay the same within a ball; slopes beside finite differences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

import assay
from assay import Constant, diagnose
from assay.basics.errors import CapabilityError, InputError
from assay.engine.audit_inputs import AuditInputs, call_on_inputs
from assay.engine.gibbs.cluster_game import ClusterGame, with_beta
from assay.engine.gibbs.moved_posterior import MovedPosterior, attack_clusters
from assay.model.adapters.function import function
from assay.nouns.catalogue import Cost, find

ZERO = Constant(0.0)
BALL = assay.Ball("linf", 0.1)


class Switch(nn.Module):
    """Reads part 1 where part 0 is above 1, part 2 below, nothing without part 0; ``sharp`` is the switch's slope."""

    def __init__(self, sharp: float) -> None:
        super().__init__()
        self.sharp = nn.Parameter(torch.tensor(sharp, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        share = torch.sigmoid(self.sharp * (x[:, 0] - 1))
        score = 8 * torch.sigmoid(30 * (x[:, 0] - 0.5)) * (share * x[:, 1] + (1 - share) * x[:, 2]) - 4
        return torch.stack([-score, score], dim=1)


def switching(sharp: float, rows: int = 8, at: float = 1.0) -> Any:
    x = torch.ones(rows, 6, dtype=torch.float64)
    x[:, 0] = at + torch.linspace(-0.02, 0.02, rows)
    return assay.case(assay.wrap(Switch(sharp)), x, label=1)


def tell(case: Any, ball: Any = BALL, **options: Any) -> Any:
    return diagnose.cluster_sensitivity(case, ball, remove=ZERO, **options)[0]


def test_a_model_that_switches_what_it_reads_within_the_ball_fails() -> None:
    found = tell(switching(200.0, rows=16), fidelity=0.95)
    assert found.verdict == "fail"
    assert found.estimate > 0.6
    assert set(found.rows) == set(switching(200.0, rows=16).rows.ids)
    assert found.affected == 1.0
    assert found.null is not None
    assert found.null <= found.estimate
    assert found.evidence["bits"] > 1


def test_one_that_reads_the_same_clusters_passes_and_a_constant_one_says_nothing() -> None:
    found = tell(switching(200.0, rows=16, at=1.4), fidelity=0.95)
    assert found.verdict == "pass"
    assert found.estimate < 0.1
    constant = function(lambda x: np.tile([[0.3, 0.7]], (len(x), 1)), name="constant", gives="probabilities")
    silent = tell(assay.case(constant, np.ones((16, 6)), label=1))
    assert silent.verdict == "pass"
    assert silent.estimate == 0.0
    assert_allclose(silent.evidence["bits"], 0.0, atol=1e-6)


def test_a_robust_model_never_fails() -> None:
    verdicts = [
        tell(assay.case(assay.wrap(_linear(seed)), _rows(seed), label=1, seed=seed), steps=2).verdict
        for seed in range(8)
    ]
    assert verdicts.count("fail") == 0


def _linear(seed: int) -> Any:
    net = nn.Linear(6, 2).double()
    with torch.no_grad():
        net.weight.copy_(torch.as_tensor(np.random.default_rng(seed).normal(size=(2, 6))))
    return net


def _rows(seed: int) -> torch.Tensor:
    return torch.as_tensor(np.random.default_rng(seed).uniform(0.5, 1.5, (16, 6)))


def moved_case(seed: int = 0, remove: Any = ZERO) -> MovedPosterior:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    case = assay.case(assay.wrap(net), torch.as_tensor(np.random.default_rng(seed).normal(size=(2, 6))), label=1)
    game = ClusterGame.of(case, remove, 8, 0.1, 64)
    found = MovedPosterior.of(game, np.arange(2), remove, 0.1, 64, 0.9)
    return replace(found, own=with_beta(found.own, np.array([20.0, 50.0])))


@pytest.mark.parametrize("remove", [ZERO, assay.Marginal(np.array([[0.3] * 6, [-1.0] * 6]))])
def test_the_slope_is_that_of_finite_differences(remove: Any) -> None:
    moved = moved_case(1, remove)
    rows = moved.game.worth.case.rows.x
    x = rows + torch.as_tensor(np.random.default_rng(2).normal(scale=0.2, size=(2, 6)))
    here = moved.at(x)
    slope = here.slope()
    for column in range(6):
        step = torch.zeros_like(x)
        step[:, column] = 1e-5
        expected = (moved.at(x + step).distance - moved.at(x - step).distance) / 2e-5
        assert_allclose(slope[:, column], expected, rtol=1e-4, atol=1e-7)
    assert np.abs(slope).max() > 1e-3


def test_an_attack_on_one_cluster_moves_only_that_cluster() -> None:
    case = switching(0.0, rows=3, at=2.0)
    moved = MovedPosterior.of(ClusterGame.of(case, ZERO, 8, 0.1, 64), np.arange(3), ZERO, 0.1, 64, 0.9)
    fall, changed = attack_clusters(moved, assay.Ball("linf", 0.2), steps=4)
    score = lambda lost: 8 * (1 - 0.5 * lost) - 4  # noqa: E731  # a formula
    expected = -np.logaddexp(0, -2 * score(0.0)) + np.logaddexp(0, -2 * score(0.2))
    assert_allclose(fall[:, 1:3], expected, rtol=1e-6)
    assert_allclose(fall[:, 3:], 0.0, atol=1e-12)
    assert not changed.any()


def test_the_cost_is_at_most_what_is_declared_and_nothing_is_needed_of_gradients() -> None:
    case = switching(5.0)
    inputs = AuditInputs(case.model, case.rows.x, ball=BALL, explained=case, remove=ZERO)
    method = find("diagnose", "cluster_sensitivity")
    _ = case.output, case.prediction, inputs.case.prediction
    meter = case.model.meter
    before = meter.requested, meter.backwards
    (found,) = call_on_inputs(method, inputs)
    spent = Cost(meter.requested - before[0], meter.backwards - before[1])
    assert method.audit_cost is not None
    most = method.audit_cost(inputs)
    assert 0 < spent.forwards <= most.forwards
    assert 0 < spent.backwards <= most.backwards
    assert found.code == "ROB103"
    smooth = function(lambda x: np.stack([1 - x[:, 0], x[:, 0]], axis=1), name="plain", gives="probabilities")
    assert tell(assay.case(smooth, np.full((4, 3), 0.5), label=1)).n == 4


def test_a_wide_table_is_not_applicable_instead_of_an_error() -> None:
    smooth = function(lambda x: np.stack([1 - x[:, 0], x[:, 0]], axis=1), name="wide", gives="probabilities")
    found = tell(assay.case(smooth, np.full((4, 40), 0.5), label=1), budget=64)
    assert found.verdict == "not applicable"
    assert "40 features" in found.claim


def test_wrong_options_and_words_are_refused() -> None:
    for options in ({"rows": 0}, {"draws": 0}, {"steps": 0}, {"prior": 1.0}, {"clusters": 1}):
        with pytest.raises(InputError):
            tell(switching(1.0), **options)
    regression = assay.examples.linear((1.0, 2.0))
    with pytest.raises(CapabilityError, match="classifier"):
        tell(regression)
