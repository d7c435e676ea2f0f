"""Faults of the split: planted ones are named, clean data pass, numbers match those computed by hand."""

from dataclasses import replace
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
from sklearn.preprocessing import OneHotEncoder

import assay
from assay import diagnose
from assay.auditing.joint_verdicts import count_judged, judge_jointly
from assay.basics.errors import InputError
from assay.basics.stats import Basis, clopper_pearson
from assay.diagnose.data import _duplicates, _judged_duplicates
from assay.engine.retraining.split_statistics import classify_side, split_data
from assay.nouns.inputs.features import Features, integer_map
from assay.nouns.records.store import Bundle, load, save
from assay.nouns.results.finding import Finding, judge


def first_column() -> Any:
    return assay.model.function(lambda x: x[:, 0], gives="margin", classes=("no", "yes"), name="first_column")


def drawn(seed: int, rows: int, columns: int = 3) -> tuple[Any, Any]:
    """Independent normals and labels that follow the first of them."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, columns))
    return x, (generator.random(rows) < 1 / (1 + np.exp(-x[:, 0]))).astype(int)


def found(held_out: Any, own: Any, train: Any, fitted: Any, **options: Any) -> dict[str, Finding]:
    return {f.code: f for f in diagnose.data(assay.case(first_column(), held_out), own, train, fitted, **options)}


def halves(x: Any, y: Any, **options: Any) -> dict[str, Finding]:
    """Findings where the second half of the rows is held out."""
    middle = len(x) // 2
    return found(x[middle:], y[middle:], x[:middle], y[:middle], **options)


def framed(seed: int = 0, rows: int = 400) -> tuple[Any, Any, Any]:
    """A frame with text columns, labels by name, and a pipeline fitted on the first half."""
    x, y = drawn(seed, rows)
    generator = np.random.default_rng(seed + 1000)
    frame = pd.DataFrame({"income": x[:, 0], "age": np.round(40 + 10 * x[:, 1])})
    frame["purpose"] = generator.choice(["car", "house", "study"], size=rows)
    frame["town"] = [f"town {i}" for i in generator.integers(300, size=rows)]
    coder = make_column_transformer((OneHotEncoder(), ["purpose"]), ("passthrough", ["income", "age"]))
    label = np.where(y == 1, "paid", "late")
    net = make_pipeline(coder, LogisticRegression()).fit(frame[: rows // 2], label[: rows // 2])
    return assay.wrap(net), frame, label


def of_frame(model: Any, frame: Any, label: Any, **options: Any) -> dict[str, Finding]:
    middle = len(frame) // 2
    case = assay.case(model, frame[middle:], ids=[f"row {i}" for i in range(middle, len(frame))])
    return {f.code: f for f in diagnose.data(case, label[middle:], frame[:middle], label[:middle], **options)}


def test_honest_frames_and_tables_pass_all_three_checks() -> None:
    for findings in (of_frame(*framed()), halves(*drawn(1, 600))):
        assert list(findings) == ["DAT101", "DAT102", "DAT103", "DAT104"]
        assert [f.verdict for f in findings.values()] == ["pass", "pass", "pass", "informative"]


def test_rows_copied_across_the_split_of_a_frame_are_named() -> None:
    model, frame, label = framed()
    frame, label = frame.copy(), label.copy()
    frame.iloc[200:230] = frame.iloc[:30].to_numpy()
    finding = of_frame(model, frame, label)["DAT101"]
    assert finding.verdict == "fail"
    assert finding.rows[:20] == tuple(f"row {i}" for i in range(200, 220))
    assert finding.estimate == 30 / 200
    assert (finding.interval, finding.basis) == (None, None)


@pytest.mark.parametrize(("copied", "verdict"), [(0, "pass"), (4, "pass"), (5, "fail"), (30, "fail")])
def test_copies_in_these_files_are_counted_and_have_no_sampling_interval(copied: int, verdict: str) -> None:
    x, _ = drawn(11, 400)
    x[200 : 200 + copied] = x[:copied]
    split = split_data(assay.case(first_column(), x[200:]), x[:200])
    finding = _duplicates(split, 0.95, 0.02)
    assert (finding.estimate, finding.verdict) == (copied / 200, verdict)
    others = [replace(finding, code=code) for code in ("DAT102", "DAT103")]
    assert [f.verdict for f in judge_jointly([finding, *others])] == [verdict] * 3
    assert count_judged([finding]) == 0


def test_rows_copied_before_the_split_fail_where_no_chance_repeats_a_row() -> None:
    x, y = drawn(2, 200)
    order = np.random.default_rng(0).permutation(400)
    finding = halves(np.concatenate([x, x])[order], np.concatenate([y, y])[order])["DAT101"]
    assert finding.verdict == "fail"
    assert not finding.evidence["few-valued"]
    assert finding.evidence["copies within training rows"] > 0.3


@pytest.mark.parametrize(("values", "columns"), [(2, 2), (3, 3), (2, 8), (12, 2), (60, 1), (40, 2)])
def test_honest_few_valued_tables_never_fail_for_copies(values: int, columns: int) -> None:
    verdicts = []
    for seed in range(40):
        generator = np.random.default_rng(seed)
        x = np.floor(values * generator.random((120, columns)) ** 1.5)
        # DAT101 without the rest, which would cost a forest a call
        split = split_data(assay.case(first_column(), x[60:]), x[:60])
        finding = _duplicates(split, 0.95, 0.02)
        verdicts.append(finding.verdict)
        if finding.threshold is not None and finding.threshold > 0.02:
            assert finding.threshold_origin == "rate of chance copies"
    assert verdicts.count("fail") <= 1


def test_a_few_valued_table_still_fails_if_the_split_copied_rows() -> None:
    generator = np.random.default_rng(0)
    x = generator.integers(4, size=(400, 8)).astype(float)
    x[200:300] = x[:100]
    finding = halves(x, generator.integers(2, size=400))["DAT101"]
    assert finding.evidence["few-valued"]
    assert finding.verdict == "fail"
    assert finding.interval == clopper_pearson(100, 200)


def test_a_text_column_that_holds_the_label_is_named() -> None:
    model, frame, label = framed()
    case_frame = frame.assign(purpose=np.where(label == "paid", "car", "house"))
    finding = of_frame(model, case_frame, label)["DAT102"]
    assert finding.verdict == "fail"
    assert "`purpose`" in finding.claim
    assert finding.estimate == 1.0


def test_a_number_that_predicts_the_label_is_named_although_the_relation_is_not_linear() -> None:
    x, y = drawn(3, 800)
    x[:, 2] = np.where(y == 1, 0.0, np.sign(x[:, 2])) + 0.1 * x[:, 1]  # class 1 lies between the halves of class 0
    finding = halves(x, y)["DAT102"]
    assert (finding.verdict, finding.evidence["column"]) == ("fail", "2")


def test_a_column_of_ids_does_not_predict_the_label() -> None:
    model, frame, label = framed()
    frame = frame.assign(town=[f"id {i}" for i in range(len(frame))])
    findings = of_frame(model, frame, label)
    towns = next(line for line in findings["DAT102"].evidence["columns"] if line["name"] == "town")
    assert towns["balanced accuracy"] == 0.0  # no level was seen before
    assert findings["DAT104"].evidence["ID-like columns"] == ["town"]


def test_balanced_accuracy_is_the_mean_of_the_classes_shares() -> None:
    # the rule is x > 0; of three rows of class 0 two obey it, of two rows of class 1 one
    train, fitted = np.array([[-1.0]] * 20 + [[1.0]] * 20), np.repeat([0, 1], 20)
    held_out, own = np.array([[-1.0], [-1.0], [1.0], [1.0], [-1.0]]), np.array([0, 0, 0, 1, 1])
    assert_allclose(found(held_out, own, train, fitted)["DAT102"].estimate, (2 / 3 + 1 / 2) / 2)


def test_the_best_of_many_useless_columns_is_not_taken_for_better_than_a_guess() -> None:
    beyond = 0
    for seed in range(100):
        hits = np.random.default_rng(seed).binomial(40, 0.5, size=(10, 2))
        beyond += Basis("balanced", {"hits": hits, "trials": np.array([40, 40])}).at(0.95).low > 0.5
    assert beyond <= 6


def test_an_interval_of_perfect_rates_has_a_width_that_shrinks_with_rows() -> None:
    few, many = (
        Basis("balanced", {"hits": np.full((1, 2), n), "trials": np.full(2, n)}).at(0.95).low for n in (10, 1000)
    )
    assert few < 0.85
    assert 0.99 < many < 1.0


def test_the_interval_of_one_class_is_the_exact_one() -> None:
    one = Basis("balanced", {"hits": np.array([[7]]), "trials": np.array([20])}).at(0.9)
    plain = clopper_pearson(7, 20, 0.9)
    assert_allclose([one.low, one.high], [plain.low, plain.high])


def test_shifted_rows_fail_and_the_column_is_named() -> None:
    x, y = drawn(4, 600)
    x[300:, 1] += 1.5
    finding = halves(x, y)["DAT103"]
    assert finding.verdict == "fail"
    assert "`1`" in finding.claim


def test_a_shift_of_text_is_found_in_a_frame() -> None:
    model, frame, label = framed()
    late = np.arange(len(frame)) >= 200
    moved = frame.assign(purpose=np.where(late, "study", frame["purpose"]))
    assert of_frame(model, moved, label)["DAT103"].verdict == "fail"


def test_a_column_of_many_texts_is_not_taken_for_a_shift() -> None:
    # the codes of levels first seen among training rows are higher: their order must not be read
    areas = []
    for seed in range(4):
        model, frame, label = framed(seed, rows=300)
        towns = [f"town {i}" for i in np.random.default_rng(seed).integers(10_000, size=len(frame))]
        areas.append(of_frame(model, frame.assign(town=towns), label)["DAT103"].estimate)
    assert max(areas) < 0.7  # read in order of first sight they would be 0.99


@pytest.mark.judge
def test_honest_splits_rarely_fail() -> None:
    fails = 0
    for seed in range(20):
        fails += sum(f.verdict == "fail" for f in halves(*drawn(seed, 120)).values())
    assert fails <= 1


def test_each_half_is_predicted_by_a_forest_of_fifty_trees_fitted_on_the_other_and_importances_are_averaged() -> None:
    generator = np.random.default_rng(0)
    held_out, train, seed = generator.normal(size=(31, 4)), generator.normal(size=(40, 4)), assay.Seed(3)
    held_out[:, 0] += 1.0
    scores, importances = classify_side(held_out, train, seed)
    x, side = np.concatenate([held_out, train]), [True] * 31 + [False] * 40
    half = np.array([i % 2 for i in range(31)] + [i % 2 for i in range(40)])
    forests = []
    for fitted_on in (1, 0):
        state = int(seed.child("forest", 1 - fitted_on).generator().integers(2**31))
        forest = RandomForestClassifier(50, min_samples_leaf=5, class_weight="balanced", random_state=state)
        forests.append(forest.fit(x[half == fitted_on], np.array(side)[half == fitted_on]))
        predicted = forest.predict_proba(x[half != fitted_on])[:, 1]
        assert_allclose(scores[half != fitted_on], predicted)
    assert_allclose(importances, (forests[0].feature_importances_ + forests[1].feature_importances_) / 2)
    assert_allclose(importances.sum(), 1.0)
    assert importances.argmax() == 0


def test_a_side_is_limited_to_a_thousand_rows_and_the_evidence_shows_it() -> None:
    x, y = drawn(5, 2400, 2)
    evidence = halves(x, y)["DAT103"].evidence
    assert (evidence["held-out rows used"], evidence["held-out rows"]) == (1000, 1200)


def test_every_judged_finding_can_be_judged_again_at_another_level_and_from_a_file(tmp_path: Path) -> None:
    findings = list(halves(*drawn(6, 100)).values())
    loaded = load(save(Bundle({"found": findings}), tmp_path / "f.assay")).contents["found"]
    for one, again in zip(findings[1:3], loaded[1:]):
        assert one.basis is not None
        assert one.threshold is not None
        assert one.interval == one.basis.at(0.95) == again.basis.at(0.95)
        assert one.verdict == judge(one.basis.at(0.95), one.threshold, "at most")
        assert one.basis.at(0.999).high > one.basis.at(0.95).high


def test_the_same_seed_finds_the_same() -> None:
    one, two = (halves(*drawn(7, 100)) for _ in range(2))
    assert one == two


def test_counts_name_the_rarest_class_and_constant_columns() -> None:
    x, y = drawn(8, 200)
    x[:, 2] = 5.0
    y[:100] = np.arange(100) < 10
    finding = halves(x, y)["DAT104"]
    assert finding.evidence["constant columns"] == ["2"]
    assert finding.estimate == 0.1
    assert finding.claim == ("Rarest class yes: 10.0% of the training rows; 1 constant and 0 ID-like columns of 3.")


def test_a_number_is_no_id_because_it_never_repeats() -> None:
    assert halves(*drawn(9, 60))["DAT104"].evidence["ID-like columns"] == []


@pytest.mark.parametrize(("rows", "constant", "unique"), [(1, ["0"], []), (2, [], ["0"]), (3, [], ["0"])])
def test_whole_numbers_that_never_repeat_are_like_ids_from_two_training_rows_on(
    rows: int, constant: list[str], unique: list[str]
) -> None:
    train = np.arange(rows, dtype=float)[:, None]
    evidence = found(np.array([[5.0], [6.0]]), [0, 1], train, [0, 1, 1][:rows])["DAT104"].evidence
    assert (evidence["constant columns"], evidence["ID-like columns"]) == (constant, unique)


def test_a_regression_has_duplicates_and_a_shift_but_no_balanced_accuracy() -> None:
    x, _ = drawn(10, 100)
    case = assay.case(assay.wrap(LinearRegression().fit(x, x[:, 0])), x[50:])
    verdicts = [f.verdict for f in diagnose.data(case, x[50:, 0], x[:50], x[:50, 0])]
    assert verdicts == ["pass", "not applicable", verdicts[2], "informative"]


def test_labels_of_one_class_leave_the_column_check_undefined() -> None:
    x, y = drawn(11, 60)
    assert found(x[30:], np.ones(30, int), x[:30], y[:30])["DAT102"].verdict == "not applicable"


def test_a_few_rows_are_not_looked_at_for_a_shift() -> None:
    x, y = drawn(12, 40)
    assert found(x[:5], [0, 1, 0, 1, 1], x[5:], y[5:])["DAT103"].verdict == "not run"


def test_columns_of_an_array_are_named_after_their_features_and_by_number_where_features_are_groups() -> None:
    x = drawn(11, 6)[0]
    for features, names in (
        (Features(np.array([2, 0, 1]), ("age", "debt", "income")), ("income", "age", "debt")),
        (integer_map([0, 0, 1], ("money", "age")), ("0", "1", "2")),
    ):
        assert split_data(assay.case(first_column(), x, features=features), x).names == names


def test_columns_and_labels_that_do_not_fit_are_refused_by_name() -> None:
    model, frame, label = framed()
    case = assay.case(model, frame[200:])
    with pytest.raises(InputError, match="'town'"):
        diagnose.data(case, label[200:], frame[:200].drop(columns="town"), label[:200])
    with pytest.raises(InputError, match="row 3"):
        diagnose.data(case, label[200:], frame[:200], ["paid"] * 3 + ["lost"] + ["late"] * 196)


@pytest.mark.parametrize("option", [{"level": 0.0}, {"copies": 1.0}, {"alone": 0.0}, {"shift": 0.4}])
def test_bad_options_are_refused_by_name(option: dict[str, float]) -> None:
    x, y = drawn(13, 40)
    name, value = next(iter(option.items()))
    with pytest.raises(InputError, match=f"{name}={value}"):
        halves(x, y, **option)


def test_a_few_valued_table_without_a_copy_passes_as_a_fact() -> None:
    found = _judged_duplicates(np.zeros(300, dtype=bool), 0, 700, True, [str(i) for i in range(300)], "m", 0.95, 0.02)
    assert (found.verdict, found.estimate, found.interval, found.basis) == ("pass", 0.0, None, None)
    some = np.arange(300) < 30
    more = _judged_duplicates(some, 70, 700, True, [str(i) for i in range(300)], "m", 0.95, 0.02)
    assert more.basis is not None  # a rate that chance may explain has an interval
