from __future__ import annotations

from dataclasses import replace

import pytest
from tests.report.extreme_records import empty, wide
from tests.report.page import Page
from tests.report.record import LEAK, PROXY, complete, credit

from assay.basics.stats import Interval
from assay.nouns.records.record import Record
from assay.nouns.results.finding import Finding
from assay.report.audit.findings import BUDGET, MAX_FINDINGS, describe_interval, finding_details, list_findings
from assay.report.audit.page import render


def some(count: int, **changes: object) -> Record:
    found = [replace(PROXY, code=f"FAI{i:03d}", estimate=0.2 + i / 1000, **changes) for i in range(count)]  # type: ignore[arg-type]  # the changes are a finding's own
    return replace(empty(), findings=tuple(found))


def test_an_undecided_finding_has_the_rows_that_would_decide_it() -> None:
    text = Page(render(replace(empty(), findings=(replace(LEAK, more=1234),)))).text
    assert "About 1,234 more rows would decide it in four of five samples." in text


def test_the_corrected_interval_is_described_with_the_uncorrected_one() -> None:
    judged = replace(
        PROXY, interval=Interval(0.1, 0.27, 0.9988, "newcombe"), alone=Interval(0.12, 0.24, 0.95, "newcombe")
    )
    assert describe_interval(complete(credit()), judged) == (
        "Interval: 99.88 %, Newcombe (Holm correction over 41 checks). Without correction: [0.12, 0.24] at 95 %."
    )


def test_the_strip_is_drawn_with_the_interval_of_the_verdict() -> None:
    judged = replace(PROXY, alone=Interval(0.15, 0.16, 0.95, "newcombe"))
    assert list_findings(replace(empty(), findings=(judged,))).groups[0].views[0].strip == (
        list_findings(replace(empty(), findings=(PROXY,))).groups[0].views[0].strip
    )


def test_of_more_than_a_hundred_findings_the_worst_are_listed_and_the_rest_counted() -> None:
    record = some(150, evidence={})
    group = list_findings(record).groups[0]
    assert (group.count, len(group.views), group.views[0].finding.code) == (150, MAX_FINDINGS, "FAI149")
    assert "The worst 100 of 150 are listed" in Page(render(record)).text


def test_beyond_the_budget_findings_lose_their_details_and_the_page_says_so() -> None:
    record = wide()
    found = list_findings(record)
    shown = [s for group in found.groups for s in group.views]
    assert len(shown) == 100
    assert found.shortened == sum(not s.details for s in shown) > 0
    assert sum(len(s.details) + len(s.claim) + len(s.strip) for s in shown) <= BUDGET
    assert f"Meaning and evidence of {found.shortened} findings are left out" in Page(render(record)).text


def test_the_worst_findings_keep_their_evidence() -> None:
    shown = list_findings(wide()).groups[0].views
    assert [bool(s.details) for s in shown] == sorted((bool(s.details) for s in shown), reverse=True)


def test_a_small_audit_keeps_all_evidence() -> None:
    assert list_findings(credit()).shortened == 0


@pytest.mark.parametrize(("direction", "first"), [("at most", "FAI002"), ("at least", "FAI000")])
def test_within_a_verdict_the_largest_excess_comes_first(direction: str, first: str) -> None:
    assert list_findings(some(3, direction=direction)).groups[0].views[0].finding.code == first


def test_a_finding_without_texts_has_no_details() -> None:
    assert finding_details(empty(), Finding("A", "pass", "claim", "subject")) == ""
