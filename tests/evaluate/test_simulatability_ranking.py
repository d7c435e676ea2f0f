"""Students rank explanations as their known quality does; differences are paired; what cannot be ranked is refused."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from tests.evaluate.known_ranks import (
    QUALITY,
    of_known_quality,
    planted_images,
    planted_table,
    planted_texts,
    rank_agreement,
)

import assay
from assay import Constant, evaluate, explain
from assay.basics.errors import CapabilityError, InputError

SUBJECTS: dict[str, Any] = {
    "table": lambda seed: planted_table("logistic", seed, 200),
    "texts": lambda seed: planted_texts(seed, 200),
    "images": lambda seed: planted_images(seed, 120),
}


@cache
def known(name: str, seed: int) -> tuple[Any, dict[str, Any]]:
    case, truth = SUBJECTS[name](seed)
    made = explain.random(case)
    return case, {quality: replace(made, values=values) for quality, values in of_known_quality(truth, seed).items()}


@pytest.mark.parametrize("name", SUBJECTS)
def test_the_known_truth_is_that_of_the_model(name: str) -> None:
    case, truth = SUBJECTS[name](0)
    exact = explain.occlusion(case, remove=Constant(0.0)).values
    assert_allclose(exact if name != "texts" else exact[:, : truth.shape[1]], truth, atol=1e-6)


@pytest.mark.parametrize("name", SUBJECTS)
def test_the_ranking_agrees_with_the_known_quality(name: str) -> None:
    found = []
    for seed in range(3):
        case, explanations = known(name, seed)
        ranking = evaluate.simulatability_ranking(explanations, case, taught=20, seeds=4)
        gains = [ranking.explanations[one].gain() for one in QUALITY]
        assert gains[0] > gains[-2] > gains[-1]
        found.append(rank_agreement(gains, list(QUALITY.values())))
    assert np.mean(found) >= 0.7


def test_differences_are_paired_by_draw_and_row() -> None:
    case, explanations = known("table", 0)
    names = ("true", "noise of 3", "flipped")
    ranking = evaluate.simulatability_ranking({name: explanations[name] for name in names}, case, taught=20, seeds=4)
    assert list(ranking.order) == sorted(names, key=lambda name: -ranking.explanations[name].gain())
    one, other = ranking.explanations["true"], ranking.explanations["flipped"]
    apart = one.gains["explained"] - other.gains["explained"]
    rows = one.row_gains - other.row_gains
    rows = rows[~np.isnan(rows)]
    error = np.hypot(apart.std(ddof=1) / 2, rows.std(ddof=1) / np.sqrt(len(rows)))
    half = stats.t.ppf(1 - 0.05 / 3 / 2, 3) * error
    limits = ranking.difference_interval("true", "flipped")
    assert_allclose((limits.low, limits.high), (apart.mean() - half, apart.mean() + half))
    assert ranking.difference("true", "flipped") == pytest.approx(apart.mean())
    same = evaluate.simulatability_ranking({"a": explanations["true"], "b": explanations["true"]}, case, taught=20)
    assert same.difference_interval("a", "b").low == same.difference_interval("a", "b").high == 0.0
    assert "no clear difference" in repr(same)


def test_row_gains_are_means_over_the_draws_that_examined_a_row() -> None:
    case, explanations = known("table", 1)
    found = evaluate.simulatability(explanations["true"], case, taught=150, seeds=2)
    root = case.seed.child("simulatability")
    drawn = [set(root.child(n, "rows").generator().permutation(200)[:150].tolist()) for n in range(2)]
    never = drawn[0] & drawn[1]
    assert len(never) > 80
    assert set(np.flatnonzero(np.isnan(found.row_gains)).tolist()) == never
    examined = np.array([sum(row not in one for one in drawn) for row in range(200)])
    assert_allclose(np.nansum(found.row_gains * examined) / 50, found.gains["explained"].sum(), atol=1e-12)


def test_the_ranking_is_read_back_and_a_frame_has_a_line_for_each_arm(tmp_path: Path) -> None:
    case, explanations = known("texts", 0)
    found = evaluate.simulatability_ranking([explanations["true"]], case, taught=20, seeds=3)
    read = assay.load(found.save(tmp_path / "found.assay"))
    assert repr(read) == repr(found)
    assert_array_equal(read.explanations["random"].row_gains, found.explanations["random"].row_gains)
    frame = found.to_frame()
    assert frame["arm"].tolist() == ["none", "explained", "random", "flipped"]
    assert set(frame["explanation"]) == {"random"}


def test_what_cannot_be_ranked_is_refused() -> None:
    case, explanations = known("table", 0)
    true = explanations["true"]
    for wrong, words in (({}, "no explanation"), ([true, true], "Give names")):
        with pytest.raises(InputError, match=words):
            evaluate.simulatability_ranking(wrong, case, taught=20)
    for value in (np.nan, np.inf):
        values = true.values.copy()
        values[0, 0] = value
        with pytest.raises(InputError, match="NaN or infinite"):
            evaluate.simulatability(replace(true, values=values), case, taught=20)
    with pytest.raises(InputError, match="other classes"):
        evaluate.simulatability(true, case.with_target(label=0), taught=20)
    with pytest.raises(CapabilityError, match="raises the error"):
        evaluate.simulatability(true, case.with_target("loss", case.label), taught=20)
    for level in (0.0, 1.0, float("nan")):
        with pytest.raises(InputError, match="level"):
            evaluate.simulatability(true, case, taught=20, level=level)
    one = evaluate.simulatability(true, case, taught=20, seeds=2)
    other = evaluate.simulatability(true, case, taught=30, seeds=2)
    with pytest.raises(InputError, match="same draws"):
        one.gain_difference_interval(other)
    ranking = evaluate.simulatability_ranking([true], case, taught=20, seeds=2)
    with pytest.raises(InputError, match="there are random"):
        ranking.difference("random", "lime")
