from __future__ import annotations

from dataclasses import replace

import pytest
from tests.report.comparison import changed, comparison, evil
from tests.report.extreme_records import empty, hostile
from tests.report.record import PROXY, complete, credit

from assay.report.formats.markdown import MAX_LENGTH, comparison_markdown, escape_markdown, markdown

NASTY = (
    "| a\n\n# b <img src=x onerror=1> [l](http://evil.example) `c` **d** @ada #12 GH-3 www.evil.example \u202e ~~e~~"
)


def tokens(text: str) -> list[str]:
    """Kinds of everything that a Markdown reader makes of a text."""
    reader = pytest.importorskip("markdown_it").MarkdownIt("gfm-like", {"html": True, "linkify": False})
    return [child.type for token in reader.parse(text) for child in (token, *(token.children or ()))]


def test_verdict_counts_and_scope_come_before_the_table() -> None:
    text = markdown(complete(credit()))
    order = [
        "## Audit of a credit model",
        "faults: ",
        "❌ 15 failed",
        "Holm correction over 41 checks",
        "| verdict | check |",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_every_finding_is_a_line_worst_first() -> None:
    lines = [line for line in markdown(credit()).splitlines() if line.startswith("| ") and " verdict " not in line]
    assert len(lines) == len(credit().findings)
    assert "FAI101" in lines[0]


def test_a_comment_stays_below_the_limit_and_counts_what_it_left_out() -> None:
    record = replace(empty(), findings=tuple(replace(PROXY, code=f"F{i}", claim="|" * 300) for i in range(900)))
    text = markdown(record)
    listed = text.count("❌ fail")
    assert len(text) <= MAX_LENGTH
    assert f"and {900 - listed} more findings" in text


def test_hostile_names_make_no_markup_and_no_new_cell() -> None:
    kinds = tokens(markdown(hostile(NASTY)))
    assert not {"html_block", "link_open", "image", "code_inline", "em_open", "s_open"} & set(kinds)
    assert kinds.count("tr_open") == 3
    assert kinds.count("td_open") == 10


def test_the_only_html_is_our_own_line_break() -> None:
    assert markdown(hostile(NASTY)).count("<") == markdown(hostile(NASTY)).count("<br>")


@pytest.mark.parametrize("text", ["@ada", "#12", "GH-3", "http://x.y", "www.x.y", "a@b.com"])
def test_nothing_that_github_would_link_stays_whole(text: str) -> None:
    assert "\u200b" in escape_markdown(text)


def test_a_waived_failure_says_so() -> None:
    assert "waived until 2027-01-31 by Ada Lovelace" in markdown(complete(credit()))


def test_a_comparison_has_its_sentence_what_changed_and_drift() -> None:
    text = comparison_markdown(comparison())
    assert "**1 check is newly failing; 1 is shown to be worse" in text
    kinds = tokens(text)
    assert (kinds.count("table_open"), kinds.count("tr_open")) == (2, 1 + 7 + 1 + 3)
    assert "DAT104" not in text  # nothing was shown to have changed there
    assert "The seed differs: 0 against 1." in text


def test_a_comparison_stays_below_the_limit_and_counts_what_it_left_out() -> None:
    long = changed("fixed", replace(PROXY, subject="|" * 300), PROXY)
    text = comparison_markdown(replace(comparison(), changes=(long,) * 900))
    listed = text.count("| ✅ fixed |")
    assert len(text) <= MAX_LENGTH
    assert f"and {900 - listed} more changed checks" in text


def test_hostile_names_in_a_comparison_make_no_markup_and_no_new_cell() -> None:
    kinds = tokens(comparison_markdown(evil(NASTY)))
    assert not {"html_block", "html_inline", "link_open", "image", "code_inline", "em_open", "s_open"} & set(kinds)
    assert kinds.count("td_open") == 3 * 6 + 3 * 6
