"""Segments of rows in which a model is worse: planted ones are found and named, homogeneous errors rarely fail."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import assay
from assay import diagnose
from assay.basics.errors import CapabilityError, InputError
from assay.basics.stats import largest_mean_gap_interval
from assay.engine.performance import segments as segments_module
from assay.engine.performance.expected_errors import expected_errors
from assay.engine.performance.labelled_outputs import LabelledOutputs
from assay.engine.performance.segments import least_rows, search_rows, worst_segments
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.results.finding import Finding

ROWS = 1500


def frame(seed: int, rows: int = ROWS) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    table = pd.DataFrame({"score": generator.normal(size=rows), "age": np.round(generator.normal(45, 12, rows))})
    table["income"] = np.where(generator.random(rows) < 0.1, np.nan, generator.lognormal(3, 1, rows))
    table["job"] = generator.choice(["clerk", "cook", "nurse", "miner"], rows)
    return table


def labels(table: pd.DataFrame, wrong: Any, seed: int) -> Any:
    """The sign of the score, wrong with these probabilities (row,)."""
    flipped = np.random.default_rng(seed + 5000).random(len(table)) < wrong
    return np.where((table["score"] > 0).to_numpy() ^ flipped, "yes", "no")


def decides(table: Any) -> Any:
    chance = np.where(np.asarray(table["score"]) > 0, 0.9, 0.1)
    return np.stack([1 - chance, chance], axis=1)


def case(table: Any, seed: int = 0, **more: Any) -> Any:
    model = assay.wrap(decides, output="probabilities", classes=("no", "yes"))
    return assay.case(model, table, seed=seed, **more)


def found(table: Any, y: Any, seed: int = 0, **options: Any) -> Finding:
    (finding,) = diagnose.weak_segments(case(table, seed), y, **options)
    return finding


@cache
def planted() -> tuple[pd.DataFrame, Any]:
    """Decisions about 8 % of the rows, old clerks, are wrong half of the time, others one in ten."""
    table = frame(0)
    weak = (table["age"] > table["age"].quantile(0.68)) & (table["job"] == "clerk")
    assert 0.06 < weak.mean() < 0.1
    return table, labels(table, np.where(weak, 0.6, 0.1), 0)


def test_a_segment_of_two_columns_is_found_named_and_measured() -> None:
    table, y = planted()
    finding = found(table, y)
    assert (finding.code, finding.verdict) == ("PER201", "fail")
    worst = finding.evidence["segments"][0]
    assert worst["condition"].startswith("age > ")
    assert worst["condition"].endswith(" and job is clerk")
    border = float(worst["condition"].split()[2])
    searched, measured = search_rows(case(table), assay.Seed(0).child("weak segments"))
    inside = ((table["age"] > border) & (table["job"] == "clerk")).to_numpy()[measured]
    wrong = (y != np.where(table["score"] > 0, "yes", "no"))[measured]
    assert_allclose(worst["error"], wrong[inside].mean())
    rate = {up: (y[searched] == "yes")[(table["score"] > 0).to_numpy()[searched] == up].mean() for up in (True, False)}
    expected = np.where(table["score"].to_numpy()[measured] > 0, 1 - rate[True], rate[False])  # two scores, two rates
    excess = wrong - expected
    assert_allclose(finding.estimate, excess[inside].mean() - excess[~inside].mean())
    assert_allclose(worst["error of rows of the same score"], expected[inside].mean())
    assert worst["rows"] == inside.sum()
    assert len(searched) + len(measured) == ROWS
    assert_allclose([worst[name] for name in worst if "own" in name], [0.1, 0.1])  # the model does not expect it


def borderline(seed: int, rows: int, sharpness: float = 1.0) -> tuple[pd.DataFrame, Any, Any]:
    """Labels drawn from the very probabilities of the model: errors are at the border between the classes."""
    table = frame(seed, rows)
    chance = 1 / (1 + np.exp(-3 * table["score"].to_numpy()))
    y = np.random.default_rng(seed + 700).random(rows) < chance
    model = assay.wrap(lambda t: sharpness * 3 * np.asarray(t["score"]), output="margin", classes=("no", "yes"))
    return table, np.where(y, "yes", "no"), model


@pytest.mark.parametrize("sharpness", [1.0, 5.0])
def test_a_noisy_border_that_the_scores_show_is_a_fact_and_no_fault(sharpness: float) -> None:
    table, y, model = borderline(0, 20_000, sharpness)
    (finding,) = diagnose.weak_segments(assay.case(model, table), y)
    assert finding.verdict == "pass"
    worst = finding.evidence["most errors"][0]
    assert "score" in worst["condition"]
    assert worst["low"] > 0.15  # the plain difference of error rates would fail
    assert (
        f"The segment with the largest share of errors: {worst['error']:.1%} where {worst['condition']}"
        in finding.claim
    )


def test_decisions_moved_by_class_weights_are_no_weak_segment() -> None:
    table, y, _ = borderline(1, 10_000)
    moved = assay.wrap(lambda t: 3 * np.asarray(t["score"]) + 3.0, output="margin", classes=("no", "yes"))
    (finding,) = diagnose.weak_segments(assay.case(moved, table), y)
    assert finding.verdict == "pass"
    assert finding.evidence["most errors"][0]["low"] > 0.15


def test_a_model_that_learnt_flipped_labels_in_a_segment_fails_there() -> None:
    table, y, _ = borderline(2, 6000)
    weak = ((table["age"] > table["age"].quantile(0.68)) & (table["job"] == "clerk")).to_numpy()
    x = table.assign(clerk=table["job"] == "clerk")[["score", "age", "clerk"]].to_numpy(dtype=float)
    taught = np.where(weak, y == "no", y == "yes")
    forest = RandomForestClassifier(30, min_samples_leaf=5, random_state=0).fit(x[:3000], taught[:3000])
    own = assay.case(assay.wrap(forest), x[3000:], names=["score", "age", "clerk"])
    (finding,) = diagnose.weak_segments(own, (y == "yes")[3000:].astype(int))
    assert finding.verdict == "fail"
    assert "age > " in finding.claim
    assert "clerk" in finding.claim.split("(")[0]


@pytest.mark.parametrize("kind", ["probabilities", "logits", "scores", "decisions"])
def test_the_expected_error_is_that_of_rows_of_the_same_score(kind: str) -> None:
    generator = np.random.default_rng(3)
    logits = generator.normal(size=(6000, 3)) * 2
    chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = (chance.cumsum(axis=1) < generator.random((6000, 1))).sum(axis=1)
    given = {"probabilities": chance, "logits": logits, "scores": logits, "decisions": np.eye(3)[logits.argmax(axis=1)]}
    names = {"scores": OutputKind("logits", link="none"), "decisions": OutputKind("probabilities")}
    rows = LabelledOutputs(given[kind], y, names.get(kind, OutputKind(kind)), (), y)
    assert (rows.probabilities is None) == (kind == "scores")
    expected = expected_errors(rows, np.arange(3000))
    true = 1 - chance.max(axis=1)
    if kind == "decisions":
        assert_allclose(expected, (y != logits.argmax(axis=1))[:3000].mean())
    else:
        assert abs(expected - true).mean() < (0.02 if kind != "scores" else 0.06)  # a lead leaves out the third class
    assert abs(expected.mean() - true.mean()) < 0.02


def test_rows_with_a_missing_number_are_a_segment() -> None:
    table = frame(1)
    finding = found(table, labels(table, np.where(table["income"].isna(), 0.6, 0.1), 1))
    assert finding.verdict == "fail"
    assert "Where income is missing (" in finding.claim


@pytest.mark.parametrize("missing", [None, np.nan])
def test_rows_with_a_missing_level_are_a_segment(missing: Any) -> None:
    table = frame(2)
    gone = np.random.default_rng(0).random(ROWS) < 0.1
    table["job"] = table["job"].astype(object).where(~gone, missing)
    finding = found(table, labels(table, np.where(gone, 0.6, 0.1), 2))
    assert "Where job is missing (" in finding.claim


def test_a_segment_of_one_bound_is_named_by_it_and_by_the_name_of_the_column() -> None:
    generator = np.random.default_rng(3)
    x = generator.normal(size=(4000, 3))
    y = (x[:, 0] > 0) ^ (generator.random(4000) < np.where(x[:, 2] > 1.0, 0.6, 0.1))
    model = assay.wrap(lambda x: x[:, 0], output="margin", classes=("no", "yes"))
    (finding,) = diagnose.weak_segments(assay.case(model, x, names=["a", "b", "c"]), y.astype(int))
    name, sign, bound = finding.evidence["segments"][0]["condition"].split()
    assert (name, sign) == ("c", ">")
    assert_allclose(float(bound), 1.0, atol=0.05)


def test_a_segment_of_a_categorical_polars_frame_is_found() -> None:
    table, y = planted()
    finding = found(pl.from_pandas(table).with_columns(pl.col("job").cast(pl.Categorical)), y)
    assert " and job is clerk" in finding.claim


@pytest.fixture(scope="module")
def homogeneous() -> list[Finding]:
    found_all = []
    for seed in range(60):
        table = frame(seed, 400)
        found_all.append(found(table[["score", "age", "job"]], labels(table, 0.2, seed), seed, gap=0.0))
    return found_all


def test_homogeneous_errors_are_rarely_called_a_segment(homogeneous: list[Finding]) -> None:
    verdicts = [finding.verdict for finding in homogeneous]
    assert verdicts.count("fail") <= 6  # with a gap of 0 allowed; 5 % of 60 and two standard errors
    assert all(finding.interval is not None and finding.interval.low < 0.15 for finding in homogeneous)


def test_a_difference_measured_in_other_rows_is_not_inflated_by_the_search(homogeneous: list[Finding]) -> None:
    every = [line["difference"] for finding in homogeneous for line in finding.evidence["segments"]]
    assert abs(np.mean(every)) < 0.02


def test_the_loss_of_the_measured_rows_does_not_choose_the_segments() -> None:
    table, y = planted()
    own = case(table)
    loss = (y != np.where(table["score"] > 0, "yes", "no")).astype(float)
    searched, measured = search_rows(own, assay.Seed(1))
    other = loss.copy()
    other[measured] = 1 - loss[measured]
    one, two = (worst_segments(own, values, searched, measured, 5) for values in (loss, other))
    assert [segment.condition for segment in one] == [segment.condition for segment in two]


def test_segments_are_large_enough_on_both_sides_and_share_at_most_half_of_their_rows() -> None:
    table, y = planted()
    own = case(table)
    loss = (y != np.where(table["score"] > 0, "yes", "no")).astype(float)
    searched, measured = search_rows(own, assay.Seed(1))
    chosen = worst_segments(own, loss, searched, measured, 8)
    assert len(chosen) == 8
    assert min(segment.inside.sum() for segment in chosen) >= least_rows(len(measured)) == 30
    assert (least_rows(100), least_rows(501)) == (20, 21)
    shared = [(a.inside & b.inside).sum() / (a.inside | b.inside).sum() for a, b in combinations(chosen, 2)]
    assert max(shared) < 0.6  # at most half of the searched rows, and about as many of the others
    assert not set(searched) & set(measured)


def test_many_rows_are_searched_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments_module, "MAX_SEARCHED", 400)
    table, y = planted()
    evidence = found(table, y).evidence
    assert (evidence["rows searched"], evidence["rows measured"]) == (400, 1100)


def test_pairs_are_searched_among_a_limited_number_of_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    table, y = planted()
    assert any(" and " in line["condition"] for line in found(table, y).evidence["segments"])
    monkeypatch.setattr(segments_module, "PAIRED_COLUMNS", 1)
    assert not any(" and " in line["condition"] for line in found(table, y).evidence["segments"])


def test_the_order_of_the_rows_changes_nothing() -> None:
    table, y = planted()
    names = [f"r{i}" for i in range(ROWS)]
    order = np.random.default_rng(0).permutation(ROWS)
    (one,) = diagnose.weak_segments(case(table, ids=names), y)
    (two,) = diagnose.weak_segments(case(table.iloc[order], ids=[names[i] for i in order]), y[order])
    assert (one.claim, one.estimate, one.interval) == (two.claim, two.estimate, two.interval)


def test_the_interval_is_that_of_all_segments_together_at_any_level() -> None:
    table, y = planted()
    finding = found(table, y, most=3)
    assert finding.basis is not None
    assert finding.basis.data["inside"].shape[1] == len(finding.evidence["segments"]) == 3
    assert finding.interval == finding.basis.at(0.95) == largest_mean_gap_interval(**finding.basis.data)
    lows = [line["low"] for line in finding.evidence["segments"]]
    assert finding.interval is not None
    assert_allclose(finding.interval.low, max(lows))
    assert lows == sorted(lows, reverse=True)


def test_the_threshold_decides() -> None:
    table, y = planted()
    assert found(table, y, gap=0.9).verdict == "pass"


def values(table: Any) -> Any:
    return 2.0 * np.asarray(table["score"])


@pytest.mark.parametrize(("spread", "verdict"), [(3.0, "fail"), (1.0, "pass")])
def test_a_regression_is_measured_by_absolute_residuals_in_units_of_the_usual_one(spread: float, verdict: str) -> None:
    table = frame(4, 6000)
    noise = np.random.default_rng(9000).normal(size=len(table)) * np.where(table["job"] == "cook", spread, 1.0)
    model = assay.wrap(values, output="values")
    (finding,) = diagnose.weak_segments(assay.case(model, table), values(table) + noise)
    assert (finding.code, finding.verdict) == ("PER202", verdict)
    if verdict == "fail":
        assert finding.evidence["segments"][0]["condition"] == "job is cook"
        assert_allclose(
            finding.estimate, (spread - 1) / (1 + (spread - 1) / 4), rtol=0.1
        )  # units: the mean of all rows


def test_a_model_without_errors_has_no_weak_segment() -> None:
    table = frame(5, 200)
    assert found(table, labels(table, 0.0, 5)).verdict == "not applicable"


def test_fewer_than_a_hundred_rows_are_not_divided() -> None:
    table = frame(6, 99)
    finding = found(table, labels(table, 0.3, 6))
    assert finding.verdict == "not applicable"
    assert "99 rows are too few" in finding.claim


def test_images_texts_and_several_values_have_no_segments() -> None:
    y = np.arange(120) % 2
    images = np.random.default_rng(0).normal(size=(120, 1, 3, 3))
    texts = ["good film", "bad play"] * 60
    reader = make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts, y)
    of_images = assay.wrap(lambda x: np.asarray(x).reshape(len(x), -1)[:, :2], output="logits")
    several = assay.wrap(lambda x: np.asarray(x)[:, :2], output="values")
    for model, rows in ((of_images, images), (assay.wrap(reader), texts)):
        with pytest.raises(CapabilityError, match="needs a table"):
            diagnose.weak_segments(assay.case(model, rows), y)
    (finding,) = diagnose.weak_segments(assay.case(several, images.reshape(120, 9)), y)
    assert finding.verdict == "not applicable"
    assert "one_output" in finding.claim


@pytest.mark.parametrize("options", [{"level": 1.0}, {"gap": -0.1}, {"excess": -1.0}, {"most": 0}])
def test_options_outside_their_range_are_refused(options: Any) -> None:
    table = frame(7, 120)
    with pytest.raises(InputError, match=r"level|needed are"):
        found(table, labels(table, 0.2, 7), **options)


def test_the_same_seed_finds_the_same() -> None:
    table, y = planted()
    assert found(table, y, 3) == found(table, y, 3)
