from __future__ import annotations

from dataclasses import replace

from tests.report.page import Page
from tests.report.record import PROXY, WAIVERS, credit, hung

from assay.nouns.records.record import Waiver
from assay.report.audit.page import render
from assay.report.audit.summary import summary, worst_first
from assay.report.audit.waivers import acceptance, accepted, day_of, risks


def test_a_finding_is_accepted_on_the_last_day_and_no_longer_on_the_next() -> None:
    record = hung(credit())
    until = replace(record, waivers=(Waiver("FAI", "Ada", "agreed", "2026-11-22"),))
    after = replace(until, times={"when": "2026-11-23 00:01 UTC"})
    states = [found.state if found else "" for found in (acceptance(until, PROXY), acceptance(after, PROXY))]
    assert states == ["accepted", "expired"]


def test_only_failing_findings_are_accepted() -> None:
    record = replace(hung(credit()), waivers=(Waiver("FAI", "Ada", "agreed", "2027-01-01"),))
    assert acceptance(record, replace(PROXY, verdict="pass")) is None


def test_without_a_day_nothing_is_accepted() -> None:
    record = replace(hung(credit()), times={})
    assert (day_of(record), accepted(record, PROXY)) == ("", False)


def test_a_waiver_says_what_it_covers_and_whether_it_expired() -> None:
    assert [(r.waiver.code, r.expired, r.covered) for r in risks(hung(credit()))] == [
        ("FAI101", False, 1),
        ("SAN1", True, 1),
        ("PRV", False, 0),
    ]


def test_the_page_tells_who_accepted_a_finding_until_when_and_why() -> None:
    text = Page(render(hung(credit()))).text
    assert "accepted until 2027-01-31 by Ada Lovelace: the gap goes with income; the board agreed" in text
    assert "no longer accepted: the waiver of Bob expired after 2026-01-31 (rise is only drawn)" in text


def test_the_section_lists_every_waiver() -> None:
    part = Page(render(hung(credit())).split('<section id="accepted"')[1].split("</section>")[0]).text
    assert [w.reason for w in WAIVERS if w.reason not in part] == []
    assert "nothing here failed that it covers" in part


def test_what_is_accepted_comes_after_what_is_not_and_is_no_first_thing_to_do() -> None:
    record = hung(credit())
    failed = [f for f in worst_first(record) if f.verdict == "fail"]
    assert failed[-1].code == "FAI101"
    assert "FAI101" not in summary(record).following
    assert "1 fault was found in the model (1 accepted)" in summary(record).headline
