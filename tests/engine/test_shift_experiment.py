"""The experiment on explanation shift: the study's numbers as one result, which is saved, read and plotted."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import assay
from assay import explain
from assay.basics.errors import InputError
from assay.engine.retraining.data_noise import feature_noise
from assay.experiments.shift import ShiftSettings, run_shift, trained_models
from assay.model.adapters.function import function
from assay.nouns.comparisons.shift_experiment import MEASURES, ShiftExperiment

X = np.random.default_rng(0).normal(size=(60, 4))
Y = X @ np.array([2.0, -1.0, 0.5, 0.0])
SETTINGS = ShiftSettings(sizes=(0.1, 1.0), strengths=(0.0, 50.0), k=2, repeats=3)


def ridge(x: Any, y: Any, seed: assay.Seed, strength: float) -> assay.Model:
    rows = seed.generator().integers(len(x), size=len(x))
    w = np.linalg.solve(x[rows].T @ x[rows] + strength * np.eye(4), x[rows].T @ y[rows])
    return function(lambda x: x @ w, gradient=lambda x: np.broadcast_to(w, x.shape), name="ridge", fingerprint=str(w))


RECIPE = assay.Recipe(ridge, X, Y, regularises=True)


def run(**options: Any) -> ShiftExperiment:
    return run_shift(RECIPE, X[:10], Y[:10], settings=SETTINGS, **options)


def test_the_lines_are_those_of_the_study() -> None:
    found = run()
    frame = assay.shift_study(
        RECIPE,
        X[:10],
        method=lambda case: explain.saliency(case, signed=True),
        shift=feature_noise,
        sizes=(0.1, 1.0),
        strengths=(0.0, 50.0),
        labels=Y[:10],
        k=2,
        repeats=3,
    )
    assert len(found.lines) == len(frame) == 4
    for line, row in zip(found.lines, frame.to_dict("records")):
        assert (line.strength, line.shift, line.pairs, line.sharpness) == (row["strength"], row["shift"], 3, None)
        for measure in MEASURES:
            assert line.means[measure] == row[measure]
            assert line.intervals[measure].low == row[f"{measure} low"]
            assert line.retraining[measure] == row[f"{measure} retraining"]
    assert found.lines[0].means["turned"] < found.lines[1].means["turned"]
    assert {line.name for line in found.lines} >= {"recipe, strength 50, shift 0.1"}
    assert trained_models(1, SETTINGS) == 2 * 3 * 3


def test_the_most_stable_setting_is_sought_among_comparable_ones() -> None:
    found = run()
    equal = [line for line in found.lines if not line.unequal]
    assert found.most_stable("distance").means["distance"] == min(line.means["distance"] for line in equal)
    assert found.most_stable("sign").means["sign"] == max(line.means["sign"] for line in equal)
    with pytest.raises(InputError, match="measure='size'"):
        found.most_stable("size")


def test_it_is_saved_read_and_written_as_json(tmp_path: Path) -> None:
    found = run()
    again = assay.load(found.save(tmp_path / "shift.assay"))
    assert repr(again) == repr(found)
    assert again.lines[1].intervals["sign"] == found.lines[1].intervals["sign"]
    plain = json.loads(found.to_json())
    assert plain["lines"][1]["means"]["sign"] == found.lines[1].means["sign"]
    assert plain["lines"][0]["weights"] is None
    assert math.isnan(found.lines[0].weights)


@pytest.mark.parametrize("measure", ["sign", "turned"])
def test_the_plot_shows_every_setting_with_its_interval_and_the_retraining(measure: str) -> None:
    found = run()
    plot = found.plot(measure=measure)
    assert plot.kind == "shift settings"
    assert list(plot.data["values"]) == [line.means[measure] for line in found.lines]
    assert list(plot.data["low"]) == [line.intervals[measure].low for line in found.lines]
    assert list(plot.data["retraining"]) == [line.retraining[measure] for line in found.lines]
    for line in found.lines:
        assert f"strength {line.strength:g}, shift {line.shift:g}" in plot.svg
    assert "95 % intervals over 3 pairs" in plot.svg


def test_a_method_by_name_with_its_options_and_target() -> None:
    found = run(of="input_x_gradient", target="value")
    assert found.method == "input_x_gradient"
    unsigned = run(of_options={"signed": False})
    assert all(line.means["sign"] == line.means["feature"] for line in unsigned.lines)


def test_an_unknown_measure_cannot_be_plotted() -> None:
    with pytest.raises(InputError, match="measure='size'"):
        run().plot(measure="size")
