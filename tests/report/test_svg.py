from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from assay.basics.stats import Interval
from assay.nouns.results.finding import Finding
from assay.report.drawing.svg import Axis, draw_balance, draw_bar, draw_coverage, draw_strip

FOUND = Finding(
    "SAN102",
    "fail",
    "rank correlation after weight randomisation",
    "saliency",
    0.81,
    Interval(0.77, 0.85, 0.95, "student"),
    0.3,
    "at most",
    0.05,
    40,
)


def at(drawing: str, kind: str, name: str) -> float:
    """One coordinate, in percent, of the element of this class."""
    element = re.search(rf'<\w+ class="{kind}"[^>]*>', drawing)
    assert element, f"no {kind} in {drawing}"
    value = re.search(rf'\b{name}="([-\d.]+)%?"', element[0])
    assert value
    return float(value[1])


def test_dot_bar_threshold_and_null_tick_stand_on_one_straight_axis() -> None:
    drawn = draw_strip(FOUND)
    values = [0.81, 0.77, 0.85, 0.3, 0.05]
    places = [
        at(drawn, "dot", "cx"),
        at(drawn, "interval", "x1"),
        at(drawn, "interval", "x2"),
        at(drawn, "threshold", "x1"),
        at(drawn, "null", "x1"),
    ]
    slope, intercept = np.polyfit(values, places, 1)
    assert slope > 0
    assert np.allclose(slope * np.array(values) + intercept, places, atol=0.05)


@pytest.mark.parametrize(("direction", "left", "right"), [("at most", "start", "line"), ("at least", "line", "end")])
def test_the_passing_side_is_shaded_up_to_the_threshold(direction: str, left: str, right: str) -> None:
    drawn = draw_strip(replace(FOUND, direction=direction))  # type: ignore[arg-type]  # the wrong type is the test
    line, x = at(drawn, "threshold", "x1"), at(drawn, "passing", "x")
    ends = {"start": 0.0, "line": line, "end": 100.0}
    assert x == pytest.approx(ends[left], abs=0.05)
    assert x + at(drawn, "passing", "width") == pytest.approx(ends[right], abs=0.1)


def test_a_strip_has_its_numbers_as_title() -> None:
    assert "<title>0.81 [0.77, 0.85] needs ≤ 0.30</title>" in draw_strip(FOUND)


def test_a_finding_without_any_number_has_no_strip() -> None:
    assert draw_strip(replace(FOUND, estimate=float("nan"), interval=None)) == ""


def test_an_interval_without_end_reaches_the_edge() -> None:
    drawn = draw_strip(replace(FOUND, interval=Interval(0.77, float("inf"), 0.95, "welch")))
    assert at(drawn, "interval", "x2") == 100.0


def test_strips_side_by_side_share_their_axis() -> None:
    after = replace(FOUND, verdict="pass", estimate=0.1, interval=Interval(0.05, 0.15, 0.95, "student"))
    assert at(draw_strip(FOUND, after), "threshold", "x1") == at(draw_strip(after, FOUND), "threshold", "x1")


def test_a_bar_goes_from_zero_to_its_value_to_the_side_of_its_sign() -> None:
    axis = Axis(-1.0, 3.0)
    up, down = draw_bar(2.0, 2.0, 2.0, axis), draw_bar(-0.5, -0.5, -0.5, axis)
    assert (at(up, "up", "x"), at(up, "up", "width")) == (25.0, 50.0)
    assert (at(down, "down", "x"), at(down, "down", "width")) == (12.5, 12.5)


def test_a_whisker_is_drawn_from_low_to_high() -> None:
    drawn = draw_bar(2.0, 1.0, 3.0, Axis(-1.0, 3.0))
    assert (at(drawn, "whisker", "x1"), at(drawn, "whisker", "x2")) == (50.0, 100.0)


def test_a_bar_whose_interval_covers_zero_is_pale() -> None:
    axis = Axis(-1.0, 3.0)
    assert "pale" in draw_bar(1.0, -0.1, 2.1, axis)
    assert "pale" not in draw_bar(1.0, 0.1, 1.9, axis)


def test_an_undefined_bar_is_not_drawn() -> None:
    assert draw_bar(float("nan"), 0.0, 1.0, Axis(0.0, 1.0)) == ""


def test_the_residual_is_drawn_from_the_sum_to_the_output() -> None:
    drawn = draw_balance(1.0, 2.0, 3.0)
    assert at(drawn, "residual", "x1") == at(drawn, "sum", "x2") == pytest.approx(50.0)
    assert at(drawn, "residual", "x2") == at(drawn, "output", "cx")


def test_the_certified_share_falls_to_nothing_and_starts_at_what_is_not_abstained() -> None:
    path = re.search(r'class="line" d="([^"]+)"', draw_coverage([1.0, 2.0, float("nan"), float("nan")], "share"))
    assert path
    heights = [float(y) for y in re.findall(r"(?:M0 |V)([\d.]+)", path[1])]
    assert heights == [34.0, 49.0, 64.0]  # 60 pixels high: a half, a quarter, nothing
