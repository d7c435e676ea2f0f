from __future__ import annotations

from dataclasses import replace

from tests.report.page import Page
from tests.report.record import PROXY, WAIVERS, complete, credit

from assay.nouns.records.record import Waiver
from assay.report.audit.page import render
from assay.report.audit.summary import summary, worst_first
from assay.report.findings.waivers import day_of, is_waived, waiver_coverages, waiver_state


def test_a_finding_is_waived_on_the_last_day_and_not_on_the_next() -> None:
    record = complete(credit())
    until = replace(record, waivers=(Waiver("FAI", "Ada", "agreed", "2026-11-22"),))
    after = replace(until, times={"when": "2026-11-23 00:01 UTC"})
    states = [found.state if found else "" for found in (waiver_state(until, PROXY), waiver_state(after, PROXY))]
    assert states == ["waived", "expired"]


def test_only_failing_findings_are_waived() -> None:
    record = replace(complete(credit()), waivers=(Waiver("FAI", "Ada", "agreed", "2027-01-01"),))
    assert waiver_state(record, replace(PROXY, verdict="pass")) is None


def test_without_a_day_no_finding_is_waived() -> None:
    record = replace(complete(credit()), times={})
    assert (day_of(record), is_waived(record, PROXY)) == ("", False)


def test_a_waiver_says_what_it_covers_and_whether_it_expired() -> None:
    assert [(r.waiver.code, r.is_expired, r.covered) for r in waiver_coverages(complete(credit()))] == [
        ("FAI101", False, 1),
        ("SAN1", True, 1),
        ("PRV", False, 0),
    ]


def test_the_page_has_owner_reason_and_last_day_of_a_waiver() -> None:
    text = Page(render(complete(credit()))).text
    assert "waived until 2027-01-31 by Ada Lovelace: the gap is explained by income; the board agreed" in text
    assert "waiver expired after 2026-01-31 (owner Bob): rise is only for illustration" in text


def test_the_section_lists_every_waiver() -> None:
    part = Page(render(complete(credit())).split('<section id="waivers"')[1].split("</section>")[0]).text
    assert [w.reason for w in WAIVERS if w.reason not in part] == []
    assert "no failing finding" in part


def test_waived_findings_come_last_and_are_not_the_next_step() -> None:
    record = complete(credit())
    failed = [f for f in worst_first(record) if f.verdict == "fail"]
    assert failed[-1].code == "FAI101"
    assert "FAI101" not in summary(record).next_step
    assert "waived: fairness (FAI101); undecided: privacy (PRV101)" in summary(record).headline
