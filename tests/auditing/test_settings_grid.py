"""The ranking of an audit's explanations under other settings of the score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.auditing.test_plan import pictures, table

import assay
from assay import Blur, Conditional, Marginal, Mean
from assay.auditing import settings_grid as settings
from assay.auditing.audit import prepare
from assay.auditing.config import load_config
from assay.auditing.planning.profiles import all_profiles
from assay.auditing.run import Run
from assay.auditing.schema import ResultFile
from assay.model.model import Model
from assay.nouns.comparisons.settings_grid import SettingsGrid
from assay.nouns.records.store import load

WEIGHTS = np.array([3.0, 2.0, -0.5])


def planted(rows: int = 20) -> tuple[Model, np.ndarray]:
    """f = 3a + 2b − c/2 near (1, 2, 12): contributions 3, 4, −6, so magnitudes of the true ones put the worst first."""
    model = assay.model.function(lambda x: x @ WEIGHTS, gradient=lambda x: np.tile(WEIGHTS, (len(x), 1)))
    return model, np.array([1.0, 2.0, 12.0]) + np.random.default_rng(0).normal(0, 0.01, (rows, 3))


def small(**options: Any) -> dict[str, Any]:
    """The cheapest audit that has a ranking."""
    return {"profile": "quick", "methods": ["shapley", "saliency"], "scores": ["deletion"], **options}


@pytest.fixture(scope="module")
def run() -> Run:
    model, x = planted()
    return assay.audit(model, x, background=np.zeros((4, 3)), settings_grid=True, **small())


def grid_of(run: Run) -> SettingsGrid:
    assert run.record.settings_grid is not None
    return run.record.settings_grid


def test_a_setting_that_reverses_the_ranking_is_reported(run: Run) -> None:
    grid, found = grid_of(run), run["SCO103"]
    assert grid.methods == ("shapley", "saliency", "random")
    assert len(grid.settings) == 6  # three removals, two signs; three columns are too few for a coarser curve
    for place, setting in enumerate(grid.settings):
        first = ("shapley",) if setting.sign == "as given" else ("saliency",)
        assert grid.winners(place) == first
    assert found.verdict == "informative"
    assert found.estimate == 1.0
    assert "shapley ranks first of 2 by deletion (background rows, value, one feature a step, as given)" in found.claim
    assert "under 3 of 5 other settings another method does (3 of them in nearly all bootstrap draws)" in found.claim
    along = found.evidence["largest rank change by axis"]
    assert (along["sign"]["audit's rank"], along["sign"]["rank"]) == (1, 2)
    assert along["removal"]["audit's rank"] == along["removal"]["rank"]


def test_the_usual_setting_is_the_audits_own(run: Run) -> None:
    for place, name in enumerate(grid_of(run).methods):
        np.testing.assert_allclose(grid_of(run).values[0, :, place], run.record.scores[name, "deletion"].values)


def test_it_is_on_the_page_in_the_json_and_in_the_comment(run: Run, tmp_path: Path) -> None:
    page = run.save(tmp_path).read_text(encoding="utf-8")
    assert "The ranking under other settings" in page
    assert "shapley by 1 place, from rank 1 to 2 (background rows, value, one feature a step, absolute)" in page
    grid = ResultFile.model_validate_json((tmp_path / "result.json").read_text(), strict=True).settings_grid
    assert grid is not None
    assert grid.settings[1].best == ["saliency"]
    assert grid.settings[1].ranks == {"shapley": 2.0, "saliency": 1.0}
    assert (grid.farthest["sign"].default_rank, grid.farthest["sign"].rank, grid.farthest["sign"].turned) == (
        1.0,
        2.0,
        1.0,
    )
    assert Run.load(tmp_path).to_json() == run.to_json()
    from assay.report.formats.markdown import markdown

    assert "SCO103" in markdown(run.record)


def test_several_targets_cost_what_the_plan_says_and_no_more_passes_than_one() -> None:
    model, x = pictures()
    given = small(scores={"deletion": {"steps": 8}}, settings_grid=True)
    prepared = prepare(model, x, **given)
    (step,) = [step for step in prepared.plan.steps if step.method == "settings_grid"]
    assert step.options["targets"][0].name == "logit"
    assert step.options["targets"][1:] == ("log_odds", "probability")
    assert step.options["steps"] == (8, 2)
    run = prepared.run()
    assert run.record.cost["model evaluations requested"] == run.record.cost["model evaluations requested, planned"]
    curve, rows, explained = 8 + 2, 3, 3
    assert step.cost.forwards == rows * explained * curve * 3 * 2  # three removals, two signs; targets are free
    assert grid_of(run).cost["forwards"] <= step.cost.forwards
    assert len(grid_of(run).settings) == 3 * 3 * 2 * 2


def test_one_target_reads_what_the_audit_knows_already(run: Run) -> None:
    cost = run.record.cost
    assert cost["model evaluations requested"] == cost["model evaluations requested, planned"]
    model, x = planted()
    own = settings.grid_cost
    prepared = prepare(model, x, background=np.zeros((4, 3)), settings_grid=True, **small())
    (step,) = [step for step in prepared.plan.steps if step.method == "settings_grid"]
    assert own(prepared.scope, step.options, "deletion", 3) == step.cost
    assert grid_of(run).cost["forwards"] <= 3 * 20 * 7 * 2


@pytest.mark.parametrize("made", [planted, lambda: table()[:2]], ids=["one target", "two targets"])
def test_an_audit_that_goes_on_ends_with_the_same_bytes(made: Any, tmp_path: Path) -> None:
    model, x = made()
    given = small(settings_grid=True, store=tmp_path) | {"methods": ["shapley", "occlusion"]}
    whole = assay.audit(model, x[-6:], **given)
    place = next(p for p in tmp_path.glob("??/*.assay") if isinstance(load(p).contents["outcome"], SettingsGrid))
    before = place.read_bytes()
    expected = json.loads(whole.to_json())
    for resumed in (True, False):
        if resumed:
            place.unlink()
        again = assay.audit(model, x[-6:], **given)
        assert (int(again.record.times["model evaluations now"].replace(",", "")) > 2 * 6) is resumed
        assert place.read_bytes() == before
        assert {**json.loads(again.to_json()), "times": {}} == {**expected, "times": {}}


def test_it_is_made_in_profile_deep_and_where_it_is_asked_for() -> None:
    model, x = planted()

    def planned(**options: Any) -> bool:
        steps = prepare(model, x, **{**small(), **options}).plan.steps
        return any(step.method == "settings_grid" for step in steps)

    assert {name for (_, name), profile in all_profiles().items() if profile.settings_grid} == {"deep"}
    assert planned(profile="deep")
    assert not planned(profile="deep", settings_grid=False)
    assert not planned(profile="standard")
    assert planned(profile="quick", settings_grid=True)
    assert not planned(profile="deep", select=("EXP",))
    assert not planned(profile="deep", ignore=("SCO103",))
    assert planned(profile="quick", settings_grid=True, select=("SCO",))


def test_an_audit_that_is_not_asked_has_none() -> None:
    model, x = planted()
    run = assay.audit(model, x, **small())
    assert run.record.settings_grid is None
    assert json.loads(run.to_json())["settings_grid"] is None
    assert "SCO103" not in {finding.code for finding in run.findings}


def test_what_it_lacks_is_told() -> None:
    model, x = planted()
    for given, grid in (
        ({"methods": ["shapley"]}, "two explanations or more"),
        ({"scores": ["sparseness"]}, "a score of faithfulness"),
    ):
        laid = prepare(model, x, **small(settings_grid=True, **given)).plan
        (why,) = [item.why for item in laid.skipped if item.what == "diagnose.settings_grid"]
        assert grid in why


def test_removals_fit_the_data() -> None:
    model, x = pictures()
    setting = prepare(model, x, **small()).scope
    assert list(settings.removals(setting)) == ["blur", "mean image", "zeros"]
    assert isinstance(setting.remove, Blur)
    import pandas as pd

    frame = pd.DataFrame({"age": np.arange(12.0), "job": ["cook", "clerk", "nurse"] * 4})
    coded = assay.model.function(lambda rows: np.ones(len(rows)))
    words = settings.removals(prepare(coded, frame, **small()).scope)
    assert [type(removal) for removal in words.values()] == [Marginal, Conditional]
    plain = settings.removals(prepare(*planted(), **small()).scope)
    assert [type(removal) for removal in plain.values()] == [Marginal, Mean, Conditional]


def test_the_file_and_the_command_line_ask_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config(None).audit.settings_grid is None
    Path("assay.toml").write_text("[audit]\nsettings_grid = true\n", encoding="utf-8")
    assert load_config(None, {"audit": {"settings_grid": None}}).audit.settings_grid is True
    assert load_config(None, {"audit": {"settings_grid": False}}).audit.settings_grid is False
