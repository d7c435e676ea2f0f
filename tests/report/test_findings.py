from __future__ import annotations

from dataclasses import replace

import pytest
from tests.report.page import Page
from tests.report.record import LEAK, PROXY, credit, empty, hung, wide

from assay.basics.stats import Interval
from assay.nouns.records.record import Record
from assay.nouns.results.result import Finding
from assay.report.audit.findings import BUDGET, MOST, behind, intervals, listing
from assay.report.audit.page import render


def some(count: int, **changes: object) -> Record:
    found = [replace(PROXY, code=f"FAI{i:03d}", estimate=0.2 + i / 1000, **changes) for i in range(count)]  # type: ignore[arg-type]  # the changes are a finding's own
    return replace(empty(), findings=tuple(found))


def test_an_undecided_finding_says_how_many_rows_would_decide_it() -> None:
    text = Page(render(replace(empty(), findings=(replace(LEAK, more=1234),)))).text
    assert "about 1,234 more rows would decide it, if the estimate stays" in text


def test_the_interval_of_the_verdict_is_told_beside_the_one_by_itself() -> None:
    judged = replace(
        PROXY, interval=Interval(0.1, 0.27, 0.9988, "newcombe"), alone=Interval(0.12, 0.24, 0.95, "newcombe")
    )
    assert intervals(hung(credit()), judged) == (
        "Interval drawn: 99.88 %, newcombe, the level its verdict needs among 41 checks judged together. "
        "By itself it would have had [0.12, 0.24] at 95 %."
    )


def test_the_strip_is_drawn_with_the_interval_of_the_verdict() -> None:
    judged = replace(PROXY, alone=Interval(0.15, 0.16, 0.95, "newcombe"))
    assert listing(replace(empty(), findings=(judged,))).groups[0].shown[0].strip == (
        listing(replace(empty(), findings=(PROXY,))).groups[0].shown[0].strip
    )


def test_of_more_than_a_hundred_findings_the_worst_are_listed_and_the_rest_counted() -> None:
    record = some(150, evidence={})
    group = listing(record).groups[0]
    assert (group.count, len(group.shown), group.shown[0].finding.code) == (150, MOST, "FAI149")
    assert "The worst 100 of 150 are listed" in Page(render(record)).text


def test_beyond_the_budget_lines_stay_and_evidence_goes_and_that_is_told() -> None:
    record = wide()
    found = listing(record)
    shown = [s for group in found.groups for s in group.shown]
    assert len(shown) == 100
    assert found.bare == sum(not s.behind for s in shown) > 0
    assert sum(len(s.behind) + len(s.claim) + len(s.strip) for s in shown) <= BUDGET
    assert f"For want of room {found.bare} findings above stand without" in Page(render(record)).text


def test_the_worst_findings_keep_their_evidence() -> None:
    shown = listing(wide()).groups[0].shown
    assert [bool(s.behind) for s in shown] == sorted((bool(s.behind) for s in shown), reverse=True)


def test_a_small_audit_keeps_all_evidence() -> None:
    assert listing(credit()).bare == 0


@pytest.mark.parametrize(("direction", "first"), [("at most", "FAI002"), ("at least", "FAI000")])
def test_within_a_verdict_the_largest_excess_comes_first(direction: str, first: str) -> None:
    assert listing(some(3, direction=direction)).groups[0].shown[0].finding.code == first


def test_a_finding_that_says_nothing_has_nothing_behind_it() -> None:
    assert behind(empty(), Finding("A", "pass", "claim", "subject")) == ""
