"""Audits of honest models rarely fail them, and planted faults are caught (make judge; all 200 in bench/audits.md)."""

from __future__ import annotations

import pytest
from bench import audits

pytestmark = pytest.mark.judge


def test_honest_models_are_rarely_failed() -> None:
    tallies = audits.honest(40)
    assert sum(tally.failed for tally in tallies) <= 5
    without_signal = tallies[1]
    assert without_signal.true["PER101"] >= 0.85 * without_signal.audits  # a true finding, which is not counted


def test_planted_faults_are_caught() -> None:
    missed = [line for line in audits.caught() if not line[1].endswith(": fail")]
    assert missed == []
