"""How good predictions are: every metric against scikit-learn or a literal transcription, and what each check says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import metrics as sk
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import label_binarize
from sklearn.svm import LinearSVC
from tests.diagnose.subjects import drawn, giving, three, two
from tests.diagnose.subjects import performance_of as found

import assay
from assay.basics.errors import CapabilityError
from assay.engine.performance import calibration as calibration_module
from assay.engine.performance.calibration import calibration, logistic_recalibration
from assay.engine.performance.labelled_outputs import labelled_outputs
from assay.engine.performance.metrics import auc_pseudo_values, weighted_average_precision


def test_metrics_of_two_classes_are_scikit_learns() -> None:
    chance, event = drawn(0, 300)
    table = found(two(chance), event)["PER101"].evidence["metrics"]
    decided = chance > 0.5
    for name, value in {
        "accuracy": sk.accuracy_score(event, decided),
        "balanced accuracy": sk.balanced_accuracy_score(event, decided),
        "AUC": sk.roc_auc_score(event, chance),
        "average precision": sk.average_precision_score(event, chance),
        "log loss": sk.log_loss(event, chance),
        "Brier score": 2 * sk.brier_score_loss(event, chance),
    }.items():
        assert_allclose(table[name]["value"], value, rtol=1e-12, err_msg=name)
        assert table[name]["low"] < value < table[name]["high"]


def test_metrics_of_three_classes_are_scikit_learns_means_over_classes() -> None:
    chances, label = three(1)
    table = found(giving(chances), label)["PER101"].evidence["metrics"]
    each = label_binarize(label, classes=[0, 1, 2])
    for name, value in {
        "balanced accuracy": sk.balanced_accuracy_score(label, chances.argmax(axis=1)),
        "AUC": sk.roc_auc_score(label, chances, multi_class="ovr", average="macro"),
        "average precision": sk.average_precision_score(each, chances, average="macro"),
        "log loss": sk.log_loss(label, chances),
        "Brier score": sk.brier_score_loss(label, chances, scale_by_half=False),
    }.items():
        assert_allclose(table[name]["value"], value, rtol=1e-12, err_msg=name)


def test_the_average_precision_of_a_bootstrap_sample_is_that_of_weighted_rows() -> None:
    chance, event = drawn(2, 60)
    counts = np.random.default_rng(0).multinomial(60, np.full(60, 1 / 60), size=5).astype(float)
    order = np.argsort(-chance, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(chance[order]) != 0, True))
    ours = weighted_average_precision(order, event[order].astype(float), ends, counts)
    assert_allclose(ours, [sk.average_precision_score(event, chance, sample_weight=one) for one in counts])


def test_a_constant_prediction_is_learnt_from_the_training_labels() -> None:
    chance, event = drawn(3, 80)
    train = np.repeat([0, 1], [90, 10])
    metrics = found(two(chance), event, train_labels=train)["PER101"].evidence["metrics"]
    shares = np.tile([0.9, 0.1], (80, 1))
    assert_allclose(metrics["accuracy"]["constant prediction"], (event == 0).mean())
    assert_allclose(metrics["log loss"]["constant prediction"], sk.log_loss(event, shares))
    assert_allclose(metrics["Brier score"]["constant prediction"], 2 * sk.brier_score_loss(event, shares[:, 1]))
    assert metrics["AUC"]["constant prediction"] == 0.5


def test_the_error_of_an_auc_over_classes_is_delongs() -> None:
    chances, label = three(4, 70)
    case = giving(chances)
    ours = auc_pseudo_values(labelled_outputs(case, label))
    rows, areas, influence = len(label), [], np.zeros(len(label))
    for one in range(3):
        right = [[(a > b) + 0.5 * (a == b) for b in chances[label != one, one]] for a in chances[label == one, one]]
        wins = np.array(right, dtype=float)
        areas.append(wins.mean())
        influence[label == one] += (wins.mean(axis=1) - wins.mean()) / wins.shape[0] / 3
        influence[label != one] += (wins.mean(axis=0) - wins.mean()) / wins.shape[1] / 3
    assert_allclose(ours.mean(), np.mean(areas))
    assert_allclose(ours.std() / np.sqrt(rows), np.sqrt((influence**2).sum()))


def test_of_two_classes_the_sum_of_delongs_components_is_their_textbook_form() -> None:
    chance, event = drawn(5, 50)
    ours = auc_pseudo_values(labelled_outputs(two(chance), event))
    wins = np.array([[(a > b) + 0.5 * (a == b) for b in chance[event == 0]] for a in chance[event == 1]], dtype=float)
    m, n = wins.shape
    textbook = wins.mean(axis=1).var(ddof=1) / m * (m - 1) / m + wins.mean(axis=0).var(ddof=1) / n * (n - 1) / n
    assert_allclose(ours.var() / len(ours), textbook)


@pytest.mark.parametrize("sharpness", [0.2, 1.0, 5.0, 20.0])
def test_slope_and_intercept_are_those_of_logistic_regression_without_penalty(sharpness: float) -> None:
    chance, event = drawn(6, 400, sharpness)
    slope, intercept, error = logistic_recalibration(chance, event.astype(float))
    clipped = np.clip(chance, 1e-6, 1 - 1e-6)
    odds = np.log(clipped / (1 - clipped))[:, None]
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(odds, event)
    assert_allclose([slope, intercept], [theirs.coef_[0, 0], theirs.intercept_[0]], rtol=1e-3)
    fitted = theirs.predict_proba(odds)[:, 1]
    weight = fitted * (1 - fitted)
    centred = odds[:, 0] - (weight @ odds[:, 0]) / weight.sum()
    assert_allclose(error, 1 / np.sqrt(weight @ centred**2), rtol=1e-3)


@pytest.mark.parametrize(
    ("chance", "event"),
    [
        ([0.2, 0.4, 0.6, 0.8], [1, 1, 1, 1]),  # one class
        ([0.3, 0.3, 0.3, 0.3], [0, 1, 0, 1]),  # one probability
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]),  # separable
        ([0.1, 0.2, 0.8, 0.9], [1, 1, 1, 0]),  # separable the other way
        ([0.1, 0.2, 0.2, 0.9], [0, 0, 1, 1]),  # separable but for a tie
    ],
)
def test_a_slope_that_does_not_exist_is_nan(chance: list[float], event: list[int]) -> None:
    assert np.isnan(logistic_recalibration(np.array(chance), np.array(event, dtype=float))).all()


def test_the_calibration_error_is_that_of_bins_of_equal_size() -> None:
    generator = np.random.default_rng(7)
    chance = generator.random(250)
    event = generator.random(250) < chance**2
    measured = calibration(chance, event, assay.Seed(0))
    assert measured is not None
    order = np.argsort(chance)
    bins = [order[25 * i : 25 * (i + 1)] for i in range(10)]
    assert_allclose(measured.error, np.mean([abs(event[one].mean() - chance[one].mean()) for one in bins]))
    assert [line["rows"] for line in measured.curve] == [25] * 10
    assert_allclose([line["share of events"] for line in measured.curve], [event[one].mean() for one in bins])


@pytest.fixture
def few_simulations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration_module, "SIMULATED", 500)


@pytest.mark.usefixtures("few_simulations")
def test_the_interval_of_the_calibration_error_covers_the_true_one() -> None:
    covered = 0
    for seed in range(100):
        generator = np.random.default_rng(seed)
        chance = np.sort(generator.random(300))
        true = chance**1.5
        measured = calibration(chance, generator.random(300) < true, assay.Seed(seed))
        assert measured is not None
        right = np.mean([abs(p.mean() - q.mean()) for p, q in zip(np.split(chance, 10), np.split(true, 10))])
        half = np.quantile(measured.noise, 0.95)
        covered += abs(measured.error - right) <= half
    assert covered >= 95


@pytest.mark.usefixtures("few_simulations")
def test_a_calibrated_model_exceeds_its_null_band_in_one_of_twenty_samples() -> None:
    beyond = 0
    for seed in range(200):
        generator = np.random.default_rng(1000 + seed)
        chance = generator.random(250)
        measured = calibration(chance, generator.random(250) < chance, assay.Seed(seed))
        assert measured is not None
        beyond += measured.error > measured.null_high
    assert 2 <= beyond <= 19


def test_the_confusion_matrix_and_the_rates_of_each_class_are_scikit_learns() -> None:
    chances, label = three(8)
    evidence = found(giving(chances, classes=("a", "b", "c")), np.array(["a", "b", "c"])[label])["PER101"].evidence
    counts = [[evidence["confusion matrix"][f"true {i}"][f"decided {j}"] for j in "abc"] for i in "abc"]
    decided = chances.argmax(axis=1)
    assert_allclose(counts, sk.confusion_matrix(label, decided))
    for name, oracle in (("recall", sk.recall_score), ("precision", sk.precision_score)):
        assert_allclose([evidence["by class"][one][name] for one in "abc"], oracle(label, decided, average=None))


def test_a_good_calibrated_model_passes() -> None:
    chance, event = drawn(9, 4000)
    assert {code: f.verdict for code, f in found(two(chance), event).items()} == {
        "PER101": "pass",
        "PER103": "pass",
        "PER104": "pass",
    }


def test_a_constant_prediction_fails_and_few_rows_do_not_show_it() -> None:
    event = np.arange(300) % 2
    assert found(two(np.full(300, 0.5)), event)["PER101"].verdict == "fail"
    assert found(two(np.full(20, 0.5)), event[:20])["PER101"].verdict == "undecided"


def test_a_model_trained_on_shuffled_labels_fails() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(900, 20))
    y = (x.sum(axis=1) > 0).astype(int)
    fitted = RandomForestClassifier(20, min_samples_leaf=5, random_state=0)
    fitted.fit(x[:300], generator.permutation(y[:300]))
    assert found(assay.case(assay.wrap(fitted), x[300:]), y[300:])["PER101"].verdict == "fail"


def test_a_model_that_decides_against_the_labels_fails_although_it_ranks_well() -> None:
    chance, event = drawn(10, 600)
    findings = found(two(0.99 * chance**0.02), event)  # the same order, and every decision is "yes"
    assert findings["PER101"].verdict == "pass"
    assert findings["PER103"].estimate <= 0
    assert findings["PER103"].verdict != "pass"


def test_too_extreme_probabilities_fail_and_the_slope_shows_it() -> None:
    chance, event = drawn(11, 2000, sharpness=5.0)
    finding = found(two(chance), event)["PER104"]
    assert finding.verdict == "fail"
    assert finding.evidence["slope high"] < 0.3
    assert finding.estimate > finding.evidence["null band, upper limit"]


def test_a_perfect_model_has_an_interval_with_a_width() -> None:
    event = np.arange(100) % 2
    finding = found(two(np.where(event == 1, 0.9, 0.1)), event)["PER101"]
    assert finding.interval is not None
    assert finding.estimate == 1.0
    assert 0.9 < finding.interval.low < 1.0


def test_a_wrong_probability_of_nought_has_an_infinite_loss_without_an_interval() -> None:
    event = np.arange(100) % 2
    chance = np.where(event == 1, 1.0, 0.0)
    chance[0] = 1.0
    line = found(two(chance), event)["PER101"].evidence["metrics"]["log loss"]
    assert line["value"] == np.inf
    assert np.isnan(line["low"])


def test_labels_of_one_class_leave_the_ranking_undefined() -> None:
    chance, _ = drawn(12, 60)
    findings = found(two(chance), np.ones(60, dtype=int))
    assert findings["PER101"].verdict == "not applicable"
    assert findings["PER103"].n == 60


def test_few_rows_have_no_reliability_curve() -> None:
    chance, event = drawn(13, 49)
    assert found(two(chance), event)["PER104"].verdict == "not applicable"
    assert calibration(chance, event, assay.Seed(0)) is None


def test_labels_may_be_names() -> None:
    chance, event = drawn(14, 100)
    by_name = found(two(chance), np.where(event == 1, "yes", "no"))
    assert {c: (f.verdict, f.estimate) for c, f in by_name.items()} == {
        c: (f.verdict, f.estimate) for c, f in found(two(chance), event).items()
    }


def test_scores_that_are_no_log_odds_have_no_calibration() -> None:
    generator = np.random.default_rng(15)
    x = generator.normal(size=(300, 3))
    y = (x[:, 0] + generator.normal(size=300) > 0).astype(int)
    fitted = LinearSVC().fit(x[:100], y[:100])
    findings = found(assay.case(assay.wrap(fitted), x[100:]), y[100:])
    assert_allclose(findings["PER101"].estimate, 2 * sk.roc_auc_score(y[100:], fitted.decision_function(x[100:])) - 1)
    assert "log loss" not in findings["PER101"].evidence["metrics"]
    assert findings["PER104"].verdict == "not applicable"


def test_several_labels_a_row_are_refused() -> None:
    model = assay.wrap(lambda x: np.full((len(x), 2), 0.3), output="multilabel probabilities", classes=("a", "b"))
    with pytest.raises(CapabilityError, match="one_output"):
        found(assay.case(model, np.zeros((5, 1))), np.zeros(5, dtype=int))


def test_every_judged_finding_can_be_judged_at_another_level() -> None:
    chance, event = drawn(16, 200)
    for finding in found(two(chance), event).values():
        assert finding.basis is not None
        assert finding.interval == finding.basis.at(0.95)
        wider = finding.basis.at(0.99)
        assert wider.low <= finding.basis.at(0.95).low <= finding.basis.at(0.95).high <= wider.high


def test_the_same_seed_finds_the_same() -> None:
    chance, event = drawn(17, 80)
    assert found(two(chance), event) == found(two(chance), event)
