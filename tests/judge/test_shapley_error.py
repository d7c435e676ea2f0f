"""The certificate on Shapley values covers as it says, and is tighter than Hoeffding's limits (make judge)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.certify.test_shapley_error import bounded_game

import assay
from assay import certify, explain
from assay.model.adapters.function import function

ZERO = assay.Constant(0.0)

pytestmark = pytest.mark.judge
PARTS, SIMULATIONS = 11, 500


def voting_game(parts: int, seed: int, draw: int) -> tuple[Any, Any]:
    """Weighted votes against a quota: gains are 0 or 1, the widest spread there is."""
    weights = np.random.default_rng(seed).uniform(0.2, 1.0, parts)
    votes = function(lambda x: (x @ weights > weights.sum() / 2).astype(float), fingerprint=f"votes {seed}")
    case = assay.case(votes, np.ones((1, parts)), seed=draw)
    return case, explain.shapley(case, budget=2**parts, remove=ZERO).values


def simulated(game: Any, budget: int) -> tuple[float, float, float]:
    """The share of simulations whose limits hold all values and whose error is true; mean half width; Hoeffding's."""
    held, half = 0, []
    draws = (budget - 2) // (2 * (PARTS - 1))
    for number in range(SIMULATIONS):
        case, truth = game(PARTS, seed=number % 25, draw=number)
        sampled = explain.permutation_shapley(case, budget=100, remove=ZERO)
        found: Any = certify.shapley_error(sampled, case, bounds=(0, 1), budget=budget, remove=ZERO)
        lower, upper = found.extra["lower"], found.extra["upper"]
        inside = bool(((lower <= truth) & (truth <= upper)).all())
        held += inside and float(found.error[0]) >= float(np.abs(sampled.values - truth).max())
        half.append(float((upper - lower).mean() / 2))
    return held / SIMULATIONS, float(np.mean(half)), float(2 * np.sqrt(np.log(2 * PARTS / 0.05) / (2 * draws)))


@pytest.mark.parametrize("game", [bounded_game, voting_game])
@pytest.mark.parametrize(("budget", "share"), [(300, 0.7), (1500, 0.5)])
def test_the_certificate_covers_and_is_tighter_than_hoeffding(game: Any, budget: int, share: float) -> None:
    coverage, half, hoeffding = simulated(game, budget)
    told = f"covered {100 * coverage:.1f} %, half width {half:.4f}, Hoeffding {hoeffding:.4f}"
    print(f"\n{game.__name__}, budget {budget}: {told}")  # read with -s
    assert coverage >= 0.95
    assert half < share * hoeffding
