"""Faults of data that no model is needed for: planted ones are found, clean data do not fail."""

from functools import cache
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits

import assay
from assay import diagnose
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.engine.data_quality.label_patterns import adjacent_agreement, group_cues, is_like_ids
from assay.engine.data_quality.near_duplicates import near_duplicates
from assay.engine.data_quality.near_texts import jaccard, shingles, similar_pairs
from assay.nouns.results.finding import Finding


@cache
def first_column() -> Any:
    return assay.model.function(lambda x: x[:, 0], gives="margin", classes=("no", "yes"), name="first_column")


def frame_model() -> Any:
    def predict(rows: Any) -> Any:
        p = 1 / (1 + np.exp(-np.nan_to_num(rows["a"].to_numpy(float))))
        return np.stack([1 - p, p], axis=1)

    return assay.model.function(predict, gives="probabilities", classes=("no", "yes"), name="by_hand")


def explored(model: Any, x: Any, y: Any, held_out: int = 150, **options: Any) -> dict[str, Finding]:
    """Findings where the first rows are held out."""
    case = assay.case(model, x[:held_out], ids=[f"row {i}" for i in range(held_out)])
    found = diagnose.exploration(case, y[:held_out], x[held_out:], y[held_out:], **options)
    return {finding.code: finding for finding in found}


def clean(seed: int, rows: int = 450, columns: int = 4) -> tuple[Any, Any]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, columns))
    return x, (generator.random(rows) < 1 / (1 + np.exp(-2 * x[:, 0]))).astype(int)


def framed(seed: int, rows: int = 600) -> tuple[pd.DataFrame, Any]:
    x, y = clean(seed, rows)
    return pd.DataFrame(x, columns=list("abcd")), y


# ---------------------------------------------------------------------------------------------------- near-copies


@pytest.mark.parametrize("kind", ["normal", "skewed", "mixed", "clustered", "wide"])
def test_rows_drawn_independently_have_no_near_copies(kind: str) -> None:
    found = 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        x = generator.normal(size=(500, 20 if kind == "wide" else 5))
        if kind == "skewed":
            x = np.exp(1.5 * x)
        if kind == "mixed":
            x[:, 3:] = generator.integers(3, size=(500, 2))
        if kind == "clustered":
            x = 0.01 * x + generator.integers(4, size=(500, 1))
        found += int(near_duplicates(x[300:], x[:300], Seed(seed)).found.sum())
        found += int(near_duplicates(x[:300], x[:300], Seed(seed), own=np.arange(300)).found.sum())
    assert found <= 12  # of 10,000 rows; 2 are expected


def test_the_law_of_the_ratio_is_that_of_uniform_points() -> None:
    x = np.random.default_rng(0).random((4000, 3))
    found = near_duplicates(x[:1500], x, Seed(0), own=np.arange(1500))
    assert_allclose(found.dimension, 3, rtol=0.1)
    for share in (0.1, 0.3, 0.5):  # P((r1 / r6)^D < s) = 1 − (1 − s)^5
        assert_allclose((found.ratio**3 < share).mean(), 1 - (1 - share) ** 5, atol=0.05)


@pytest.mark.parametrize("columns", [4, 30])
def test_changed_copies_across_the_split_are_named_with_their_rows(columns: int) -> None:
    x, y = clean(1, columns=columns)
    x[:12] = x[200:212] + 1e-4 * np.random.default_rng(0).normal(size=(12, columns))
    finding = explored(first_column(), x, y)["DAT301"]
    assert finding.verdict == "fail"
    assert set(finding.rows) == {f"row {i}" for i in range(12)}
    pairs = {line["held-out row"]: line["training row"] for line in finding.evidence["pairs"]}
    assert pairs == {f"row {i}": str(i + 50) for i in range(12)}


def test_pictures_that_differ_by_noise_are_copies() -> None:
    x, y = load_digits(return_X_y=True)
    images = x[:700].reshape(-1, 1, 8, 8) / 16
    images[:10] = images[300:310] + 0.003 * np.random.default_rng(0).normal(size=(10, 1, 8, 8))
    model = assay.model.function(
        lambda rows: rows.reshape(len(rows), -1)[:, :10], gives="margin", classes=tuple("0123456789")
    )
    finding = explored(model, images, y[:700])["DAT301"]
    assert {f"row {i}" for i in range(10)} <= set(finding.rows)
    assert len(finding.rows) <= 11
    assert finding.verdict == "fail"


