"""The page of a comparison: the sentence, the order, axes in common, and names that stay text."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tests.report.comparison import SOUND, changed, comparison, evil, same
from tests.report.page import Page
from tests.report.record import PROXY

from assay.basics.stats import Interval
from assay.nouns.comparisons.audit_comparison import Drift
from assay.report.comparison.page import MANY, compared, named
from assay.report.comparison.summary import counts, headline, moved, tone
from assay.report.drawing.svg import Axis, likeness

PAYLOAD = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def rows_of(page: str) -> list[str]:
    """The lines of the tables, each as it is written."""
    return re.findall(r"<tr>\n<th scope=\"row\">.*?</tr>", page, re.DOTALL)


def test_the_sentence_tells_what_is_worse_what_is_better_and_what_drifted() -> None:
    assert headline(comparison()) == (
        "1 check is newly failing; 1 is shown to be worse; 1 is gone although decided before; 1 is mended; "
        "1 is shown to be better; explanations by permutation shapley drifted beyond the noise of re-running."
    )


def test_the_sentence_counts_several() -> None:
    mended = changed("mended", PROXY, SOUND)
    steady = tuple(replace(drift, drifted=False) for drift in comparison().drifts)
    assert headline(replace(comparison(), changes=(mended, mended), drifts=steady)) == (
        "No check is newly failing or shown to be worse; 2 are mended; "
        "no explanation drifted beyond the noise of re-running."
    )


def test_where_no_rows_are_shared_the_sentence_does_not_deny_drift() -> None:
    assert headline(same()).endswith("whether explanations drifted cannot be told.")
    assert "nothing can be told about drift" in Page(compared(same())).text


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (comparison(), "fail"),
        (replace(comparison(), changes=()), "undecided"),
        (replace(comparison(), changes=(), drifts=comparison().drifts[:1]), "pass"),
        (same(), "undecided"),
    ],
)
def test_the_colour_is_that_of_the_worst(told, expected) -> None:
    assert tone(told) == expected


def test_every_course_is_counted() -> None:
    assert {count.word: count.count for count in counts(comparison())} == {
        "newly failing": 1, "worse": 1, "gone": 2, "new": 1, "no change shown": 1, "better": 1, "mended": 1,
    }  # fmt: skip
    assert [count.word for count in counts(same())] == ["newly failing", "no change shown", "mended"]


def test_rows_of_another_class_are_told_with_their_interval() -> None:
    assert moved(comparison()) == (
        "Another class is predicted on 16 of 60 rows that both audits explained (16.0 to 40.0 % of such rows)."
    )
    assert moved(same()) == ""


def test_an_audit_is_named_by_its_title_and_the_mark_of_its_model() -> None:
    assert named("June, with gender, fedc") == ("June, with gender", "fedc")
    assert named("no mark") == ("no mark", "")


def test_the_page_is_whole_holds_everything_and_runs_nothing() -> None:
    page = Page(compared(comparison()))
    assert (page.open, page.wrong) == ([], [])
    assert {"script", "link", "iframe", "img"} & {tag for tag, _ in page.elements} == set()
    assert "default-src 'none'" in next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert page.source == compared(comparison())


def test_checks_stand_worst_first_and_only_what_did_not_change_is_folded() -> None:
    page = compared(comparison())
    headings = re.findall(r"<summary><h3>.*?</svg>(.*?) <span", page)
    assert headings == ["Newly failing", "Worse", "Gone", "New", "No change shown", "Better", "Mended"]
    assert re.findall(r'<details class="group"( open)?>', page) == [" open"] * 4 + [""] + [" open"] * 2


def test_before_and_after_share_an_axis_and_the_change_is_drawn_around_zero() -> None:
    first = rows_of(compared(comparison()))[0]
    places = re.findall(r'class="threshold" x1="([\d.]+)%"', first)
    dots = re.findall(r'class="dot" cx="([\d.]+)%"', first)
    change = Axis.of((0.143, 0.08, 0.21, 0.0), 0.12)
    assert places[0] == places[1]
    assert float(dots[0]) < float(places[0]) < float(dots[1])
    assert f"{places[2]}%" == change.at(0.0)
    assert f"{dots[2]}%" == change.at(0.143)


def test_a_check_says_whether_rows_were_paired_and_how_many() -> None:
    told = [Page(row).text for row in rows_of(compared(comparison()))]
    assert "not paired" in told[0]
    assert "+0.10 [+0.05, +0.15] paired on 60 rows" in told[1]
    assert "not made" in told[2]
    assert "only before" in told[2]
    assert "only after" in told[4]
    assert "not paired, no interval" in told[5]


def test_drift_shows_mean_interval_band_rows_and_what_was_left_out() -> None:
    told = [Page(row).text for row in rows_of(compared(comparison()))[-3:]]
    assert "permutation shapley rank correlation drifted" in told[0]  # what drifted stands first
    assert "0.40 [0.30, 0.50] re-running [0.80, 0.90]" in told[0]
    assert "44 rows 16 left out: another class is explained now" in told[0]
    assert "lime cosine within noise" in told[2]
    assert "left out" not in told[2]


def test_the_band_of_re_running_is_as_wide_as_it_is() -> None:
    drift = comparison().drifts[1]
    axis = Axis.of((0.0, 1.0), 0.03)
    drawn = str(likeness(drift))
    assert f'class="rerun" x="{axis.at(0.8)}" width="{axis.span(0.8, 0.9)}"' in drawn
    assert f'class="interval" x1="{axis.at(0.3)}" x2="{axis.at(0.5)}"' in drawn


def test_an_undefined_likeness_is_not_drawn() -> None:
    nothing = Interval(float("nan"), float("nan"), 0.95, "student")
    drift = Drift("lime", "cosine", float("nan"), nothing, (float("nan"), float("nan")), False, 0, 60)
    assert likeness(drift) == ""
    assert "undefined unknown" in Page(compared(replace(comparison(), drifts=(drift,)))).text


def test_of_very_many_checks_the_first_are_listed_and_the_page_says_so() -> None:
    many = (changed("mended", PROXY, SOUND),) * (MANY + 1)
    page = compared(replace(comparison(), changes=many, drifts=()))
    assert len(rows_of(page)) == MANY
    assert f"The first {MANY} are listed" in page


def test_hostile_text_stays_text() -> None:
    page = Page(compared(evil(PAYLOAD)))
    assert (page.open, page.wrong) == ([], [])
    assert {"script", "img"} & {tag for tag, _ in page.elements} == set()
    assert page.all("title")
    assert "onerror" not in {name for _, attributes in page.elements for name in attributes}
    assert page.text.count("alert(1)") > 8
