"""The page of a comparison: headline, order, shared axes, escaped names."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tests.report.comparison import SOUND, changed, comparison, evil, same
from tests.report.page import Page
from tests.report.record import PROXY

from assay.basics.stats import Interval
from assay.nouns.comparisons.audit_comparison import Drift
from assay.report.comparison.page import MAX_CHECKS, render_comparison, split_name
from assay.report.comparison.summary import changed_predictions, counts, headline, tone
from assay.report.drawing.svg import Axis, draw_similarity

PAYLOAD = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def rows_of(page: str) -> list[str]:
    """The lines of the tables, each as it is written."""
    return re.findall(r"<tr>\n<th scope=\"row\">.*?</tr>", page, re.DOTALL)


def test_the_headline_has_what_is_worse_what_is_better_and_what_drifted() -> None:
    assert headline(comparison()) == (
        "1 check is newly failing; 1 is shown to be worse; 1 is missing although decided before; 1 is fixed; "
        "1 is shown to be better; explanations by permutation shapley drifted beyond the noise of re-running."
    )


def test_the_sentence_counts_several() -> None:
    mended = changed("fixed", PROXY, SOUND)
    steady = tuple(replace(drift, drifted=False) for drift in comparison().drifts)
    assert headline(replace(comparison(), changes=(mended, mended), drifts=steady)) == (
        "No check is newly failing or shown to be worse; 2 are fixed; "
        "no explanation drifted beyond the noise of re-running."
    )


def test_without_shared_rows_drift_is_unknown() -> None:
    assert headline(same()).endswith("explanation drift is unknown.")
    assert (
        "Drift is unknown: the audits have no explanation of the same rows in common."
        in Page(render_comparison(same())).text
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (comparison(), "fail"),
        (replace(comparison(), changes=()), "undecided"),
        (replace(comparison(), changes=(), drifts=comparison().drifts[:1]), "pass"),
        (same(), "undecided"),
    ],
)
def test_the_colour_is_that_of_the_worst(found, expected) -> None:
    assert tone(found) == expected


def test_every_kind_of_change_is_counted() -> None:
    assert {count.word: count.count for count in counts(comparison())} == {
        "newly failing": 1, "worse": 1, "missing": 2, "new": 1, "no change shown": 1, "better": 1, "fixed": 1,
    }  # fmt: skip
    assert [count.word for count in counts(same())] == ["newly failing", "no change shown", "fixed"]


def test_rows_with_another_predicted_class_have_their_interval() -> None:
    assert changed_predictions(comparison()) == (
        "The predicted class changed on 16 of 60 rows explained in both audits (16.0 to 40.0 % of such rows)."
    )
    assert changed_predictions(same()) == ""


def test_an_audit_is_named_by_its_title_and_the_fingerprint_of_its_model() -> None:
    assert split_name("June, with gender, fedc") == ("June, with gender", "fedc")
    assert split_name("no fingerprint") == ("no fingerprint", "")


def test_the_page_is_whole_holds_everything_and_runs_nothing() -> None:
    page = Page(render_comparison(comparison()))
    assert (page.open, page.wrong) == ([], [])
    assert {"script", "link", "iframe", "img"} & {tag for tag, _ in page.elements} == set()
    assert "default-src 'none'" in next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert page.source == render_comparison(comparison())


def test_checks_are_worst_first_and_only_unchanged_ones_are_folded() -> None:
    page = render_comparison(comparison())
    headings = re.findall(r"<summary><h3>.*?</svg>(.*?) <span", page)
    assert headings == ["Newly failing", "Worse", "Missing", "New", "No change shown", "Better", "Fixed"]
    assert re.findall(r'<details class="group"( open)?>', page) == [" open"] * 4 + [""] + [" open"] * 2


def test_before_and_after_share_an_axis_and_the_change_is_drawn_around_zero() -> None:
    first = rows_of(render_comparison(comparison()))[0]
    places = re.findall(r'class="threshold" x1="([\d.]+)%"', first)
    dots = re.findall(r'class="dot" cx="([\d.]+)%"', first)
    change = Axis.of((0.143, 0.08, 0.21, 0.0), 0.12)
    assert places[0] == places[1]
    assert float(dots[0]) < float(places[0]) < float(dots[1])
    assert f"{places[2]}%" == change.at(0.0)
    assert f"{dots[2]}%" == change.at(0.143)


def test_a_check_says_whether_rows_were_paired_and_how_many() -> None:
    texts = [Page(row).text for row in rows_of(render_comparison(comparison()))]
    assert "not paired" in texts[0]
    assert "+0.10 [+0.05, +0.15] paired on 60 rows" in texts[1]
    assert "not run" in texts[2]
    assert "only before" in texts[2]
    assert "only after" in texts[4]
    assert "not paired, no interval" in texts[5]


def test_drift_has_mean_interval_range_rows_and_rows_left_out() -> None:
    texts = [Page(row).text for row in rows_of(render_comparison(comparison()))[-3:]]
    assert "permutation shapley rank correlation drifted" in texts[0]  # drifted methods first
    assert "0.40 [0.30, 0.50] re-running [0.80, 0.90]" in texts[0]
    assert "44 rows 16 left out: explained class changed" in texts[0]
    assert "lime cosine within noise" in texts[2]
    assert "left out" not in texts[2]


def test_the_range_under_re_running_is_drawn() -> None:
    drift = comparison().drifts[1]
    axis = Axis.of((0.0, 1.0), 0.03)
    drawn = str(draw_similarity(drift))
    assert f'class="rerun" x="{axis.at(0.8)}" width="{axis.span(0.8, 0.9)}"' in drawn
    assert f'class="interval" x1="{axis.at(0.3)}" x2="{axis.at(0.5)}"' in drawn


def test_an_undefined_similarity_is_not_drawn() -> None:
    nothing = Interval(float("nan"), float("nan"), 0.95, "student")
    drift = Drift("lime", "cosine", float("nan"), nothing, (float("nan"), float("nan")), False, 0, 60)
    assert draw_similarity(drift) == ""
    assert "undefined unknown" in Page(render_comparison(replace(comparison(), drifts=(drift,)))).text


def test_of_very_many_checks_the_first_are_listed_and_the_page_says_so() -> None:
    many = (changed("fixed", PROXY, SOUND),) * (MAX_CHECKS + 1)
    page = render_comparison(replace(comparison(), changes=many, drifts=()))
    assert len(rows_of(page)) == MAX_CHECKS
    assert f"The first {MAX_CHECKS} are listed" in page


def test_hostile_text_stays_text() -> None:
    page = Page(render_comparison(evil(PAYLOAD)))
    assert (page.open, page.wrong) == ([], [])
    assert {"script", "img"} & {tag for tag, _ in page.elements} == set()
    assert page.all("title")
    assert "onerror" not in {name for _, attributes in page.elements for name in attributes}
    assert page.text.count("alert(1)") > 8