def test_a_table_whose_columns_repeat_their_values_is_not_judged_for_near_copies() -> None:
    generator = np.random.default_rng(0)
    x = generator.integers(4, size=(400, 3)).astype(float)
    finding = explored(first_column(), x, (x[:, 0] > 1).astype(int))["DAT301"]
    assert finding.verdict == "not applicable"
    assert "by chance" in finding.claim


def test_texts_that_share_most_of_their_word_sequences_are_pairs() -> None:
    generator = np.random.default_rng(0)
    words = [f"word{i}" for i in range(400)]
    texts = [" ".join(generator.choice(words, 60)) for _ in range(120)]
    texts[7] = texts[3].replace(texts[3].split()[30], "other", 1)
    texts[110] = texts[90].upper()
    pairs = similar_pairs(texts, Seed(0))
    sets = [shingles(text) for text in texts]
    every = {(i, j) for i in range(120) for j in range(i + 1, 120) if jaccard(sets[i], sets[j]) >= 0.8}
    assert {(one, other) for one, other, _ in pairs} == every == {(3, 7), (90, 110)}


def test_contradicting_labels_of_copies_are_counted_and_named() -> None:
    x, y = clean(2)
    x[300:320] = x[400:420]
    y[300:320] = y[400:420]
    y[300:305] = 1 - y[300:305]
    finding = explored(first_column(), x, y)["DAT302"]
    assert finding.estimate == 5 / 20
    assert finding.evidence["copies"] == 20
    assert set(finding.rows) == {str(i) for start in (150, 250) for i in range(start, start + 5)}
    assert explored(first_column(), *clean(3))["DAT302"].verdict == "not applicable"


# ------------------------------------------------------------------------------------------------- ids and order


def test_agreement_is_0_for_random_labels_and_near_1_for_sorted_ones() -> None:
    generator = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 100)
    assert adjacent_agreement(y, np.arange(300)).mean() > 0.98
    means = [adjacent_agreement(y, generator.permutation(300)).mean() for _ in range(500)]
    assert abs(np.mean(means)) < 4 * np.std(means) / np.sqrt(500)


def test_a_column_that_numbers_sorted_rows_fails_and_one_of_shuffled_rows_passes() -> None:
    frame, y = framed(0)
    frame["number"] = np.argsort(np.argsort(y, kind="stable")) + 1000
    found = explored(frame_model(), frame, y)
    assert found["DAT303"].verdict == "fail"
    assert found["DAT303"].evidence["column"] == "number"
    assert found["DAT304"].estimate < 0.15
    frame["number"] = np.random.default_rng(0).permutation(len(frame))
    assert explored(frame_model(), frame, y)["DAT303"].verdict == "pass"


def test_an_order_of_the_rows_that_shows_the_label_is_outside_its_null_interval() -> None:
    frame, y = framed(1)
    order = np.concatenate([np.arange(150), 150 + np.argsort(y[150:], kind="stable")])
    finding = explored(frame_model(), frame.iloc[order].reset_index(drop=True), y[order])["DAT304"]
    assert finding.verdict == "informative"
    assert finding.null_interval is not None
    assert finding.estimate > 0.9 > finding.null_interval.high


def test_numbers_that_differ_are_ids_only_where_they_are_dense() -> None:
    generator = np.random.default_rng(0)
    assert is_like_ids(generator.permutation(100).astype(float), False)
    assert not is_like_ids(generator.normal(size=100), False)
    assert not is_like_ids(np.cumsum(generator.integers(1, 10**6, 100)).astype(float), False)
    assert not is_like_ids(np.repeat(np.arange(50.0), 2), False)


# ---------------------------------------------------------------------------------------- gaps, cues and groups


