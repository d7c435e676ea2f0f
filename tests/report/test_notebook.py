from __future__ import annotations

from dataclasses import replace

from tests.report.extreme_records import empty, hostile
from tests.report.page import Page
from tests.report.record import PROXY, complete, credit

from assay.report.formats.notebook import MAX_FINDINGS, notebook_cell


def test_the_cell_has_verdict_counts_tiles_scope_and_the_worst_findings() -> None:
    text = Page(notebook_cell(complete(credit()))).text
    for part in (
        "explanations (TRU001)",
        "15 failed",
        "explanations can be used",
        "Holm correction over 41",
        "SAN102",
        "more findings",
    ):
        assert part in text


def test_a_waived_finding_says_so() -> None:
    assert "waived until 2027-01-31" in notebook_cell(replace(complete(credit()), findings=(PROXY,)))


def test_no_more_than_twelve_findings_are_listed() -> None:
    assert notebook_cell(credit()).count("<code>") == MAX_FINDINGS


def test_hostile_text_stays_text_and_nothing_is_loaded() -> None:
    page = Page(notebook_cell(hostile("</td><script>alert(1)</script><img src=x>")))
    assert (page.open, page.wrong) == ([], [])
    assert {tag for tag, _ in page.elements} <= {
        "div",
        "p",
        "b",
        "table",
        "tr",
        "td",
        "br",
        "small",
        "code",
        "ul",
        "span",
    }


def test_an_empty_audit_has_a_cell() -> None:
    assert "No check of the model was made." in notebook_cell(empty())
