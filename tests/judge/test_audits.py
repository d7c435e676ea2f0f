"""Audits of honest models rarely fail them, and planted faults are caught (make judge; all 200 in bench/audits.md)."""

from __future__ import annotations

import pytest
from bench import audits

pytestmark = pytest.mark.judge


def test_honest_models_are_rarely_failed() -> None:
    assert sum(tally.failed for tally in audits.honest(40)) <= 5


def test_planted_faults_are_caught() -> None:
    missed = [line for line in audits.caught() if not line[1].endswith(": fail")]
    assert missed == []
