"""What the page says in words about the model: is it good, does it overfit, is it calibrated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from tests.report.extreme_records import empty
from tests.report.page import Page
from tests.report.record import METRIC, SKILL, complete, credit

import assay
from assay.basics.stats import Interval
from assay.nouns.records.record import NotRun, Record
from assay.nouns.results.finding import Finding
from assay.report.audit.page import render
from assay.report.audit.performance import describe_calibration, describe_generalisation, describe_quality
from assay.report.audit.summary import summary
from assay.report.audit.tiles import tiles
from assay.report.formats.markdown import markdown
from assay.report.formats.model_card import model_card
from assay.report.formats.notebook import notebook_cell


def found(*findings: Finding) -> Record:
    return replace(empty(), findings=findings)


def decisions(low: float, high: float, verdict: Any) -> Finding:
    return Finding("PER103", verdict, "Accuracy is 0.71.", "m", (low + high) / 2, Interval(low, high, 0.95, ""), 0.0)


VALUES = Finding(
    "PER102", "pass", "R² is 0.8.", "m", 0.8, Interval(0.7, 0.9, 0.95, "fieller"), 0.0, "at least",
    evidence={"metrics": {
        "R²": {"value": 0.8, "low": 0.7, "high": 0.9, "constant prediction": 0.0, "better": "higher"},
        "RMSE": METRIC,
        "MAE": {"value": 3.1, "low": 2.9, "high": 3.4, "constant prediction": 9.5, "better": "lower"},
    }},
)  # fmt: skip


@pytest.mark.parametrize(("others", "says"), [
    ((decisions(0.01, 0.2, "pass"),), "its ranking of rows and its decisions are shown to be better."),
    ((decisions(-0.1, 0.2, "undecided"),),
     "its ranking of rows is shown to be better; its decisions are not shown to be better."),
    ((decisions(-0.2, -0.1, "fail"),),
     "its ranking of rows is shown to be better; its decisions are shown to be worse."),
    ((), "its ranking of rows is shown to be better."),
])  # fmt: skip
def test_a_classifier_is_compared_with_a_constant_prediction_in_words(others: tuple[Finding, ...], says: str) -> None:
    assert describe_quality(found(SKILL, *others)) == (
        "Model quality: accuracy 0.71 [0.68, 0.74] and AUC 0.71 [0.68, 0.74] (constant prediction: 0.50 and 0.50); "
        f"{says}"
    )


def test_a_class_that_is_seldom_found_is_named() -> None:
    by_class = {"shirt": {"rows": 100, "recall": 0.27}, "bag": {"rows": 100, "recall": 0.9}}
    one = replace(SKILL, evidence={**SKILL.evidence, "by class": by_class})
    assert describe_quality(found(one)).endswith("shown to be better; lowest recall: shirt 0.27.")
    by_class["shirt"]["recall"] = 0.6
    assert "recall" not in describe_quality(found(one))


def test_a_classifier_whose_skill_is_too_small_is_not_called_better() -> None:
    noise = replace(SKILL, verdict="fail", interval=Interval(0.01, 0.05, 0.95, ""))
    assert describe_quality(found(noise)).endswith("its ranking of rows is not shown to be better.")


def test_a_regression_is_compared_by_r_squared_and_mae() -> None:
    assert describe_quality(found(VALUES)) == (
        "Model quality: R² 0.80 [0.70, 0.90] and MAE 3.10 [2.90, 3.40] (constant prediction: 0.00 and 9.50); its "
        "predictions are shown to be better."
    )


@pytest.mark.parametrize(("record", "says"), [
    (replace(empty(), not_run=(NotRun("diagnose.performance", "it needs the true labels of the rows", "y=labels"),)),
     "The quality of the model was not checked: it needs the true labels of the rows. Give the true labels: "
     "assay.audit(model, x, y), or --target COLUMN on the command line."),
    (replace(empty(), not_run=(NotRun("diagnose.performance", "it was not selected", "--select PER"),)),
     "The quality of the model was not checked: it was not selected. Enable it with --select PER."),
    (empty(), "The quality of the model was not checked in this audit."),
    (found(Finding("PER102", "not applicable", "m: it gives 3 values a row.", "m")),
     "The quality of the model was not measured: m: it gives 3 values a row."),
    (found(Finding("PER105", "pass", "12% of labels are below.", "m")), "Model quality: 12% of labels are below."),
])  # fmt: skip
def test_a_model_that_was_not_measured_is_said_not_to_be_with_the_reason(record: Record, says: str) -> None:
    assert describe_quality(record) == says


def test_an_audit_without_labels_says_how_to_give_them() -> None:
    x, y = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(x, y)
    run = assay.audit(model, x[:10], profile="quick", methods=["occlusion"], select=("PER",))
    assert describe_quality(run.record).endswith(
        "Give the true labels: assay.audit(model, x, y), or --target COLUMN on the command line."
    )
    explained = assay.audit(model, x[:10], profile="quick", methods=["occlusion"])
    assert summary(explained.record).next_step.startswith("Give the true labels")
    (tile,) = [tile for tile in tiles(explained.record) if tile.name == "faults found"]
    assert tile.tone != "pass"
    given = assay.audit(model, x, y, profile="quick", methods=["occlusion"], select=("PER",))
    assert describe_quality(given.record).startswith(f"Model quality: accuracy {model.score(x, y):.2f} [")
    assert describe_quality(given.record).endswith("are shown to be better.")


def test_the_sentence_is_at_the_top_of_every_format() -> None:
    record = complete(credit())
    sentence = describe_quality(record)
    top = Page(render(record).split('<section id="performance"')[0]).text
    assert sentence in top
    for text in (notebook_cell(record), markdown(record), model_card(record)):
        assert "Model quality: accuracy 0.71" in text


def gap(low: float, high: float) -> Finding:
    evidence = {"accuracy inside": 0.884, "accuracy outside": 0.632, "loss gap": 1.0, "inside": 700, "outside": 300}
    return Finding(
        "PRV103", "informative", "The accuracy is 0.884.", "m", 0.252, Interval(low, high, 0.95, ""), evidence=evidence
    )


@pytest.mark.parametrize(("low", "high", "says"), [
    (0.22, 0.28, "[0.22, 0.28]: the model fits its training rows better than unseen ones"),
    (-0.01, 0.51, "[−0.01, 0.51]: it is not shown that the model fits its training rows better than unseen ones"),
    (-0.2, -0.1, "[−0.20, −0.10]: the model fits unseen rows better than its training rows: check the split"),
])  # fmt: skip
def test_overfitting_is_one_line_of_the_performance_section(low: float, high: float, says: str) -> None:
    record = found(SKILL, gap(low, high))
    line = f"Overfitting: accuracy 0.88 on training rows against 0.63 on unseen rows, gap 0.25 {says} (PRV103)."
    assert describe_generalisation(record) == line
    assert line in Page(render(record).split('<section id="performance"')[1].split("</section>")[0]).text


def test_overfitting_of_a_regression_is_told_in_the_unit_of_the_labels() -> None:
    evidence = {"mean squared error inside": 4.0e8, "mean squared error outside": 2.5e9}
    found_gap = replace(gap(1.9e9, 2.3e9), estimate=2.1e9, evidence=evidence)
    assert describe_generalisation(found(found_gap)) == (
        "Overfitting: RMSE 20,000 on training rows against 50,000 on unseen rows, gap of the squared errors 2.1 × 10⁹ "
        "[1.9 × 10⁹, 2.3 × 10⁹]: the model fits its training rows better than unseen ones (PRV103)."
    )


def test_without_training_rows_nothing_is_said_about_overfitting() -> None:
    assert describe_generalisation(found(SKILL)) == ""
    assert describe_generalisation(found(Finding("PRV103", "not run", "It needs labels.", "m"))) == ""


def test_calibration_has_estimate_interval_threshold_and_verdict_and_the_null_band_apart() -> None:
    curve = [{"mean probability": 0.2, "share of events": 0.25, "low": 0.1, "high": 0.4, "rows": 40}]
    finding = Finding(
        "PER104", "undecided", "The expected calibration error is 0.118.", "m", 0.118,
        Interval(0.0707, 0.164, 0.99, ""), 0.1, "at most", 0.048, evidence={"reliability curve": curve},
    )  # fmt: skip
    assert describe_calibration(found(finding)) == (
        "Calibration error 0.12 [0.07, 0.16], needs ≤ 0.10: undecided (PER104). Null band [0, 0.05]: 95 % of the "
        "errors of calibrated models on samples of this size."
    )
    assert describe_calibration(empty()) == ""
    page = Page(render(found(SKILL, finding)).split('<section id="performance"')[1].split("</section>")[0]).text
    assert describe_calibration(found(finding)) in page
