"""The verdict on an interval."""

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
