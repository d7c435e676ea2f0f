"""The section on performance: metrics, classes, confusion matrix, calibration; and the six rows that are shown."""

from __future__ import annotations

from dataclasses import replace

from tests.report.extreme_records import empty
from tests.report.page import Page
from tests.report.record import METRIC, SKILL, complete, credit

from assay.nouns.results.finding import Finding
from assay.report.audit.page import CARDS, render
from assay.report.audit.performance import MAX_CLASSES, performance

CURVE = [
    {"mean probability": 0.2, "share of events": 0.25, "low": 0.1, "high": 0.4, "rows": 40},
    {"mean probability": 0.7, "share of events": 0.5, "low": 0.4, "high": 0.6, "rows": 40},
]


def section(page: str, name: str) -> str:
    return page.split(f'<section id="{name}"')[1].split("</section>")[0]


def test_every_metric_has_its_interval_and_that_of_a_constant() -> None:
    lines = performance(complete(credit())).metrics
    assert [(line.name, line.value, line.bounds, line.constant, line.better) for line in lines] == [
        ("accuracy", "0.71", "[0.68, 0.74]", "0.50", "↑"),
        ("AUC", "0.71", "[0.68, 0.74]", "0.50", "↑"),
        ("log loss", "0.33", "[0.68, 0.74]", "0.50", "↓"),
    ]
    text = Page(section(render(complete(credit())), "performance")).text
    assert "bad 450 0.80 [0.70, 0.90] 0.60 [0.50, 0.70]" in text
    assert "bad 300 150 good 111 339" in text


def test_the_reliability_curve_is_drawn_from_the_evidence() -> None:
    curve = Finding("PER104", "pass", "ECE is 0.1.", "m", evidence={"reliability curve": CURVE})
    found = performance(replace(empty(), findings=(SKILL, curve)))
    assert "<svg" in found.calibration
    assert "predicted 0.7" in found.calibration
    assert performance(replace(empty(), findings=(SKILL,))).calibration == ""


def test_without_a_performance_finding_there_is_no_section() -> None:
    assert performance(empty()).metrics == ()
    assert 'id="performance"' not in render(empty())


def test_of_many_classes_those_with_the_lowest_recall_are_listed() -> None:
    classes = {f"class {i}": {"rows": 10, "recall": i / 20, "precision": 0.5} for i in range(12)}
    many = replace(SKILL, evidence={"metrics": {"accuracy": METRIC}, "by class": classes})
    found = performance(replace(empty(), findings=(many,)))
    assert [line.name for line in found.classes] == [f"class {i}" for i in range(MAX_CLASSES)]
    assert found.more_classes == 12 - MAX_CLASSES


def test_six_rows_are_shown_before_anything_is_unfolded() -> None:
    page = render(complete(credit()))
    shown = section(page, "explanations")
    assert shown.count('id="row-') == CARDS
    assert section(page, "methods").count('id="row-0"') + shown.count('id="row-0"') == 1


def test_long_tables_settings_and_hashes_are_folded() -> None:
    page = render(complete(credit()))
    for name in ("scores", "methods", "attacks", "limits", "reproduce", "glossary"):
        assert section(page, name).count('<details class="folded">') == 1
    for name in ("verdict", "performance", "findings", "explanations", "not-run"):
        assert "folded" not in section(page, name)
