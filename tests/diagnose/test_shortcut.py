"""Shortcuts: reliance and benefit by a slow loop, planted ones named, sound models pass."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import assay
from assay import diagnose
from assay.basics.errors import CapabilityError, InputError
from assay.basics.stats import Basis, student_interval
from assay.nouns.records.store import Bundle, load, save
from assay.nouns.results.finding import Finding, judge

NAMES = ("a", "b", "c")


def weighed(weights: Any, name: str = "weighed") -> Any:
    """A logistic model with known weights, in plain numpy."""
    return assay.model.function(
        lambda x: x @ np.asarray(weights, float), gives="margin", classes=("no", "yes"), name=name
    )


def drawn(generator: np.random.Generator, rows: int, weights: Any) -> tuple[Any, Any]:
    """Rows of independent normals and labels that follow a logistic model of these weights."""
    x = generator.normal(size=(rows, len(weights)))
    return x, (generator.random(rows) < 1 / (1 + np.exp(-x @ np.asarray(weights)))).astype(int)


def found_in(model: Any, x: Any, y: Any, background: Any, **options: Any) -> list[Finding]:
    names = None if isinstance(x, pd.DataFrame) else NAMES
    return diagnose.shortcut(assay.case(model, x, names=names), y, remove=assay.Marginal(background), **options)


def test_reliance_and_benefit_are_those_of_a_slow_loop() -> None:
    generator = np.random.default_rng(0)
    x, y = drawn(generator, 12, (1.0, -2.0, 0.5))
    background, weights = generator.normal(size=(7, 3)), np.array([1.0, -1.0, 0.0])
    by_name = {line["name"]: line for line in found_in(weighed(weights), x, y, background)[0].evidence["columns"]}

    def yes(row: Any) -> float:
        return float(1 / (1 + np.exp(-row @ weights)))

    for column, name in enumerate(NAMES):
        moved, rise = [], []
        for row, true in zip(x, y):
            filled = []
            for other in background:
                mixed = row.copy()
                mixed[column] = other[column]
                filled.append(yes(mixed))
            before, after = yes(row), float(np.mean(filled))
            moved.append(abs(before - after))
            rise.append(2 * (after - true) ** 2 - 2 * (before - true) ** 2)
        assert_allclose(by_name[name]["reliance"], np.mean(moved), atol=1e-12)
        assert_allclose(by_name[name]["benefit"], np.mean(rise), atol=1e-12)
        assert_allclose(by_name[name]["benefit stderr"], np.std(rise, ddof=1) / np.sqrt(12), atol=1e-12)
        assert_allclose(by_name[name]["reliance stderr"], np.std(moved, ddof=1) / np.sqrt(12), atol=1e-12)


def test_the_columns_are_sorted_by_reliance_and_shares_add_up() -> None:
    x, y = drawn(np.random.default_rng(1), 60, (1.0, 2.0, 0.0))
    columns = found_in(weighed((1.0, 3.0, 0.0)), x, y, x[:20])[0].evidence["columns"]
    assert [line["name"] for line in columns] == ["b", "a", "c"]
    assert_allclose(sum(line["share"] for line in columns), 1.0)
    assert [line["considered"] for line in columns] == [True, True, False]


def planted(shuffled: bool) -> tuple[Any, Any, Any, Any]:
    """A frame whose branch predicts the label in training, and on held-out rows nothing (or as much, unshuffled)."""
    generator = np.random.default_rng(3)
    x, y = drawn(generator, 600, (1.0, 0.5))
    right = generator.random(600) < 0.95
    branch = np.where(right, y, 1 - y)
    branch[300:] = generator.permutation(branch[300:]) if shuffled else branch[300:]
    frame = pd.DataFrame({"age": x[:, 0], "income": x[:, 1], "branch_code": np.where(branch == 1, "north", "south")})
    frame["purpose"] = generator.choice(["car", "house", "study"], size=600)
    coder = make_column_transformer(
        (OneHotEncoder(), ["branch_code", "purpose"]), (StandardScaler(), ["age", "income"])
    )
    label = np.where(y == 1, "paid", "late")
    net = make_pipeline(coder, LogisticRegression()).fit(frame[:300], label[:300])
    return assay.wrap(net), frame[300:].reset_index(drop=True), label[300:], frame[:60]


def test_a_column_that_predicts_the_label_in_training_only_is_named_in_a_pipeline_on_a_frame() -> None:
    worst, suspect = found_in(*planted(shuffled=True), suspects=["branch_code"])
    assert worst.verdict == "fail"
    assert worst.claim.startswith("Removing `branch_code` (")
    assert worst.estimate < -0.1
    assert suspect.verdict == "fail"
    assert "`branch_code`" in suspect.claim
    assert suspect.evidence["rank by reliance"] == 1


def test_the_same_column_is_no_shortcut_where_it_still_predicts_the_label() -> None:
    worst = found_in(*planted(shuffled=False))[0]
    assert worst.verdict != "fail"


def test_a_column_that_misleads_a_plain_model_is_named() -> None:
    x, y = drawn(np.random.default_rng(4), 400, (2.0, 0.0, 0.0))
    worst = found_in(weighed((2.0, 2.0, 0.0)), x, y, x[:30])[0]
    assert worst.verdict == "fail"
    assert "`b`" in worst.claim


def test_honest_models_on_exchangeable_rows_rarely_fail() -> None:
    fails = 0
    for seed in range(40):
        x, y = drawn(np.random.default_rng(seed), 300, (1.0, -1.0, 0.0))
        net = LogisticRegression().fit(x[:200], y[:200])
        fails += found_in(assay.wrap(net), x[200:], y[200:], x[:20], share=0.01)[0].verdict == "fail"
    assert fails <= 3


def test_the_worst_of_many_useless_columns_is_not_taken_for_harm() -> None:
    # 10 columns whose benefit is 0 on average: the least mean lies far below 0, the interval must not
    beyond = 0
    for seed in range(200):
        values = np.random.default_rng(seed).normal(size=(50, 10))
        beyond += Basis("least", {"values": values}).at(0.95).high < 0
    assert beyond <= 10  # one-sided limits of the least cross 0 far more rarely than 5 %


def test_the_interval_of_one_column_is_students() -> None:
    values = np.random.default_rng(0).normal(size=(30, 1))
    found, plain = Basis("least", {"values": values}).at(0.9), student_interval(values[:, 0], 0.9)
    assert (found.low, found.high) == (plain.low, plain.high)


def test_the_interval_of_several_columns_is_that_of_the_least_limits() -> None:
    values = np.random.default_rng(0).normal(size=(30, 4)) * [1, 2, 3, 4]
    limits = [student_interval(column, 1 - 0.05 / 4) for column in values.T]
    found = Basis("least", {"values": values}).at(0.95)
    assert_allclose([found.low, found.high], [min(e.low for e in limits), min(e.high for e in limits)])


def test_every_judged_finding_can_be_judged_again_at_another_level_and_from_a_file(tmp_path: Path) -> None:
    x, y = drawn(np.random.default_rng(5), 50, (1.0, -1.0, 0.0))
    found = found_in(weighed((1.0, -1.0, 0.0)), x, y, x[:10], suspects=["a"])
    loaded = load(save(Bundle({"found": found}), tmp_path / "f.assay"))
    for one, again in zip(found, loaded.contents["found"]):
        assert one.basis is not None
        assert one.interval == one.basis.at(0.95) == again.basis.at(0.95)
        assert one.verdict == judge(one.basis.at(0.95), one.threshold, one.direction)  # type: ignore[arg-type]  # both are set where a basis is
        wider = one.basis.at(0.999)
        assert wider.low < one.interval.low or wider.high > one.interval.high


def test_a_suspect_the_model_ignores_never_changes_a_decision() -> None:
    x, y = drawn(np.random.default_rng(6), 100, (1.0, -1.0, 0.0))
    ignored = found_in(weighed((1.0, -1.0, 0.0)), x, y, x[:10], suspects=["c"])[1]
    assert (ignored.estimate, ignored.verdict) == (0.0, "pass")
    assert ignored.evidence["mean effect"] == 0.0
    assert ignored.evidence["rank by reliance"] == 3


def test_a_suspect_that_alone_decides_changes_the_rows_whose_draw_has_the_other_sign() -> None:
    # one background row of +1: exactly the negative rows change
    x = np.array([[-1.0, 0, 0], [1.0, 0, 0], [-2.0, 0, 0], [-3.0, 0, 0]])
    found = found_in(weighed((1.0, 0.0, 0.0)), x, [0, 1, 0, 0], np.ones((1, 3)), suspects=["a"])[1]
    assert found.estimate == 0.75
    assert found.evidence["column"] == "a"


def test_draws_follow_ids_not_places() -> None:
    x, y = drawn(np.random.default_rng(7), 80, (1.0, 0.0, 0.0))
    ids, back = [f"row {i}" for i in range(80)], x[:9]
    options: dict[str, Any] = {"remove": assay.Marginal(back), "suspects": ["a"]}
    model = weighed((1.0, 0.3, 0.0))
    one = diagnose.shortcut(assay.case(model, x, names=NAMES, ids=ids), y, **options)[1]
    two = diagnose.shortcut(assay.case(model, x[::-1], names=NAMES, ids=ids[::-1]), y[::-1], **options)[1]
    assert one.estimate == two.estimate


def test_a_forest_that_is_sure_and_wrong_is_judged_all_the_same() -> None:
    x, y = drawn(np.random.default_rng(4), 400, (1.0, -1.0, 0.0))
    forest = RandomForestClassifier(20, random_state=0).fit(x[:200], y[:200])
    found = found_in(assay.wrap(forest), x[200:], y[200:], x[:30])[0]
    assert found.interval is not None
    assert found.verdict != "fail"


def test_a_constant_model_relies_on_nothing() -> None:
    constant = assay.model.function(lambda x: np.full(len(x), 0.3), gives="margin", name="constant")
    found = found_in(constant, np.eye(3), [0, 1, 0], np.ones((7, 3)))[0]
    assert found.verdict == "not applicable"
    assert found.claim == "Removing any single column changes no probability."


def test_one_row_decides_nothing() -> None:
    found = found_in(weighed((1.0, 0.0, 0.0)), np.ones((1, 3)), [1], np.zeros((4, 3)))[0]
    assert found.verdict == "undecided"


def test_where_no_column_has_the_requested_share_nothing_is_judged() -> None:
    x, y = drawn(np.random.default_rng(8), 30, (1.0, 1.0, 1.0))
    assert found_in(weighed((1.0, 1.0, 1.0)), x, y, x, share=0.9)[0].verdict == "not applicable"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"suspects": ["branch"]}, "no column 'branch'"),
        ({"suspects": "a"}, "a single text"),
        ({"share": 0.0}, "share=0.0"),
        ({"level": 1.0}, "level=1.0"),
        ({"harm": -0.1}, "harm=-0.1"),
    ],
)
def test_bad_options_are_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        found_in(weighed((1.0, 0.0, 0.0)), np.eye(3), [0, 1, 0], np.eye(3), **options)


def test_labels_that_do_not_exist_are_refused_by_row() -> None:
    with pytest.raises(InputError, match="row 2"):
        found_in(weighed((1.0, 0.0, 0.0)), np.eye(3), ["no", "yes", "maybe"], np.eye(3))


def test_a_regression_is_refused() -> None:
    x = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(CapabilityError, match="needs a classifier"):
        found_in(assay.wrap(LinearRegression().fit(x, x[:, 0])), x, x[:, 0], x)