def test_gaps_that_show_the_label_fail_and_random_gaps_do_not() -> None:
    frame, y = framed(2)
    generator = np.random.default_rng(0)
    shown = frame.copy()
    shown.loc[(y == 1) & (generator.random(len(y)) < 0.5), "c"] = np.nan
    finding = explored(frame_model(), shown, y)["DAT305"]
    assert finding.verdict == "fail"
    assert (finding.evidence["column"], finding.evidence["class"]) == ("c", "yes")
    measured = shown.iloc[150:].reset_index(drop=True)
    odd = np.arange(len(measured)) % 2 == 1
    gone, own = measured["c"].isna().to_numpy() & odd, y[150:] == 1
    assert_allclose(finding.estimate, own[gone].mean() - own[odd & ~gone].mean())
    frame.loc[generator.random(len(y)) < 0.3, "c"] = np.nan
    assert explored(frame_model(), frame, y)["DAT305"].verdict == "pass"


def test_a_column_that_predicts_in_one_group_only_is_named() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(1200, 3)), generator.integers(2, size=1200)
    groups = np.where(generator.random(1200) < 0.4, "north", "south")
    x[groups == "north", 1] += 3 * y[groups == "north"]
    top = group_cues(x, np.zeros(3, bool), ("a", "b", "c"), y, {"home": groups.tolist()}, 0.95)[0]
    assert (top.column, top.group) == ("b", "north")
    assert top.limits.low > 0.3
    assert top.inside > 0.85
    assert abs(top.outside - 0.5) < 0.08


def test_cues_of_data_without_any_are_rarely_above_0() -> None:
    above = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        x, y = generator.normal(size=(300, 5)), generator.integers(2, size=300)
        groups = {"home": generator.choice(["n", "e", "s"], 300).tolist()}
        above += any(cue.limits.low > 0 for cue in group_cues(x, np.zeros(5, bool), tuple("abcde"), y, groups, 0.95))
    assert above <= 5


def test_the_largest_gap_of_a_class_between_groups_is_reported_with_the_counts() -> None:
    frame, y = framed(4)
    groups = np.where(y[150:] == 1, "north", np.random.default_rng(0).choice(["north", "south"], 450)).tolist()
    finding = explored(frame_model(), frame, y, groups={"home": groups})["DAT307"]
    own = np.array(groups)
    shares = [(y[150:][own == one] == 1).mean() for one in ("north", "south")]
    assert_allclose(finding.estimate, shares[0] - shares[1])
    assert finding.evidence["rows by group and class"]["home"]["south"] == [int((own == "south").sum()), 0]


# -------------------------------------------------------------------------------------------------- the whole


@pytest.mark.parametrize("seed", range(3))
def test_clean_data_fail_no_check_and_cost_no_evaluation(seed: int) -> None:
    x, y = clean(seed)
    before = first_column().meter.requested
    found = explored(first_column(), x, y)
    assert [code for code, finding in found.items() if finding.verdict == "fail"] == []
    assert found["DAT301"].verdict == "pass"
    assert first_column().meter.requested == before


@pytest.mark.judge
def test_clean_data_fail_in_at_most_16_of_200_runs() -> None:
    failures = 0
    for seed in range(200):
        frame, y = framed(seed, 500)
        frame["number"] = np.arange(500)
        frame.loc[np.random.default_rng(seed).random(500) < 0.2, "d"] = np.nan
        failures += any(one.verdict == "fail" for one in explored(frame_model(), frame, y).values())
    assert failures <= 16


def test_a_regression_is_explored_by_quarters() -> None:
    x, _ = clean(5)
    model = assay.model.function(lambda rows: rows[:, 0], gives="values", name="first")
    found = explored(model, x, x[:, 0])
    assert found["DAT304"].verdict == "informative"
    assert found["DAT301"].verdict == "pass"


def test_many_rows_take_seconds() -> None:
    x, y = clean(6, rows=60_000, columns=8)
    start = perf_counter()
    explored(first_column(), x, y, held_out=10_000)
    assert perf_counter() - start < 20  # about 2 seconds on an idle core


def test_groups_of_another_length_are_refused() -> None:
    x, y = clean(7)
    with pytest.raises(InputError, match="2 groups of 'home' for 300 training rows"):
        explored(first_column(), x, y, groups={"home": ["a", "b"]})
