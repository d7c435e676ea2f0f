"""assay audit, and every exit code."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from assay.auditing.run import Run
from assay.auditing.schema import ResultFile
from assay.cli.catalogue import methods as catalogue
from assay.model.files.load import load_model

BASE = "audit mine.py:build --data test.csv --target y --ids id --sensitive sex --profile quick -q"
FAST = f"{BASE} --select FAI,DAT"
LEAK = "audit mine.py:build --data plain.csv --train plain.csv --target y --profile quick -q --select DAT"


def test_it_exits_with_0_when_nothing_failed(assay, project):
    done = assay(FAST)
    assert done.code == 0, done.err
    assert "page: audit/report.html" in done.out
    assert {"run.assay", "result.json", "report.html"} <= {path.name for path in (project / "audit").iterdir()}


def test_it_exits_with_1_when_a_check_failed(assay):
    done = assay(LEAK)
    assert done.code == 1
    assert "FAIL" in done.out
    assert "DAT101" in done.out
    assert "next: assay show DAT101 --run audit" in done.out


def test_failures_can_be_told_without_failing(assay):
    assert assay(f"{LEAK} --fail-on never").code == 0


def test_doubts_fail_where_they_shall(assay):
    assert assay(f"{FAST} --fail-on undecided").code == 1


def test_it_exits_with_3_when_a_required_check_was_not_made(assay):
    done = assay(f"{FAST} --require PRV")
    assert done.code == 3
    assert "PRV is required and was not run" in done.out


def test_it_exits_with_5_when_nothing_is_selected(assay, project):
    done = assay(f"{BASE} --select ZZZ")
    assert done.code == 5
    assert "nothing selected" in done.err
    assert not (project / "audit").exists()


def test_what_is_selected_and_cannot_be_made_is_not_a_success(assay):
    done = assay(f"{BASE} --select PRV")
    assert done.code == 5
    assert "diagnose.membership will not run: it needs training rows with their labels" in done.err
    assert "(enable with --train FILE)" in done.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("audit mine.py:build --data absent.csv", "there is no file absent.csv"),
        ("audit mine.py:build --data test.csv --target sexx", "did you mean 'sex'?"),
        ("audit mine.py:make --data test.csv", "no function 'make'"),
        ("audit mine.py:build --dta test.csv", "Did you mean --data?"),
        ("audit mine.py:build --data test.csv --level 2", "audit.level: found 2.0; needed: less than 1"),
        ("audit mine.py:build --data plain.csv --train train.csv", "--train train.csv needs --target"),
        ("audit mine.py:build", "--data FILE must be given"),
        ("audit", "a model and --data FILE must be given"),
        (f"{BASE} --sensitive sx", "did you mean 'sex'"),
        (f"{BASE} --resume", "nothing to resume in .assay/store"),
        (f"{FAST} --out mine.py/there", "mine.py"),
        ("adit", "Did you mean"),
    ],
)
def test_usage_exits_with_2_and_says_what_to_do(assay, words, told):
    done = assay(words)
    assert done.code == 2, done.err
    assert told in " ".join(done.err.split())
    assert done.err.startswith("error[E0")
    assert "Traceback" not in done.err


def test_a_hostile_column_name_does_not_steer_the_terminal(assay, project):
    (project / "evil.csv").write_text("\x1b[31mred,b\n1,2\n")
    done = assay("audit mine.py:build --data evil.csv --target y")
    assert done.code == 2
    assert "\\x1b[31mred" in done.err
    assert "\x1b" not in done.err


def test_a_pickle_exits_with_4(assay, project):
    (project / "model.pkl").write_bytes(b"\x80\x04.")
    done = assay("audit model.pkl --data plain.csv")
    assert done.code == 4
    assert done.err.startswith("error[E041]: model.pkl is a pickle; loading it can run code\n  ")


def test_a_damaged_table_exits_with_4(assay, project):
    (project / "data.parquet").write_bytes(b"PAR1 and no more")
    done = assay("audit mine.py:build --data data.parquet")
    assert done.code == 4
    assert done.err.startswith("error[E042]: data.parquet could not be read")


@pytest.mark.parametrize(
    ("function", "told"), [("broken", "IndexError: list index out of range"), ("refuses", "no answer today")]
)
def test_an_error_of_the_model_exits_with_4_and_its_place(assay, function, told):
    done = assay(f"audit mine.py:{function} --data plain.csv --target y -q")
    assert done.code == 4
    assert told in done.err
    assert "mine.py, line" in done.err


def test_an_interruption_exits_with_130_and_the_command_that_goes_on(assay):
    done = assay("audit mine.py:stopped --data test.csv --seed 3")
    assert done.code == 130
    assert "assay audit mine.py:stopped --data test.csv --seed 3 --resume" in done.err


def test_an_internal_error_exits_with_70_and_keeps_no_data(assay, project, monkeypatch):
    def wrong(*_, **__):
        raise ZeroDivisionError("secret value 42")

    monkeypatch.setattr("assay.auditing.audit.prepare", wrong)
    done = assay(f"{BASE} --store kept")
    assert done.code == 70
    assert done.err.startswith("error[E070]: internal error: ZeroDivisionError\n  ")
    assert "Traceback" not in done.err
    (bundle,) = (project / "kept").glob("internal-error-*.json")
    held = json.loads(bundle.read_text())
    assert held["error"] == "ZeroDivisionError"
    assert held["traceback"][-1]["function"] == "wrong"
    assert "secret" not in bundle.read_text()
    assert "test.csv" not in bundle.read_text()


def test_the_traceback_is_there_when_it_is_asked_for(assay):
    assert "Traceback" in assay("audit mine.py:build --data absent.csv -v").err


def test_a_dry_run_tells_what_is_asked_and_runs_nothing(assay, project):
    told = assay(f"{LEAK} --dry-run")
    assert told.code == 0
    assert not (project / "audit").exists()
    assert not (project / ".assay").exists()
    assay(LEAK)
    cost = Run.load("audit").record.cost
    assert f"{cost['model evaluations requested']:,} model evaluations and 0 gradient evaluations" in told.out


def test_a_finished_audit_resumes_without_asking_again(assay):
    assay(LEAK)
    first = json.loads((Run.load("audit")).to_json())
    assert assay(f"{LEAK} --resume").code == 1
    again = json.loads((Run.load("audit")).to_json())
    assert int(again["times"]["model evaluations now"].replace(",", "")) < int(
        first["times"]["model evaluations now"].replace(",", "")
    )
    assert {**again, "times": {}} == {**first, "times": {}}


def test_json_is_valid_by_the_schema(assay):
    ResultFile.model_validate_json(assay(f"{FAST} --format json").out, strict=True)


def test_junit_has_a_case_for_each_check(assay):
    tree = ElementTree.fromstring(assay(f"{FAST} --format junit").out)
    told = [case.get("name", "") + case.get("classname", "") for case in tree.iter("testcase")]
    assert any("FAI101" in name for name in told)


@pytest.mark.parametrize(("format", "start"), [("html", "<!doctype html>"), ("md", "## ")])
def test_pages_are_printed(assay, format, start):
    assert assay(f"{FAST} --format {format}").out.lower().startswith(start)


def test_everything_may_stand_in_the_file(assay, project):
    (project / "assay.toml").write_text(
        '[model]\nfile = "mine.py:build"\n[data]\ntest = "plain.csv"\ntrain = "plain.csv"\ntarget = "y"\n'
        '[audit]\nprofile = "quick"\nselect = ["DAT"]\nout = "there"\n'
        '[[accept]]\ncode = "DAT101"\nowner = "ada"\nreason = "known"\nuntil = 2999-01-01\n'
    )
    done = assay("audit -q")
    assert done.code == 0, done.err
    assert "accepted by ada until 2999-01-01: known" in done.out
    assert (project / "there" / "report.html").is_file()


def test_a_waiver_that_ended_fails_again_and_says_so(assay, project):
    (project / "assay.toml").write_text(
        '[[accept]]\ncode = "DAT101"\nowner = "ada"\nreason = "known"\nuntil = 2020-01-01\n'
    )
    done = assay(LEAK)
    assert done.code == 1
    assert "the waiver of ada ended on 2020-01-01" in done.out


def test_all_errors_of_a_file_are_listed(assay, project):
    (project / "assay.toml").write_text("[audit]\nprofil = 'quick'\nseed = 'x'\n")
    done = assay("audit mine.py:build --data test.csv")
    assert done.code == 2
    assert done.err.splitlines()[0] == "error[E021]: assay.toml has 2 errors"
    assert len(done.err.splitlines()) == 3


def test_a_sensitive_column_the_model_does_not_know_is_used_for_groups_alone(assay):
    assay(FAST)
    run = Run.load("audit")
    assert run["FAI101"].subject == "sex"
    assert run.record.explanations["shapley"].features.names == ("a", "b")
    assert run.record.explanations["shapley"].ids[0] == "r500"


def test_progress_is_printed_in_lines_unless_quiet(assay):
    loud, quiet = assay(FAST.replace(" -q", "")), assay(FAST)
    assert "LogisticRegression" in loud.err.splitlines()[0]
    assert "! diagnose.membership will not run: it needs training rows with their labels" in loud.err
    assert "plan: " in loud.err
    assert "\r" not in loud.err
    assert quiet.err == ""


def test_what_fails_is_mended_by_the_recipe_and_the_page_tells_before_and_after(assay, project):
    words = "audit mine.py:memorising --data plain.csv --train noisy.csv --target y --profile quick -q --select PRV"
    assert assay(words).code == 1
    assert '<section id="repairs"' not in (project / "audit" / "report.html").read_text(encoding="utf-8")
    assert assay(f"{words} --recipe mine.py:mending").code == 1
    (repair_record,) = Run.load("audit").record.repairs
    before, after = (
        next(f for f in found if f.code == "PRV101") for found in (repair_record.before, repair_record.after)
    )
    assert before.verdict == "fail"
    assert after.estimate < before.estimate
    page = (project / "audit" / "report.html").read_text(encoding="utf-8")
    assert before.claim in page
    assert after.claim in page


def test_a_recipe_may_stand_in_the_file_and_is_planned(assay, project):
    (project / "assay.toml").write_text('[model]\nrecipe = "mine.py:recipe"\n')
    told = assay("audit mine.py:build --data plain.csv --train noisy.csv --target y --profile quick --dry-run").out
    assert "repair.refit" in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            f"{LEAK} --recipe mine.py:build",
            "mine.py:build returns LogisticRegression; it must return an assay.Recipe(fit, x, y)",
        ),
        (f"{LEAK} --recipe mine.py", "name the function that returns the recipe: mine.py:FUNCTION"),
        ("audit mine.py:build --data plain.csv --recipe mine.py:recipe", "--recipe needs --target COLUMN"),
    ],
)
def test_what_is_no_recipe_is_refused(assay, words, told):
    done = assay(words)
    assert done.code == 2
    assert told in " ".join(done.err.split())


@pytest.mark.parametrize(("verb", "flags"), [("explain", "--scores deletion --methods"), ("evaluate", "--scores")])
def test_any_method_named_is_planned_or_refused_by_what_it_needs(assay, monkeypatch, verb, flags):
    loaded = load_model("mine.py:build")
    monkeypatch.setattr("assay.model.files.load.load_model", lambda *given, **options: loaded)
    internal = {}
    for method in catalogue():
        if method.verb == verb:
            words = f"audit mine.py:build --data plain.csv --target y --profile quick --dry-run {flags} {method.name}"
            done = assay(words if verb == "explain" else f"{words} --methods occlusion")
            needed = [name for name, option in method.options.items() if option.default is option.empty]
            if done.code == 2:
                assert any(f"needs {name}" in done.err for name in needed), done.err
            elif done.code not in (0, 5):
                internal[method.name] = done.err
    assert internal == {}


def test_a_missing_option_of_a_method_is_a_usage_error(assay):
    done = assay("audit mine.py:build --data plain.csv --target y --methods aggregate")
    assert done.code == 2
    assert "explain.aggregate needs members, which the audit does not know" in done.err
    assert "methods={'aggregate': {'members': …}}" in done.err


@pytest.mark.parametrize("method", ["qii", "reason_codes"])
def test_a_comparison_group_is_the_background_of_the_audit(assay, method):
    done = assay(f"audit mine.py:build --data plain.csv --target y --methods {method} --profile quick --select EXP -q")
    assert done.code in (0, 1, 3), done.err
