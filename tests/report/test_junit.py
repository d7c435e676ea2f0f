from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

from tests.report.extreme_records import empty, hostile
from tests.report.record import LEAK, PROXY, complete, credit

from assay.nouns.records.record import Record
from assay.nouns.results.finding import Finding
from assay.report.formats.junit import junit


def cases(record: Record) -> dict[str, ElementTree.Element]:
    return {case.get("name", ""): case for case in ElementTree.fromstring(junit(record)).iter("testcase")}


def outcome(finding: Finding, record: Record | None = None) -> tuple[str, str]:
    case = next(iter(cases(replace(record or empty(), findings=(finding,))).values()))
    return next(((child.tag, child.get("message", "")) for child in case), ("", ""))


def test_there_is_one_test_case_a_finding() -> None:
    assert len(cases(credit())) == len(credit().findings)


def test_each_verdict_has_its_outcome() -> None:
    tags = {v: outcome(replace(PROXY, verdict=v))[0] for v in ("fail", "error", "pass", "informative", "undecided")}
    assert tags == {"fail": "failure", "error": "error", "pass": "", "informative": "", "undecided": "skipped"}
    assert [outcome(replace(PROXY, verdict=v))[0] for v in ("not run", "not applicable")] == ["skipped", "skipped"]


def test_what_is_skipped_says_why() -> None:
    assert outcome(replace(LEAK, more=300))[1].startswith("undecided: Membership")
    assert outcome(replace(LEAK, more=300))[1].endswith("about 300 more rows would decide it")


def test_a_waived_failure_is_skipped_and_one_with_an_expired_waiver_fails() -> None:
    assert outcome(PROXY, complete(credit()))[0] == "skipped"
    assert outcome(PROXY, complete(credit()))[1].startswith("waived until 2027-01-31 by Ada Lovelace")
    late = replace(complete(credit()), times={"when": "2027-02-01 00:00 UTC"})
    assert outcome(PROXY, late)[0] == "failure"


def test_the_totals_count_the_outcomes() -> None:
    suite = ElementTree.fromstring(junit(complete(credit())))
    for kind, tag in (("failures", "failure"), ("skipped", "skipped"), ("errors", "error"), ("tests", "testcase")):
        assert int(suite.get(kind, "")) == len(list(suite.iter(tag)))


def test_no_two_cases_share_a_name() -> None:
    assert list(cases(replace(empty(), findings=(PROXY, PROXY)))) == ["FAI101 credit model", "FAI101 credit model (2)"]


def test_any_name_gives_valid_xml() -> None:
    text = "".join(map(chr, range(0x20))) + "]]><x a='\"&amp;\ufffe\uffff\ud800\x7f\U0001f600"
    read = cases(hostile(text))
    assert len(read) == 2
    assert all("]]><x a='\"&amp;" in name for name in read)
