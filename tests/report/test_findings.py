from __future__ import annotations

from dataclasses import replace

import pytest
from tests.report.extreme_records import empty, wide
from tests.report.page import Page
from tests.report.record import LEAK, PROXY, complete, credit

from assay.basics.stats import Interval
from assay.nouns.catalogue import FAMILIES
from assay.nouns.records.record import CheckText, Record, RepairText
from assay.nouns.results.finding import Finding
from assay.report.audit.page import render
from assay.report.findings.fault_classes import FAULT_CLASSES, fault_class
from assay.report.findings.finding_list import BUDGET, MAX_FINDINGS, describe_interval, finding_details, list_findings
from assay.report.findings.repairs import repaired_findings


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
    part = list_findings(record).groups[0].parts[0]
    assert (part.count, len(part.views), part.views[0].finding.code) == (150, MAX_FINDINGS, "FAI149")
    assert "The worst 100 of 150 are listed" in Page(render(record)).text


def test_a_check_of_several_subjects_is_listed_once_with_the_worst_first() -> None:
    about = [
        replace(PROXY, subject=name, claim=f"{name}: a gap", estimate=e) for name, e in (("age", 0.2), ("sex", 0.4))
    ]
    group = list_findings(replace(empty(), findings=(*about, replace(PROXY, code="FAI102")))).groups[0]
    assert [(v.finding.code, v.finding.subject, len(v.others)) for v in group.views] == [
        ("FAI101", "sex", 1),
        ("FAI102", PROXY.subject, 0),
    ]
    assert group.views[0].others[0].claim == "age: a gap"
    assert (group.parts[0].count, group.parts[0].listed) == (3, 3)


def test_more_than_fifteen_checks_are_shown_where_they_are_opened() -> None:
    record = some(17)
    part = list_findings(record).groups[0].parts[0]
    assert (len(part.shown), len(part.hidden)) == (15, 2)
    assert "2 further checks" in Page(render(record)).text


def test_fifteen_failed_checks_are_shown_over_all_fault_classes_together() -> None:
    names = [f"{family}{place}" for place in range(100, 112) for family in ("FAI", "PRV")]
    findings = tuple(replace(PROXY, code=code, evidence={}) for code in names)
    groups = list_findings(replace(empty(), findings=findings)).groups
    assert sum(len(part.shown) for group in groups for part in group.parts) == 15
    assert sum(len(part.views) for group in groups for part in group.parts) == 24


def test_findings_stand_under_their_fault_class_and_the_worst_class_comes_first() -> None:
    codes = {"EXP101": "pass", "FAI101": "undecided", "PRV101": "fail", "FAI105": "pass", "ACM101": "pass"}
    findings = tuple(replace(PROXY, code=code, verdict=verdict) for code, verdict in codes.items())
    groups = list_findings(replace(empty(), findings=findings)).groups
    assert [(group.name, [part.verdict for part in group.parts]) for group in groups] == [
        ("Privacy", ["fail"]),
        ("Fairness", ["undecided", "pass"]),
        ("Other checks", ["pass"]),
        ("Explanations", ["pass"]),
    ]


def test_every_family_of_checks_has_a_fault_class() -> None:
    assert set(FAMILIES) <= set(FAULT_CLASSES)


def test_a_fault_class_has_a_table_of_its_findings_before_and_after_a_repair() -> None:
    record = complete(credit())
    repair = record.repairs[0]
    repairs = (RepairText(repair.method, "A model.", (), ""),)
    checks = (CheckText(PROXY.code, "fairness", "How large?", "", 0.2, repairs),)
    record = replace(record, checks=checks, repairs=(replace(repair, before=(PROXY,), after=(PROXY,)),))
    [change] = repaired_findings(record)
    assert (
        change
        in next(
            group for group in list_findings(record).groups if group.name == fault_class(change.before.code)
        ).changes
    )
    page = Page(render(record))
    assert "Before and after repairs" in page.text
    assert f'id="{change.anchor}"' in render(record)


def test_severity_rows_features_and_repairs_stand_with_a_failure() -> None:
    repairs = (RepairText("refit", "A model retrained.", ("recipe",), "Costs accuracy."),)
    finding = replace(
        PROXY, severity="high", affected=0.4, detectable=0.15, rows=tuple(f"r{i}" for i in range(15)),
        features=("age", "zip"), features_by="shapley", features_verdict="pass",
        null_interval=Interval(-0.02, 0.02, 0.95, "permutation"),
    )  # fmt: skip
    checks = (CheckText(PROXY.code, "fairness", "How large?", "", 0.2, repairs),)
    text = Page(render(replace(empty(), findings=(finding,), checks=checks))).text
    for words in (
        "high severity",
        "Severity high: limit of severity 0.2, 40 % of rows affected.",
        "where the true value is 0.15 or more",
        "Without any effect it lies between",
        "Rows that show it: r0, r1",
        "and 3 more.",
        "age and zip, by shapley (verdict on this explanation: use)",
        "A model retrained. Side effects: Costs accuracy.",
    ):
        assert words in text, words


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


def test_what_findings_have_in_common_is_printed_once_and_linked() -> None:
    shared = {"rates": [{"group": f"group {i}", "rate": i / 10} for i in range(8)]}
    record = some(3, meaning="A long explanation of the check. " * 8, evidence=shared)
    page = render(record)
    assert (page.count("A long explanation of the check. " * 8), page.count("<td>group 7</td>")) == (1, 1)
    first, *others = [view for group in list_findings(record).groups for view in group.views]
    assert f'<li id="{first.anchor}">' in page
    for view in others:
        for name in ("Meaning", "Rates"):
            assert f'{name}: the same as for <a href="#{first.anchor}">{first.finding.code}' in view.details


def test_of_short_texts_no_links_are_made() -> None:
    assert "the same as for" not in render(some(3, meaning="Short.", evidence={}))


@pytest.mark.parametrize("most", [5_000, 20_000])
def test_a_page_leaves_out_details_until_it_is_small_enough(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    record = some(40)
    record = replace(record, findings=tuple(replace(f, meaning=f"{f.code} means much. " * 40) for f in record.findings))
    whole, size = render(record), list_findings(record).size
    limit = len(whole.encode()) - size + most
    monkeypatch.setattr("assay.report.audit.page.MAX_PAGE", limit)
    page = render(record)
    assert len(whole.encode()) > limit >= len(page.encode())
    assert "are left out to limit the size of this page" in page
    assert "FAI039 means much." in page
    assert "FAI000 means much." not in page
