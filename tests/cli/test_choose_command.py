"""assay choose: every question of the table has methods that exist, with commands that run, or a sentence."""

from __future__ import annotations

import itertools
import json
import shlex
import sys

import pytest
from tests.cli.test_terminal import Terminal
from tests.test_docs import ROOT, generator

from assay.cli.catalogue import methods
from assay.nouns.choosing.choice import CAMPS, DATA, GOALS, KINDS, MODELS, PAIRS
from assay.nouns.choosing.choices import CHOICES
from assay.nouns.choosing.choose import choose, why_none


def test_every_method_of_the_table_exists():
    known = {f"{method.verb}.{method.name}" for method in methods()}
    assert {choice.method for choice in CHOICES} - known == set()


def test_every_row_of_the_table_is_named_for_some_question():
    named = {
        id(choice)
        for goal, data, model, camps in itertools.product(GOALS, DATA, MODELS, itertools.product(*PAIRS))
        if model != "trees" or data == "table"
        for choice in choose(goal, [data, model], camps)
    }
    assert [choice.method for choice in CHOICES if id(choice) not in named] == []


@pytest.mark.parametrize("goal", GOALS)
def test_every_cell_names_one_to_four_methods_or_says_why_none(goal):
    names = [choice.method for choice in choose(goal)]
    assert len(names) == len(set(names)) == 4
    for data, model in itertools.product(DATA, MODELS):
        if model == "trees" and data != "table":
            continue
        for camps in itertools.product(*((None, *pair) for pair in PAIRS)):
            kinds, wanted = [data, model], [camp for camp in camps if camp]
            found = choose(goal, kinds, wanted)
            assert len(found) <= 4
            assert len({choice.method for choice in found}) == len(found)
            assert all({data, model} <= {*choice.data, *choice.models} for choice in found)
            assert all(set(wanted) <= set(choice.camps) for choice in found)
            assert found or len(why_none(goal, kinds, wanted)) > 40


def test_a_method_for_every_model_is_agnostic_and_needs_nothing_of_the_model():
    inside = {"gradient", "net", "trees", "attention", "pooled"}
    needs = {f"{method.verb}.{method.name}": method.needs for method in methods()}
    assert [c.method for c in CHOICES if "agnostic" in c.camps and needs[c.method] & inside] == []
    assert [c.method for c in CHOICES if "trees" in needs[c.method] and c.models != ("trees",)] == []
    assert [c.method for c in CHOICES if {"image", "maps"} & needs[c.method] and c.data != ("image",)] == []


@pytest.mark.parametrize("goal", GOALS)
def test_saliency_is_never_named(goal):
    assert all(choice.method != "explain.saliency" for choice in CHOICES)
    assert "local" not in {choice.scope for choice in choose("select-features", ["table"])}


@pytest.mark.parametrize("model", ["memorising", "deep"])
def test_the_commands_for_tables_run(assay, project, model):
    kind = "net" if model == "deep" else "trees"
    files = {"--background FILE": "--background plain.csv", "--train FILE": "--train noisy.csv"}
    files |= {"--concept NAME=FILE": "--concept few=few.csv", "--random-rows FILE": "--random-rows plain.csv"}
    (project / "few.csv").write_text("\n".join((project / "plain.csv").read_text().splitlines()[:9]) + "\n")
    files["--recipe FILE.py:FUNCTION"] = "--recipe mine.py:recipe"
    bad, seen = {}, set()
    for choice in CHOICES:
        is_new = choice.models == ("net",) if kind == "net" else kind in choice.models
        if "table" not in choice.data or not is_new or "--ask loss" in choice.flags:
            continue
        command = choice.command(f"mine.py:{model}", "test.csv" if "GROUP" in choice.flags else "plain.csv", "y")
        command = command.replace("GROUP", "sex --ids id")
        for placeholder, file in files.items():
            command = command.replace(placeholder, file)
        if command in seen:
            continue
        seen.add(command)
        done = assay([*shlex.split(command)[1:], "--rows", "40" if choice.method.startswith("diagnose") else "2"])
        if done.code not in (0, 1):
            bad[command] = done.err
    assert bad == {}


def test_a_loss_is_explained_for_the_true_labels(assay):
    done = assay("explain mine.py:build sage --data plain.csv --target y --ask loss --background plain.csv --rows 20")
    assert done.code == 0, done.err
    assert "of loss" in done.out
    lacking = assay("explain mine.py:build sage --data plain.csv --ask loss --background plain.csv")
    assert lacking.code == 2
    assert "--target COLUMN" in lacking.err


def test_flags_give_methods_with_reason_and_command(assay):
    done = assay("choose --goal understand --kind table,trees --camp local --model m.skops --data t.csv --target y")
    assert done.code == 0
    assert done.out.splitlines()[0] == "explain.tree_shapley  (local, specific, post-hoc)"
    assert done.out.splitlines()[2] == (
        "  $ assay explain m.skops tree_shapley --data t.csv --target y --background FILE"
    )
    rows = json.loads(assay("choose --goal understand --kind table,trees --camp local --format json").out)
    assert rows[0]["method"] == "explain.tree_shapley"
    assert set(rows[0]) == {"method", "camps", "reason", "command"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("choose", "say what for: --goal understand, trust, select-features, act, debug"),
        ("choose --goal understnd", "did you mean 'understand'?"),
        ("choose --goal act --kind picture", "there are table, image"),
        ("choose --goal act --camp locl", "did you mean 'local'?"),
        ("choose --goal act --camp local,global", "local and global exclude each other"),
        ("choose --goal act --kind trees,net", "trees and net exclude each other"),
        ("choose --goal act --kind image,trees", "trees of models of tables only"),
    ],
)
def test_a_wrong_answer_is_refused(assay, words, message):
    done = assay(words)
    assert done.code == 2
    assert message in done.err


def test_an_empty_cell_says_why_and_what_would_help(assay):
    done = assay("choose --goal select-features --kind image")
    assert done.code == 0
    assert "Explanations of single rows, averaged, are no selection" in done.out
    assert "without image: explain.sage" in done.out


def test_on_a_terminal_it_asks(assay, monkeypatch):
    answers = Terminal("7\nunderstand\n2\n\nlocal\nspecific\n\n")
    monkeypatch.setattr(sys, "stdin", answers)
    done = assay("choose")
    assert "What do you want?\n  1  understand: why does the model answer as it does" in done.err
    assert "there is no '7'." in done.err
    assert done.out.splitlines()[0] == "explain.integrated_gradients  (local, specific, post-hoc)"
    assert "grad_cam" in done.out
    assert answers.read() == ""


def test_a_terminal_that_is_closed_is_no_answer(assay, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    assert assay("choose").code == 2


def test_the_page_has_the_table():
    page = (ROOT / "docs" / "choosing.md").read_text(encoding="utf-8")
    assert generator().with_choices(page) == page
    assert all(f"### {goal}: " in page for goal in GOALS)
    assert all(choice.reason in page for choice in CHOICES)
    assert all(f"`{name}`" in page or name in page for name in (*KINDS, *CAMPS))
