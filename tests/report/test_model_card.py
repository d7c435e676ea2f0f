from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from tests.report.extreme_records import empty, hostile
from tests.report.photograph_record import photographs
from tests.report.record import complete, credit

from assay.nouns.records.record import Record
from assay.report.formats.model_card import model_card, yaml_string

yaml = pytest.importorskip("yaml")


def front(record: Record) -> Any:
    return yaml.safe_load(model_card(record).split("---\n")[1])


def test_the_front_matter_holds_one_metric_a_finding_with_an_estimate() -> None:
    record = credit()
    (model,) = front(record)["model-index"]
    metrics = model["results"][0]["metrics"]
    known = [f for f in record.findings if math.isfinite(f.estimate) and f.code != "TRU001"]
    assert sorted(m["value"] for m in metrics) == pytest.approx(sorted(f.estimate for f in known))
    assert model["name"] == "GradientBoostingClassifier"
    assert model["results"][0]["task"] == {"type": "tabular-classification"}


@pytest.mark.parametrize(
    ("about", "library"),
    [
        ({"estimator": "RandomForestClassifier()"}, "sklearn"),
        ({"estimator": "XGBClassifier()"}, "xgboost"),
        ({"estimator": "LGBMClassifier()"}, "lightgbm"),
        ({"architecture": "Small"}, "pytorch"),
        ({"black box": "no gradients"}, "onnx"),
        ({}, None),
    ],
)
def test_the_library_follows_from_what_the_model_says_of_itself(about: dict[str, str], library: str | None) -> None:
    assert front(replace(empty(), about=about)).get("library_name") == library


def test_images_are_another_task() -> None:
    assert front(photographs())["model-index"][0]["results"][0]["task"] == {"type": "image-classification"}


def test_the_sections_are_checks_findings_limits_not_run_and_reproduce() -> None:
    text = model_card(complete(credit()))
    sections = ("Checks", "Findings", "Limits", "Not run (2)", "Reproduce")
    places = [text.index(f"## {section}") for section in sections]
    assert places == sorted(places)


@pytest.mark.parametrize("text", ['a"\\b: [x]\n---\n- y', "\u2028\x00\x85\U0001f600\ufeff", "{{x}} <b> | `c`"])
def test_any_text_survives_the_front_matter(text: str) -> None:
    assert yaml.safe_load(yaml_string(text)) == text
    assert front(hostile(text))["model-index"][0]["results"][0]["metrics"][0]["name"].startswith(text)
