"""Long statistical checks (make judge): comparisons of methods err about as rarely as they say."""

from __future__ import annotations

import pytest
from bench import comparisons

pytestmark = pytest.mark.judge


@pytest.mark.parametrize(("law", "least"), [("normal", 0.935), ("exponential", 0.91), ("t3", 0.94)])
def test_students_interval_of_thirty_clusters_covers(law: str, least: float) -> None:
    assert least <= comparisons.clustered(law, 2000, 30, 4, "student") <= 0.975


@pytest.mark.parametrize("law", ["normal", "exponential", "t3"])
@pytest.mark.parametrize("groups", [30, 60])
def test_the_interval_of_a_mean_covers_whatever_the_law(law: str, groups: int) -> None:
    assert 0.93 <= comparisons.clustered(law, 4000, groups, 4, "mean") <= 0.97


@pytest.mark.parametrize("law", comparisons.LAWS)
@pytest.mark.parametrize("rows", [8, 12, 40])
@pytest.mark.parametrize("test", ["permutation", "wilcoxon"])
def test_a_difference_that_is_not_there_is_called_as_rarely_as_the_level_says(law: str, rows: int, test: str) -> None:
    assert comparisons.false_alarms(law, 4000, rows, test) <= 0.06


@pytest.mark.parametrize(("law", "most"), [("normal", 0.06), ("t3", 0.06), ("exponential", 0.06)])
def test_a_difference_of_the_margin_is_rarely_called_same(law: str, most: float) -> None:
    assert comparisons.false_sameness(law, 4000, 30) <= most


@pytest.mark.parametrize("rows", [12, 30])
def test_exchangeable_methods_are_rarely_told_apart_by_their_ranks(rows: int) -> None:
    assert max(comparisons.ranked(4000, rows, 5)) <= 0.062


def test_the_interval_of_an_intraclass_correlation_covers() -> None:
    assert 0.935 <= comparisons.correlated(4000, 20, 4) <= 0.965


@pytest.mark.parametrize(
    ("shifts", "margin"),
    [
        ((0.0, 0.0, 0.0, 0.0), None),
        ((0.0, 0.0, 0.0, 1.0), None),
        ((0.0, 0.0, 0.0, 0.0), 0.3),
        ((0.0, 0.3, 0.6, 0.9), 0.3),
        ((0.0, 0.3, 0.3, 0.3), 0.3),
    ],
)
def test_any_verdict_of_a_comparison_is_wrong_as_rarely_as_the_level_says(
    shifts: tuple[float, ...], margin: float | None
) -> None:
    assert comparisons.verdicts(2000, 30, shifts, margin)[0] <= 0.06
