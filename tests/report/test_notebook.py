from __future__ import annotations

from dataclasses import replace

from tests.report.page import Page
from tests.report.record import PROXY, credit, empty, hostile, hung

from assay.report.formats.notebook import LINES, display


def test_the_cell_tells_verdict_counts_tiles_scope_and_the_worst_findings() -> None:
    text = Page(display(hung(credit()))).text
    for part in ("3 of 10 explanations", "15 failed", "explanations failed", "Holm over 41", "SAN102", "more findings"):
        assert part in text


def test_an_accepted_finding_says_so() -> None:
    assert "accepted until 2027-01-31" in display(replace(hung(credit()), findings=(PROXY,)))


def test_no_more_than_twelve_findings_are_listed() -> None:
    assert display(credit()).count("<code>") == LINES


def test_hostile_text_stays_text_and_nothing_is_loaded() -> None:
    page = Page(display(hostile("</td><script>alert(1)</script><img src=x>")))
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
    assert "No explanation was judged" in display(empty())
