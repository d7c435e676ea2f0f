"""Dependence, removal, calibration and radius curves: the points drawn are those of the result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.report.extreme_records import empty
from tests.report.plots.drawn import (
    CURVE,
    all_of,
    assert_on_one_scale,
    certified,
    curved,
    explained,
    number,
    parsed,
    points_of,
    removed,
    scored,
    table,
    words_of,
)

import assay
from assay import Constant, evaluate, examples, explain
from assay.auditing.run import Run
from assay.basics.errors import InputError
from assay.basics.stats import clopper_pearson
from assay.nouns.results.finding import Finding

GRID = [[0.0, 1.0, 4.0], [10.0, 20.0, np.nan]]
CURVES = np.array([[[0.0, 2.0, 3.0], [5.0, 4.0, np.nan]]])


def test_a_dependence_curve_has_its_points_and_bands_of_1_96_standard_errors() -> None:
    found = curved(CURVES, GRID, stderr=np.full_like(CURVES, 0.1))
    plot = found.plot()
    (points,) = points_of(found.plot(features="age")).values()
    assert [(p["x"], p["y"]) for p in points] == [(0.0, 0.0), (1.0, 2.0), (4.0, 3.0)]
    assert [p["high"] - p["low"] for p in points] == pytest.approx([0.392] * 3, abs=1e-3)
    assert_on_one_scale([p["cx"] for p in points], [p["x"] for p in points])
    assert_on_one_scale([-p["cy"] for p in points], [p["y"] for p in points])
    assert [panel.title for panel in plot.panels] == ["age", "income"]  # the larger range first


def test_the_line_of_a_curve_goes_through_its_points() -> None:
    plot = curved(CURVES, GRID).plot(features="age")
    (points,) = points_of(plot).values()
    (box,) = [e for e in parsed(plot).iter() if e.attrib.get("viewBox")]
    drawn = [tuple(map(float, pair.split())) for pair in box[0].attrib["d"].removeprefix("M").split("L")]
    left, width, top = number(box, "x"), number(box, "width"), number(box, "y")
    assert [left + width * x / 1000 for x, _ in drawn] == pytest.approx([p["cx"] for p in points], abs=0.02)
    assert [top + y for _, y in drawn] == pytest.approx([p["cy"] for p in points], abs=0.06)


def test_a_point_at_missing_values_is_in_the_caption() -> None:
    curves = np.array([[[0.0, 2.0, 7.5]]])
    assert "age missing: 7.5." in words_of(curved(curves, [[0.0, 1.0, np.nan]]).plot())


def test_levels_are_named_also_where_a_name_looks_like_the_next_code() -> None:
    found = curved(np.array([[[1.0, 2.0, 3.0]]]), [[0.0, 1.0, 2.0]])
    found = replace(found, description=("age: 0 = cook, 1 = a, b = c, 2 = 0 = x",))
    (panel,) = found.plot().panels
    assert panel.names == ("cook", "a, b = c", "0 = x")
    assert "cook" in words_of(found.plot())


def test_lines_of_rows_are_drawn_with_their_mean() -> None:
    lines = np.random.default_rng(0).normal(size=(5, 1, 3))
    found = explained(np.ones((5, 1)), method="ice", extra={"lines": lines, "grid": np.array([[0.0, 1.0, 2.0]])})
    plot = found.plot()
    assert [p["y"] for p in points_of(plot)["mean of the rows"]] == lines.mean(axis=0)[0].tolist()
    assert len(all_of(parsed(plot), "path")) == 6


def test_a_scatter_has_each_row_at_its_cell_and_value_with_whiskers() -> None:
    found = table(stderr=np.full((12, 4), 0.1))
    (points,) = points_of(found.plot("dependence", features="income")).values()
    assert [(p["x"], p["y"]) for p in points] == [
        (float(a), float(b)) for a, b in zip(found.x[:, 1], found.values[:, 1])
    ]
    assert [p["high"] - p["low"] for p in points] == pytest.approx([0.392] * 12, abs=1e-3)


def test_unknown_features_are_named() -> None:
    with pytest.raises(InputError, match="features='height'; the explanation has age, income"):
        table().plot("dependence", features="height")


def test_a_removal_curve_is_the_mean_over_rows_with_its_interval() -> None:
    plot = removed([[3.0, 1.0, 0.0], [5.0, 2.0, 0.0], [np.nan] * 3]).plot()
    (points,) = points_of(plot).values()
    assert [(p["x"], p["y"]) for p in points] == [(0.0, 4.0), (0.5, 1.5), (1.0, 0.0)]
    assert points[0]["high"] - 4.0 == pytest.approx(1.959964 * np.sqrt(2) / np.sqrt(2), abs=1e-6)
    assert "without a curve 1 row" in words_of(plot)


@pytest.mark.parametrize("name", ["deletion", "insertion", "morf", "lerf", "aopc", "abpc"])
def test_scores_of_ordered_removal_keep_the_curve_that_they_summarise(name: str) -> None:
    case = examples.additive((3.0, 1.0))  # v is 4 with both, 3 and 1 with one, 0 with none
    score = getattr(evaluate, name)(explain.integrated_gradients(case), case, remove=Constant(0.0))
    points = [[(p["x"], p["y"]) for p in line] for line in (points_of(score.plot()) or {}).values()]
    deletion, insertion = [(0.0, 4.0), (0.5, 1.0), (1.0, 0.0)], [(0.0, 0.0), (0.5, 3.0), (1.0, 4.0)]
    last = insertion if name in ("insertion", "lerf", "abpc") else deletion
    assert points[-1] == last
    sides = {panel.x_label for panel in score.plot().panels}
    assert ("share of the features removed" in sides) == (name not in ("insertion", "lerf"))


def test_rows_with_different_numbers_of_features_are_read_at_the_same_shares() -> None:
    share = np.array([[0.0, 0.5, 1.0], [0.0, 1.0, 1.0]])
    plot = scored([0.0, 0.0], removed=share, curve=np.array([[2.0, 1.0, 0.0], [4.0, 0.0, 0.0]])).plot()
    (points,) = points_of(plot).values()
    assert len(points) == 21
    assert [p["y"] for p in points] == pytest.approx([3 - 3 * p["x"] for p in points])


def test_a_reliability_curve_has_its_bins_exact_limits_and_columns() -> None:
    plot = assay.plot(CURVE)
    points = points_of(plot)["observed"]
    assert [(p["x"], p["y"]) for p in points] == list(zip(CURVE["predicted"], CURVE["observed"]))
    limits = [clopper_pearson(h, n) for h, n in ((8, 40), (5, 10), (21, 30))]
    assert [(p["low"], p["high"]) for p in points] == [(limit.low, limit.high) for limit in limits]
    columns = [(number(r, "data-x"), number(r, "data-share")) for r in all_of(parsed(plot), "rect", "data-share")]
    assert columns == [(0.1, 1.0), (0.5, 0.25), (0.9, 0.75)]
    assert_on_one_scale([p["cx"] for p in points], [p["x"] for p in points])


def test_given_limits_are_drawn_and_empty_bins_left_out() -> None:
    curve = {
        "predicted": [0.1, np.nan, 0.9],
        "observed": [0.2, np.nan, 0.7],
        "low": [0, np.nan, 0.5],
        "high": [0.4, np.nan, 1],
    }
    points = points_of(assay.plot(curve, "calibration"))["observed"]
    assert [(p["low"], p["high"]) for p in points] == [(0.0, 0.4), (0.5, 1.0)]


def test_the_reliability_curve_of_an_audit_is_drawn_from_its_evidence() -> None:
    bins = [
        {"mean probability": 0.1, "share of events": 0.2, "low": 0.1, "high": 0.35, "rows": 40},
        {"mean probability": 0.8, "share of events": 0.7, "low": 0.5, "high": 0.9, "rows": 20},
    ]
    finding = Finding("PER104", "pass", "calibrated", "model", evidence={"reliability curve": bins})
    plot = Run(replace(empty(), findings=(finding,))).plot("calibration")
    points = points_of(plot)["observed"]
    assert [(p["x"], p["y"], p["low"], p["high"]) for p in points] == [(0.1, 0.2, 0.1, 0.35), (0.8, 0.7, 0.5, 0.9)]
    assert assay.plot(bins).svg == plot.svg


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predicted": [0.1, 0.5, 1.2]}, r"predicted lies in \[0, 1\]; got 0.1 … 1.2"),
        ({"count": [40, 10]}, "low and high together; got shapes"),
        ({"low": [0.1, 0.1, 0.1]}, "low and high together"),
        ({"bins": [1]}, "a reliability curve has arrays predicted, observed"),
        ({"count": [-1, 2, 3]}, "count lies in 0 …; got -1"),
    ],
)
def test_wrong_arrays_of_a_reliability_curve_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        assay.plot(CURVE | change)


def test_a_radius_curve_is_the_share_of_all_rows_certified_at_least_so_far() -> None:
    found = np.array([0.0, 1.0, 1.0, 3.0, np.nan])
    (points,) = points_of(certified(found).plot()).values()
    for before, after in zip(points[::2], points[1::2]):  # each level piece from one bound to the next
        assert before["y"] == after["y"] == np.mean(found >= after["x"])
        assert before["low"] == clopper_pearson(int((found >= after["x"]).sum()), 5).low
    assert points[-1]["y"] == 0.0
    assert "Abstained on 1 of 5 rows." in words_of(certified(found).plot())


def test_points_are_on_the_scale_of_the_ticks_of_both_axes() -> None:
    plot = assay.plot(CURVE)
    points = points_of(plot)["observed"]
    ticks = [t for t in all_of(parsed(plot), "text") if (t.text or "").replace(".", "").isdigit()]
    left = [
        (number(t, "y") - 4, float(t.text or ""))
        for t in ticks
        if t.attrib.get("text-anchor") == "end" and "13" in t.attrib["x"]
    ]
    below = [(number(t, "x"), float(t.text or "")) for t in ticks if t.attrib.get("text-anchor") == "middle"]
    assert len(left) > 2
    assert len(below) > 2
    assert_on_one_scale(*zip(*[(-y, value) for y, value in left], *[(-p["cy"], p["y"]) for p in points]))
    assert_on_one_scale(*zip(*below, *[(p["cx"], p["x"]) for p in points]))
