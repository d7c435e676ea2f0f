"""Options of methods in an audit: --option METHOD.NAME=VALUE, assay.toml, and --ball."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from assay.auditing.run import Run
from assay.cli.commands import audit as command
from assay.cli.main import run_command

AUDIT = "audit mine.py:build --data plain.csv --target y --profile quick -q --select EXP"


def options_of(name):
    return Run.load("audit").record.explanations[name].provenance.options


def test_an_option_reaches_its_method(assay):
    assert assay(f"{AUDIT} --methods lime,occlusion --option lime.budget=24 --option lime.width=0.5").code in (0, 1)
    assert (options_of("lime")["budget"], options_of("lime")["width"]) == (24, 0.5)


def test_the_file_gives_options_and_the_command_line_comes_before_it(assay, project):
    (project / "assay.toml").write_text(
        '[audit]\nmethods = ["lime", "shapley"]\nscores = ["faithfulness_correlation"]\n'
        "[methods.lime]\nbudget = 24\nwidth = 0.5\n[scores.faithfulness_correlation]\ndraws = 8\n"
    )
    assert assay(f"{AUDIT} --option lime.budget=40").code in (0, 1)
    assert (options_of("lime")["budget"], options_of("lime")["width"]) == (40, 0.5)
    score = Run.load("audit").record.scores["lime", "faithfulness_correlation"]
    assert score.provenance.options["draws"] == 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--methods lime --option lime.budgt=3", "explain.lime has no option 'budgt'; did you mean 'budget'?"),
        ("--methods lime --option lime.budget=many", "'many' is not a whole number"),
        ("--methods lime --option lime=3", "write METHOD.NAME=VALUE, such as lime.budget=1024"),
        ("--methods lime --option lime.budget", "write METHOD.NAME=VALUE, such as lime.budget=1024"),
        ("--methods lime --option lim.budget=3", "'lim' is no method of an audit; did you mean"),
        ("--option disparity.combin=no", "diagnose.disparity has no option 'combin'; did you mean 'combine'?"),
        ("--option lime.budgt=3", "explain.lime has no option 'budgt'; did you mean 'budget'?"),
        ("--option rise.budget=3", "'rise', which this audit does not run"),
        ("--methods shapley --option occlusion.remove=mean", "name it: --methods shapley,occlusion"),
        ("--methods shapley --option lime.budget=3", "name it: --methods shapley,lime"),
        ("--option deletion.remove=mean", "an audit gives all methods the same remove"),
        ("--methods occlusion --option occlusion.remove=mean", "an audit gives all methods the same remove"),
        ("--ball wide", "'wide' is not a ball"),
    ],
)
def test_a_wrong_option_is_a_usage_error(assay, words, message):
    done = assay(f"{AUDIT} {words}")
    assert done.code == 2
    assert message in " ".join(done.err.split())


def test_an_option_reaches_a_method_of_the_profile_that_is_not_named(assay):
    words = "--option lime.budget=24 --option deletion.steps=3 --option top_k.steps=2 --option performance.skill=0.25"
    assert assay(f"{AUDIT.removesuffix('--select EXP')} {words}").code in (0, 1)
    record = Run.load("audit").record
    assert options_of("lime")["budget"] == 24
    assert record.scores["lime", "deletion"].provenance.options["steps"] == 3
    assert {f.threshold for f in record.findings if f.code == "PER101"} == {0.25}
    assert "--option lime.budget=24" in record.reproduce


def test_the_file_gives_options_of_methods_of_the_profile(assay, project):
    (project / "assay.toml").write_text("[options.performance]\nskill = 0.25\n")
    assert assay(AUDIT.replace("EXP", "PER")).code in (0, 1)
    assert {f.threshold for f in Run.load("audit").record.findings if f.code == "PER101"} == {0.25}


def test_a_wrong_option_in_the_file_is_a_usage_error(assay, project):
    (project / "assay.toml").write_text('[audit]\nmethods = ["lime"]\n[methods.lime]\nbudget = 2.5\n')
    done = assay(AUDIT)
    assert done.code == 2
    assert "'2.5' is not a whole number" in done.err


@pytest.mark.parametrize("words", [["--ball", "linf:0.25"], []])
def test_a_ball_from_the_command_line_or_the_file_is_that_of_the_audit(project, monkeypatch, words):
    balls = []
    real = command.prepare_from_config

    def prepared(config):
        balls.append(real(config).scope.ball)
        return real(config)

    monkeypatch.setattr(command, "prepare_from_config", prepared)
    if not words:
        (project / "assay.toml").write_text('[audit]\nball = "linf:0.25"\n')
    assert run_command([*AUDIT.split(), "--dry-run", *words]) == 0
    assert (balls[0].norm, balls[0].radius) == ("linf", 0.25)


@pytest.mark.parametrize("words", ["--ask log_odds", "--ask log_odds --label 0", "--label 1"])
def test_target_and_class_are_those_of_the_explanations(assay, words):
    assert assay(f"{AUDIT} --methods occlusion {words}").code in (0, 1)
    about = Run.load("audit").record.about
    explanation = Run.load("audit").record.explanations["occlusion"]
    given = dict(zip(words.split()[::2], words.split()[1::2]))
    assert given.get("--ask", "probability").replace("_", " ") in about["explained output"].replace("_", " ")
    if "--label" in given:
        assert set(explanation.labels) == {given["--label"]}


def test_an_unknown_target_or_class_is_a_usage_error(assay):
    assert assay(f"{AUDIT} --ask logits_of_it").code == 2
    assert assay(f"{AUDIT} --label maybe").code == 2


@pytest.mark.parametrize("file", ["", "[thresholds]\nEXP201 = 0.3\n"])
def test_the_command_on_the_page_repeats_the_audit(assay, project, file):
    if file:
        (project / "assay.toml").write_text(file)
    words = (
        "audit mine.py:build --data test.csv --ids id --sensitive sex --target y --profile quick -q --seed 3 "
        "--methods occlusion,lime --option lime.budget=24 --select EXP,FAI --threshold FAI101=0.3 --out one"
    )
    assert assay([*words.split(), "--title", 'it\'s "one"']).code in (0, 1)
    first = json.loads(Path("one/result.json").read_text())
    command = first["reproduce"]
    assert command.startswith("assay audit mine.py:build --data test.csv")
    assert "--out" not in command
    assert assay([*shlex.split(command)[1:], "-q", "--store", "another"]).code in (0, 1)
    again = json.loads(Path("audit/result.json").read_text())
    assert {**again, "times": {}} == {**first, "times": {}}
