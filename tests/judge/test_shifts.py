"""Long statistical checks (make judge): the shift check errs about as rarely as it says, and finds what is planted."""

from __future__ import annotations

from typing import Any

import pytest
from bench import shifts

pytestmark = pytest.mark.judge

SETTINGS: list[dict[str, Any]] = [
    {"refits": 9},
    {"refits": 3},
    {"refits": 9, "others": 4},
    {"refits": 9, "rows": 60, "clusters": 20},
]


@pytest.mark.parametrize("code", ["SHF101", "SHF102"])
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_another_seed_is_rarely_called_a_shift(setting: dict[str, Any], code: str) -> None:
    assert shifts.verdicts(1000, code, planted=False, **setting)["fail"] <= 0.038  # 0.025 and 2.6 of its errors
    assert shifts.verdicts(1000, code, 0.1, planted=False, **setting)["fail"] <= 0.01


@pytest.mark.parametrize("code", ["SHF101", "SHF102"])
@pytest.mark.parametrize("setting", [setting for setting in SETTINGS if setting["refits"] == 9], ids=str)
def test_two_columns_that_change_places_are_found(setting: dict[str, Any], code: str) -> None:
    assert shifts.verdicts(100, code, planted=True, **setting)["fail"] >= 0.95
