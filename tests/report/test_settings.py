"""What the page says of the ranking under other settings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.report.page import Page
from tests.report.record import credit
from tests.report.test_render import PAYLOADS

import assay
from assay import Constant, examples, explain
from assay.nouns.comparisons.settings_grid import SettingsGrid
from assay.nouns.results.result import Finding
from assay.report.audit.page import render
from assay.report.audit.settings_grid import SHOWN, settings_told

WEIGHTS = np.array([3.0, -2.0, 1.0])


def grid(names: tuple[str, str] = ("true", "turned"), far: str = "too much there", removals: int = 1) -> SettingsGrid:
    """True contributions and their opposites; at 2 each part's effect turns round, and the opposites win."""
    x = np.random.default_rng(0).uniform(0.5, 1.5, (6, 3))
    case = examples.analytic(lambda x: x @ WEIGHTS, lambda x: np.tile(WEIGHTS, (len(x), 1)), x, "linear")
    true = explain.input_x_gradient(case)
    named = {names[0]: true, names[1]: replace(true, values=-true.values)}
    many = {far + " again" * place: Constant(2.0 + place) for place in range(removals)}
    return assay.settings_grid(named, case, "deletion", removals={"nothing there": Constant(0.0), **many}, steps=(0, 2))


def test_it_tells_the_first_the_farthest_move_by_axis_and_who_wins_elsewhere() -> None:
    told = settings_told(replace(credit(), settings_grid=grid()))
    assert told is not None
    assert told.told.startswith(
        "Usual setting: nothing there, value, one part a step, as given, over 6 rows. First of 2 is true (in 100 % of "
        "draws of the rows). It is first, alone or tied, under 1 of 3 other settings. Farthest move of a rank under "
        "any of them: true by 1 place, from rank 1 to 2 (too much there, value, one part a step, as given)."
    )
    removal, steps = told.axes
    assert (removal.name, removal.values, removal.turned) == ("removal", "nothing there, too much there", "100 %")
    assert removal.move.startswith("true by 1 place")
    assert (steps.name, steps.values, steps.move, steps.turned) == ("steps", "one part a step, 2", "none", "0 %")
    first, second = told.others
    assert first.setting == "too much there, value, one part a step, as given"
    assert (first.winner, first.often, first.rank) == ("turned", "100 %", "2")
    assert "2 steps" in second.setting  # differs on two axes, so it comes later
    assert (told.more, told.doubt) == (0, "")


def test_what_is_not_shown_is_counted() -> None:
    told = settings_told(replace(credit(), settings_grid=grid(removals=8)))
    assert told is not None
    assert (len(told.others), told.more) == (SHOWN, 4)


def test_settings_that_lose_rows_are_left_out_and_counted() -> None:
    whole = grid()
    values = whole.values.copy()
    values[2:, 0, :] = np.nan
    told = settings_told(replace(credit(), settings_grid=replace(whole, values=values)))
    assert told is not None
    assert "2 settings left out" in told.told
    assert (told.axes[0].move, told.axes[0].turned) == ("not compared", "undefined")
    assert told.others == ()


def test_a_score_that_failed_its_own_test_is_not_relied_on() -> None:
    blind = Finding("SCO101", "fail", "deletion cannot tell", "deletion")
    page = Page(render(replace(credit(), settings_grid=grid(), findings=(blind,))))
    assert "Not to be relied on: deletion failed its own test on this model (SCO101)" in page.text.replace(" :", ":")


def test_without_a_grid_or_a_ranking_nothing_is_said() -> None:
    assert settings_told(credit()) is None
    nothing = replace(grid(), values=np.full(grid().values.shape, np.nan))
    assert settings_told(replace(credit(), settings_grid=nothing)) is None


def test_hostile_names_stay_text() -> None:
    hostile = grid((PAYLOADS[0], PAYLOADS[1]), PAYLOADS[3], removals=8)
    page = Page(render(replace(credit(), settings_grid=hostile)))
    assert (page.open, page.wrong) == ([], [])
    assert not [tag for tag, _ in page.elements if tag in ("script", "img", "iframe")]
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert all(payload in page.text for payload in (PAYLOADS[0], PAYLOADS[3]))
    assert "… and 4 more settings" in page.text
