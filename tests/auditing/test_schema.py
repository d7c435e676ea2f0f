"""The published schemas say what the files hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

import assay
from assay.auditing.run import Run
from assay.auditing.schema import FILES, ResultFile, schema
from assay.basics.errors import InputError
from assay.basics.stats import Interval
from assay.nouns.records.record import MetricChange, Reason, Reasons, RepairRecord, Waiver

PUBLISHED = Path(assay.__file__).parent / "auditing" / "schemas"


@pytest.fixture(scope="module")
def result() -> dict[str, object]:
    from dataclasses import replace

    data = load_breast_cancer(as_frame=True)
    x, y = data.data.iloc[:, :3], data.target
    model = LogisticRegression().fit(x[:200], y[:200])
    run = assay.audit(
        model, x[200:260], y[200:260], train=(x[:200], y[:200]), suspects=["mean radius"], profile="quick"
    )
    lines = (Reason("mean radius", "17.9", 0.2, float("-inf"), 0.3),)
    metrics = (
        MetricChange("AUC", 0.9, float("nan"), Interval(float("nan"), float("nan"), 0.95, "undefined"), "higher"),
    )
    record = replace(
        run.record,
        reasons=(Reasons("0", "all", "probability", 0.9, 0.5, lines),),
        repairs=(
            RepairRecord("refit", "trained again", "m", {"accuracy": 0.9}, {"accuracy": float("nan")}, (), (), metrics),
        ),
        waivers=(Waiver("SHC", "ada", "known", "2027-01-31"),),
    )
    result: dict[str, object] = json.loads(Run(record).to_json())
    return result


def test_a_real_result_is_valid(result):
    assert ResultFile.model_validate_json(json.dumps(result), strict=True).passed is result["passed"]


@pytest.mark.parametrize("missing", ["findings", "schema", "times"])
def test_a_result_that_lacks_something_is_not(result, missing):
    less = {name: value for name, value in result.items() if name != missing}
    with pytest.raises(ValidationError):
        ResultFile.model_validate(less)


def test_a_result_with_something_strange_is_not(result):
    with pytest.raises(ValidationError):
        ResultFile.model_validate(result | {"score": 1})


@pytest.mark.parametrize("name", FILES)
def test_the_published_file_is_the_schema(name):
    text = (PUBLISHED / f"{name}.json").read_text(encoding="utf-8")
    assert text == json.dumps(schema(name), indent=1) + "\n", f"write it again: assay schema {name}"


def test_the_schema_forbids_what_it_does_not_name():
    parts = [schema("result"), *schema("result")["$defs"].values(), *schema("config")["$defs"].values()]
    assert all(part["additionalProperties"] is False for part in parts)


def test_a_schema_that_does_not_exist_is_told():
    with pytest.raises(InputError, match="there are config, result"):
        schema("page")
