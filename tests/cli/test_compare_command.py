"""assay compare: two audits, or two models on the same rows, in every format."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from assay.auditing.run import Run

DATA = "--data plain.csv --train noisy.csv --target y --profile quick -q --select PRV"


@pytest.fixture
def audits(assay, project):
    """The folders of audits of a model without memorisation, and of one that memorised its training rows."""
    for model, out in (("build", "one"), ("memorising", "two")):
        assay(f"audit mine.py:{model} {DATA} --out {out}")
    return project


def test_a_comparison_is_written_in_every_format(assay, audits):
    outputs = {name: assay(f"compare one two --format {name}") for name in ("text", "json", "html", "md")}
    assert {done.code for done in outputs.values()} == {1}
    assert "newly failing: PRV101 the model" in outputs["text"].out
    assert json.loads(outputs["json"].out)["changes"][0]["status"] == "newly failing"
    assert outputs["html"].out.startswith("<!doctype html>")
    assert outputs["md"].out.startswith("## Audit of LogisticRegression")


@pytest.mark.parametrize("name", ["text", "json", "html", "md"])
def test_a_comparison_goes_to_a_file(assay, audits, name):
    done = assay(f"compare one two --format {name} --out there/compared")
    assert done.code == 1
    assert done.out == f"{name}: there/compared\n"
    assert Path("there/compared").read_text(encoding="utf-8") == assay(f"compare one two --format {name}").out


def test_two_models_are_audited_on_the_same_rows_as_assay_audit_does_and_compared(assay, audits):
    done = assay(f"compare mine.py:build mine.py:memorising {DATA} --format json")
    comparison = json.loads(done.out)
    found = {change["code"]: change for change in comparison["changes"]}
    for side, folder in (("before", "one"), ("after", "two")):
        audited = {f.code: f.estimate for f in Run.load(folder).findings if f.code.startswith("PRV")}
        assert {code: found[code][side]["estimate"] for code in audited} == audited
        assert comparison[side].endswith(Run.load(folder).record.about["model fingerprint"])
    assert done.code == 1
    assert comparison["before"].startswith("mine.py:build, ")
    assert comparison["notes"] == ["Left out, since only mine.py:memorising has them: explanations tree_shapley."]


def test_two_models_take_missing_options_from_the_file_and_are_not_repaired(assay, project):
    (project / "assay.toml").write_text(
        '[model]\nrecipe = "mine.py:absent"\n[data]\ntest = "plain.csv"\ntrain = "noisy.csv"\ntarget = "y"\n'
        '[audit]\nprofile = "quick"\nselect = ["DAT"]\nstore = "cache"\n'
    )
    done = assay("compare mine.py:build mine.py:build -q --format json")
    assert (done.code, done.err) == (0, "")
    assert {change["code"][:3] for change in json.loads(done.out)["changes"]} == {"DAT"}
    assert any((project / "cache").rglob("*.assay"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("one mine.py:build", "one is an audit and mine.py:build a model"),
        ("mine.py:build one --data plain.csv", "assay audit mine.py:build --data FILE --target COLUMN --out FOLDER"),
        ("mine.py:build mine.py:memorising", "assay compare mine.py:build mine.py:memorising --data FILE"),
        ("one one --data plain.csv --unsafe-pickle", "--unsafe-pickle, --data: two finished audits are compared"),
        ("absent.skops mine.py:build --data plain.csv", "there is no file absent.skops"),
        ("absent one", "there is no audit in absent"),
    ],
)
def test_what_cannot_be_compared_is_refused(assay, project, words, message):
    (project / "one").mkdir()
    done = assay(f"compare {words}")
    assert done.code == 2
    assert message in " ".join(done.err.split())


def test_a_selection_that_leaves_nothing_exits_with_5(assay, project):
    done = assay("compare mine.py:build mine.py:build --data plain.csv --target y --select ZZZ -q")
    assert done.code == 5
    assert "nothing selected" in done.err


def test_an_audit_is_recognised_by_its_content_under_any_name(assay, audits):
    shutil.copy("one/run.assay", "copy.zip")
    assert assay("compare copy.zip one").code == 0


def test_models_of_different_kinds_are_compared_by_what_both_have(assay, project):
    lines = [f"{i % 7},{i % 3},{i % 2}" for i in range(60)]
    (project / "whole.csv").write_text("\n".join(["a,b,y", *lines]) + "\n")
    words = "--data whole.csv --target y --profile quick -q --select EXP,TRU --format json"
    comparison = json.loads(assay(f"compare mine.py:memorising mine.py:deep {words}").out)
    notes = " ".join(comparison["notes"])
    assert "Left out, since only mine.py:memorising has them: explanations tree_shapley." in notes
    assert "Left out, since only mine.py:deep has them: explanations expected_gradients," in notes
    assert "rows differ" not in notes
    assert {change["status"] for change in comparison["changes"]} & {"gone", "new"} == set()
    assert {"shapley", "lime", "occlusion"} <= {change["subject"] for change in comparison["changes"]}
    assert {drift["method"] for drift in comparison["drifts"]} == {
        "shapley",
        "permutation_shapley",
        "occlusion",
        "lime",
    }


def test_a_check_that_both_were_planned_to_answer_and_one_lacks_is_missing(assay, audits, monkeypatch):
    from assay.cli.commands import audit as command

    real = command.run_prepared

    def lacking(prepared, config, **options):
        run = real(prepared, config, **options)
        if options["texts"].title == "mine.py:memorising":
            findings = tuple(f for f in run.record.findings if f.code != "PRV101")
            return replace(run, record=replace(run.record, findings=findings))
        return run

    monkeypatch.setattr(command, "run_prepared", lacking)
    done = assay(f"compare mine.py:build mine.py:memorising {DATA} --format json")
    assert {c["code"]: c["status"] for c in json.loads(done.out)["changes"]}["PRV101"] == "gone"


def test_other_rows_of_the_same_shape_are_not_the_same_rows(assay, audits):
    changed = Path("plain.csv").read_text().replace(".0", ".9")
    Path("changed.csv").write_text(changed)
    assay(f"audit mine.py:build {DATA.replace('plain.csv', 'changed.csv')} --out three")
    done = assay("compare one three")
    assert "The rows differ: 60 rows" in done.out
    assert "no paired comparison and no drift" in done.out
