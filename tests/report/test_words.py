from __future__ import annotations

import pytest

from assay.basics.stats import Interval
from assay.nouns.results.result import Finding
from assay.report.drawing.formatting import chip, counted, figures_of, listed, number, places, signed


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), "undefined"),
        (float("-inf"), "−∞"),
        (0.0, "0"),
        (-0.0, "0"),
        (-0.1234, "−0.123"),
        (1234.4, "1,234"),
        (0.000012, "1.20 × 10⁻⁵"),
        (None, "–"),
    ],
)
def test_a_number_is_told_with_three_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_a_value_that_rounds_to_zero_has_no_sign() -> None:
    assert (signed(1e-17, 2), signed(-1e-17, 2), signed(0.5, 2)) == ("0.00", "0.00", "+0.50")


def test_decimals_grow_until_an_interval_can_be_told_apart() -> None:
    assert (places(0.8, 0.2), places(0.801, 0.802), places(1e-7)) == (2, 3, None)


def test_estimate_interval_and_need_share_their_decimals() -> None:
    found = Finding("A", "fail", "", "", 0.8125, Interval(0.8, 0.82, 0.95, ""), 0.3, "at most")
    assert figures_of(found) == ("0.81", "[0.80, 0.82]", "needs ≤ 0.30")


def test_a_verdict_is_an_icon_and_a_word() -> None:
    drawn = chip("undecided")
    assert "#icon-undecided" in drawn
    assert drawn.endswith("undecided</span>")


def test_lists_and_counts_read_as_english() -> None:
    assert (listed(["a", "b", "c"]), listed(["a"]), listed([])) == ("a, b and c", "a", "")
    assert (counted(1, "row"), counted(2000, "row")) == ("1 row", "2,000 rows")
