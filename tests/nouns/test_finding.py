"""The verdict on an interval."""

from typing import Literal

import numpy as np
import pytest

from assay.basics.stats import Interval
from assay.nouns.results.finding import Finding, judge


@pytest.mark.parametrize(
    ("low", "high", "at_most", "at_least"),
    [
        (0.0, 0.05, "pass", "fail"),
        (0.2, 0.3, "fail", "pass"),
        (0.0, 0.3, "undecided", "undecided"),
        (0.0, 0.1, "pass", "undecided"),
        (0.1, 0.3, "undecided", "pass"),
        (0.1, 0.1, "pass", "pass"),
        (np.nan, 0.05, "undecided", "undecided"),
        (0.2, np.nan, "undecided", "undecided"),
        (np.nan, np.nan, "undecided", "undecided"),
        (-np.inf, 0.05, "pass", "fail"),
    ],
)
def test_an_interval_is_judged_as_a_whole_and_the_threshold_itself_passes(
    low: float, high: float, at_most: str, at_least: str
) -> None:
    interval = Interval(low, high, 0.95, "test")
    assert judge(interval, 0.1, "at most") == at_most
    assert judge(interval, 0.1, "at least") == at_least


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ("The gap is 0.1.", "age: the gap is 0.1."),
        ("`a` adds 0.1.", "age: `a` adds 0.1."),
        ("AUC 0.5.", "age: AUC 0.5."),
    ],
)
def test_a_finding_about_one_of_several_subjects_names_it(claim: str, expected: str) -> None:
    found = Finding(code="FAI101", verdict="pass", claim=claim, subject="model").of("age")
    assert (found.subject, found.claim) == ("age", expected)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.2, 0.3, "pass"),
        (0.1, 0.3, "pass"),
        (-0.1, 0.05, "fail"),
        (-0.1, 0.2, "fail"),  # contains the threshold, and excludes a clearly good value
        (-0.1, 0.4, "undecided"),  # reaches it
        (-0.5, 0.9, "undecided"),
        (-0.1, 0.1, "fail"),  # the threshold alone is not shown
        (np.nan, 0.2, "undecided"),
        (-0.1, np.nan, "undecided"),
    ],
)
@pytest.mark.parametrize("direction", ["at least", "at most"])
def test_a_check_that_must_be_shown_fails_unless_a_clearly_good_value_remains_possible(
    direction: Literal["at least", "at most"], low: float, high: float, verdict: str
) -> None:
    if direction == "at least":
        assert judge(Interval(low, high, 0.95, "test"), 0.1, "at least", 0.4) == verdict
    else:
        assert judge(Interval(-high, -low, 0.95, "test"), -0.1, "at most", -0.4) == verdict


def test_an_interval_that_reaches_neither_side_of_a_shown_check_is_judged_as_before() -> None:
    for undecided_from in (None, 0.4):
        assert judge(Interval(0.5, 0.6, 0.95, "test"), 0.1, "at least", undecided_from) == "pass"
        assert judge(Interval(-0.6, -0.5, 0.95, "test"), 0.1, "at least", undecided_from) == "fail"
