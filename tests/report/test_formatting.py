from __future__ import annotations

from typing import Any

import pytest

from assay.basics.stats import Interval
from assay.nouns.results.finding import Finding
from assay.report.drawing.formatting import (
    decimals_for,
    describe_rows_needed,
    finding_numbers,
    format_count,
    format_number,
    format_signed,
    join_names,
    verdict_chip,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), "undefined"),
        (float("-inf"), "−∞"),
        (0.0, "0"),
        (-0.0, "0"),
        (-0.1234, "−0.123"),
        (1234.4, "1,234"),
        (0.000012, "1.2 × 10⁻⁵"),
        (2.0e7, "2.0 × 10⁷"),
        (-2.22e-16, "0"),
        (None, "–"),
    ],
)
def test_a_number_has_three_digits_and_rounding_errors_are_zero(value: float | None, text: str) -> None:
    assert format_number(value) == text


def test_a_value_that_rounds_to_zero_has_no_sign() -> None:
    assert (format_signed(1e-17, 2), format_signed(-1e-17, 2), format_signed(0.5, 2)) == ("0.00", "0.00", "+0.50")


def test_decimals_grow_until_the_ends_of_an_interval_differ() -> None:
    assert (decimals_for(0.8, 0.2), decimals_for(0.801, 0.802), decimals_for(1e-7)) == (2, 3, None)


def test_estimate_interval_and_need_share_their_decimals() -> None:
    found = Finding("A", "fail", "", "", 0.8125, Interval(0.8, 0.82, 0.95, ""), 0.3, "at most")
    assert finding_numbers(found) == ("0.81", "[0.80, 0.82]", "needs ≤ 0.30")


def test_a_verdict_is_an_icon_and_a_label() -> None:
    drawn = verdict_chip("undecided")
    assert "#icon-undecided" in drawn
    assert drawn.endswith("undecided</span>")


def test_lists_and_counts_read_as_english() -> None:
    assert (join_names(["a", "b", "c"]), join_names(["a"]), join_names([])) == ("a, b and c", "a", "")
    assert (format_count(1, "row"), format_count(2000, "row")) == ("1 row", "2,000 rows")


@pytest.mark.parametrize(("verdict", "more", "limits", "text"), [
    ("undecided", 1, (0.0, 1.0), "about 1 more row would decide it"),
    ("undecided", 400, (0.0, 1.0), "about 400 more rows would decide it"),
    ("undecided", 401, (0.0, 1.0), "practically undecidable with this data (about 401 more rows)"),
    ("undecided", None, (0.0, 1.0), "practically undecidable with this data"),
    ("undecided", None, (float("-inf"), 1.0), ""),
    ("pass", None, (0.0, 1.0), ""),
])  # fmt: skip
def test_beyond_twenty_times_the_rows_a_check_is_practically_undecidable(
    verdict: Any, more: int | None, limits: tuple[float, float], text: str
) -> None:
    finding = Finding("A", verdict, "", "", 0.5, Interval(*limits, 0.95, ""), 0.5, "at most", n=20, more=more)
    assert describe_rows_needed(finding) == text
