"""What attributions show beyond predictions: the paired interval, a planted leak, and no leak."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression

import assay
from assay import diagnose
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.engine.privacy.explanation_leak import area_of, auc_gain, cross_fitted_attack, prediction_numbers
from assay.nouns.results.finding import Finding
from assay.planted.purchases import purchases

G = np.random.default_rng(0)


class Bumps(torch.nn.Module):
    """A linear net with a bump at each training row that changes the slope there and not the value."""

    def __init__(self, members: Any, height: float) -> None:
        super().__init__()
        self.members, self.height = torch.as_tensor(members), height
        self.weight = torch.nn.Parameter(torch.linspace(-1, 1, members.shape[1], dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        apart = x[:, None] - self.members
        near = torch.exp(-20 * (apart**2).sum(dim=2))
        score = x @ self.weight + self.height * (near * apart[:, :, 0]).sum(dim=1)
        return torch.stack([-score, score], dim=1) / 2


def found_with(height: float, seed: int = 0, rows: int = 120) -> Finding:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(2 * rows, 4))
    y = (x.sum(axis=1) + generator.normal(size=2 * rows) > 0).astype(int)
    model = assay.model.torch(Bumps(x[:rows], height), gives="logits")
    case = assay.case(model, torch.as_tensor(x[rows:]), seed=seed)
    (found,) = diagnose.explanation_membership(case, y[rows:], torch.as_tensor(x[:rows]), y[:rows])
    return found


def test_slopes_that_differ_at_training_rows_are_a_leak_of_the_explanation_alone() -> None:
    found = found_with(8.0)
    assert found.interval is not None
    assert found.interval.low > 0.2
    assert found.evidence["auc of predictions"] < 0.6
    assert found.evidence["auc of attributions"] > 0.85


def leaks_found(runs: int) -> int:
    limits = [found_with(0.0, seed, 80).interval for seed in range(runs)]
    return sum(one is not None and one.low > 0 for one in limits)


def test_where_explanations_show_nothing_few_runs_find_a_gain() -> None:
    assert leaks_found(15) <= 2


@pytest.mark.judge
def test_where_explanations_show_nothing_at_most_16_of_200_runs_find_a_gain() -> None:
    assert leaks_found(200) <= 16


def test_the_interval_of_the_gain_is_delongs() -> None:
    inside = np.arange(60) < 25
    one, two = G.normal(size=60) + inside, G.integers(4, size=60) + 1.0 * inside

    def kernel(scores: Any, a: int, b: int) -> float:
        return float(scores[a] > scores[b]) + 0.5 * float(scores[a] == scores[b])

    members, others = np.flatnonzero(inside), np.flatnonzero(~inside)
    inner = np.array([[np.mean([kernel(s, a, b) for b in others]) for a in members] for s in (one, two)])
    outer = np.array([[np.mean([kernel(s, a, b) for a in members]) for b in others] for s in (one, two)])
    variance = np.cov(inner) / len(members) + np.cov(outer) / len(others)
    error = np.sqrt(variance[0, 0] + variance[1, 1] - 2 * variance[0, 1])
    gain, limits = auc_gain(one, two, inside, 0.95)
    assert_allclose(gain, area_of(two, inside) - area_of(one, inside))
    assert_allclose([limits.low, limits.high], [gain - 1.959964 * error, gain + 1.959964 * error], rtol=1e-5)


def test_an_attack_is_fitted_on_the_other_folds_alone() -> None:
    numbers, inside, folds = G.normal(size=(90, 2)), G.random(90) < 0.4, np.arange(90) % 3
    found = cross_fitted_attack(numbers, inside, folds)
    train = folds != 1
    centre, spread = numbers[train].mean(axis=0), numbers[train].std(axis=0)
    known = np.clip((numbers - centre) / spread, -4, 4)
    design = np.concatenate([known, known**2], axis=1)
    weights = np.where(inside[train], 0.5 / inside[train].mean(), 0.5 / (1 - inside[train].mean()))
    right = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(design[train], inside[train], weights)
    assert_allclose(found[folds == 1], right.decision_function(design[folds == 1]), atol=1e-4)


def test_certain_predictions_give_finite_numbers() -> None:
    model = assay.model.torch(torch.nn.Linear(2, 2), gives="probabilities")
    numbers = prediction_numbers(np.array([[1.0, 0.0], [0.3, 0.7]]), np.array([1, 1]), model)
    assert np.isfinite(numbers).all()
    assert_allclose(numbers[1, :2], np.log(7 / 3))
    assert numbers[:, 4].tolist() == [0.0, 1.0]


def test_few_rows_are_not_run_and_wrong_options_are_refused() -> None:
    assert found_with(0.0, rows=49).verdict == "not run"
    with pytest.raises(InputError, match="rows=10"):
        diagnose.explanation_membership(
            assay.case(assay.model.torch(torch.nn.Linear(4, 2), gives="logits"), torch.zeros(60, 4)),
            np.zeros(60), torch.zeros(60, 4), np.zeros(60), rows=10,
        )  # fmt: skip


def test_purchases_are_binary_and_their_clusters_can_be_learnt() -> None:
    x, y = purchases(Seed(0), 400, columns=60, clusters=4)
    assert set(np.unique(x)) == {0.0, 1.0}
    assert np.bincount(y).tolist() == [100] * 4
    assert LogisticRegression(max_iter=500).fit(x[:200], y[:200]).score(x[200:], y[200:]) > 0.95
    again, _ = purchases(Seed(0), 400, columns=60, clusters=4)
    assert (again == x).all()
