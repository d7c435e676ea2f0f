"""Long statistical checks (make judge): planted faults of predictions and data are found, their nulls rarely fail."""

from __future__ import annotations

import pytest
from bench import predictions

pytestmark = pytest.mark.judge

RUNS = 200


@pytest.mark.parametrize("fault", predictions.FAULTS)
def test_a_planted_fault_fails_and_is_named(fault: str) -> None:
    assert predictions.verdicts(fault, RUNS, True)["named"] >= 0.85 * RUNS


@pytest.mark.parametrize("fault", predictions.FAULTS)
def test_nothing_planted_fails_in_at_most_one_of_twenty(fault: str) -> None:
    assert predictions.verdicts(fault, RUNS, False)["fail"] <= 0.05 * RUNS + 2 * (0.05 * 0.95 * RUNS) ** 0.5
