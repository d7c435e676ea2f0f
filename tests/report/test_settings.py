"""The ranking under other settings on the page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.report.page import Page
from tests.report.record import credit
from tests.report.test_render import PAYLOADS

import assay
from assay import Constant, evaluate, examples, explain
from assay.nouns.comparisons.settings_grid import SettingsGrid
from assay.nouns.results.finding import Finding
from assay.report.audit.page import render
from assay.report.audit.settings_grid import MAX_REVERSALS, summarise_grid

WEIGHTS = np.array([3.0, -2.0, 1.0])


def grid(names: tuple[str, str] = ("true", "turned"), far: str = "too much there", count: int = 1) -> SettingsGrid:
    """True contributions and their opposites; at 2 each part's effect turns round, and the opposites win."""
    x = np.random.default_rng(0).uniform(0.5, 1.5, (6, 3))
    case = examples.analytic(lambda x: x @ WEIGHTS, lambda x: np.tile(WEIGHTS, (len(x), 1)), x, "linear")
    true = explain.input_x_gradient(case)
    named = {names[0]: true, names[1]: replace(true, values=-true.values)}
    many = {far + " again" * place: Constant(2.0 + place) for place in range(count)}
    removals = {"nothing there": Constant(0.0), **many}
    return assay.settings_grid(named, case, evaluate.deletion, removals=removals, steps=(0, 2))


def test_it_has_the_best_method_the_largest_change_by_axis_and_the_reversals() -> None:
    summary = summarise_grid(replace(credit(), settings_grid=grid()))
    assert summary is not None
    assert summary.text.startswith(
        "Default setting: nothing there, value, one feature a step, as given, over 6 rows. true ranks first of 2 "
        "methods (in 100 % of resamples of the rows). It ranks first, alone or tied, under 1 of 3 other settings. "
        "Largest rank change under any other setting: true by 1 place, from rank 1 to 2 (too much there, value, one "
        "feature a step, as given)."
    )
    removal, steps = summary.axes
    assert (removal.name, removal.values, removal.reversed) == ("removal", "nothing there, too much there", "100 %")
    assert removal.largest_change.startswith("true by 1 place")
    assert (steps.name, steps.values, steps.largest_change, steps.reversed) == (
        "steps",
        "one feature a step, 2",
        "none",
        "0 %",
    )
    first, second = summary.reversals
    assert first.setting == "too much there, value, one feature a step, as given"
    assert (first.winner, first.often, first.rank) == ("turned", "100 %", "2")
    assert "2 steps" in second.setting  # differs on two axes, so it comes later
    assert (summary.more, summary.doubt) == (0, "")


def test_what_is_not_shown_is_counted() -> None:
    summary = summarise_grid(replace(credit(), settings_grid=grid(count=8)))
    assert summary is not None
    assert (len(summary.reversals), summary.more) == (MAX_REVERSALS, 4)


def test_settings_that_lose_rows_are_left_out_and_counted() -> None:
    whole = grid()
    values = whole.values.copy()
    values[2:, 0, :] = np.nan
    summary = summarise_grid(replace(credit(), settings_grid=replace(whole, values=values)))
    assert summary is not None
    assert "2 settings excluded" in summary.text
    assert (summary.axes[0].largest_change, summary.axes[0].reversed) == ("not compared", "undefined")
    assert summary.reversals == ()


def test_a_score_that_failed_its_own_test_is_not_reliable() -> None:
    blind = Finding("SCO101", "fail", "deletion cannot tell", "deletion")
    page = Page(render(replace(credit(), settings_grid=grid(), findings=(blind,))))
    assert "Not reliable: deletion failed its own test on this model (SCO101)" in page.text.replace(" :", ":")


def test_without_a_grid_or_a_ranking_there_is_no_summary() -> None:
    assert summarise_grid(credit()) is None
    nothing = replace(grid(), values=np.full(grid().values.shape, np.nan))
    assert summarise_grid(replace(credit(), settings_grid=nothing)) is None


def test_hostile_names_stay_text() -> None:
    hostile = grid((PAYLOADS[0], PAYLOADS[1]), PAYLOADS[3], count=8)
    page = Page(render(replace(credit(), settings_grid=hostile)))
    assert (page.open, page.wrong) == ([], [])
    assert not [tag for tag, _ in page.elements if tag in ("script", "img", "iframe")]
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert all(payload in page.text for payload in (PAYLOADS[0], PAYLOADS[3]))
    assert "… and 4 more settings" in page.text
