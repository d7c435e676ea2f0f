"""The gate fails closed."""

from __future__ import annotations

import pytest

from assay.auditing.gate import evaluate_gate
from assay.auditing.run import Run
from assay.nouns.records.record import Record, Waiver
from assay.nouns.results.finding import Finding


def run(*findings, waivers=(), model="a forest"):
    findings_of_run = tuple(Finding(code, verdict, f"{code} said", subject) for code, verdict, subject in findings)
    return Run(
        Record(
            title="t",
            about={"model": model},
            cost={},
            findings=findings_of_run,
            explanations={},
            rivals={},
            scores={},
            references=(),
            waivers=waivers,
        )
    )


PASS, FAIL = ("EXP101", "pass", "shapley"), ("SHC201", "fail", "a forest")
WAIVER = Waiver("SHC", "ada", "known", "2027-01-31")


@pytest.mark.parametrize(
    ("findings", "options", "code"),
    [
        ([PASS], {}, 0),
        ([PASS, FAIL], {}, 1),
        ([PASS, FAIL], {"fail_on": "never"}, 0),
        ([PASS, FAIL], {"ignore": ("SHC",)}, 0),
        ([PASS, ("EXP201", "undecided", "s")], {}, 0),
        ([PASS, ("EXP201", "undecided", "s")], {"fail_on": "undecided"}, 1),
        ([PASS, ("EXP201", "error", "s")], {}, 3),
        ([PASS, ("EXP201", "error", "s")], {"fail_on": "never"}, 3),
        ([PASS, FAIL, ("EXP201", "error", "s")], {}, 3),
        ([PASS], {"require": ("PRV",)}, 3),
        ([PASS], {"require": ("EXP1",)}, 0),
        ([PASS, ("PRV102", "not run", "m")], {"require": ("PRV",)}, 3),
        ([("PRV101", "pass", "m"), ("PRV102", "not run", "m")], {"require": ("PRV",)}, 3),
        ([PASS, ("PRV102", "not run", "m")], {}, 0),
        ([PASS, ("DAT102", "not applicable", "m")], {"require": ("DAT",)}, 3),
        ([PASS, ("DAT104", "informative", "m")], {"require": ("DAT",)}, 0),
        ([PASS, ("PRV102", "not run", "m")], {"require": ("PRV",), "ignore": ("PRV",)}, 3),
        ([PASS], {"ignore": ("EXP",)}, 5),
        ([], {}, 5),
    ],
)
def test_the_exit_code_follows_the_findings(findings, options, code):
    assert evaluate_gate(run(*findings), **options).exit == code


def test_a_waiver_holds_on_its_last_day_and_is_reported():
    answer = evaluate_gate(run(PASS, FAIL, waivers=(WAIVER,)), day="2027-01-31")
    assert answer.exit == 0
    assert "accepted by ada until 2027-01-31: known" in answer.reasons[0]


def test_a_waiver_that_ended_fails_again_and_says_so():
    answer = evaluate_gate(run(PASS, FAIL, waivers=(WAIVER,)), day="2027-02-01")
    assert answer.exit == 1
    assert "the waiver of ada ended on 2027-01-31" in answer.reasons[0]


def test_a_waiver_of_another_subject_does_not_hold():
    other = Waiver("SHC", "ada", "known", "2027-01-31", "another")
    assert evaluate_gate(run(PASS, FAIL, waivers=(other,)), day="2026-01-01").exit == 1


def test_a_check_that_broke_can_be_accepted():
    broken = ("SHC201", "error", "a forest")
    assert evaluate_gate(run(PASS, broken, waivers=(WAIVER,)), day="2026-01-01").exit == 0


def test_what_failed_in_the_baseline_is_reported_and_does_not_fail():
    answer = evaluate_gate(run(PASS, FAIL), baseline=run(PASS, FAIL))
    assert answer.exit == 0
    assert "fail, as in the baseline" in answer.reasons[0]


def test_a_failure_is_new_when_the_baseline_passed():
    assert evaluate_gate(run(PASS, FAIL), baseline=run(PASS, ("SHC201", "pass", "a forest"))).exit == 1


def test_a_failure_is_new_when_the_baseline_was_undecided():
    assert evaluate_gate(run(PASS, FAIL), baseline=run(PASS, ("SHC201", "undecided", "a forest"))).exit == 1


def test_an_old_doubt_is_not_new_when_doubts_count():
    doubt = ("EXP201", "undecided", "s")
    assert evaluate_gate(run(PASS, doubt), fail_on="undecided", baseline=run(PASS, doubt)).exit == 0


def test_the_model_is_the_same_check_under_another_name():
    renamed = run(PASS, ("SHC201", "fail", "a new forest"), model="a new forest")
    assert evaluate_gate(renamed, baseline=run(PASS, FAIL)).exit == 0


@pytest.mark.parametrize("verdict", ["pass", "fail"])
def test_what_the_baseline_decided_must_be_made_again(verdict):
    answer = evaluate_gate(run(PASS), baseline=run(PASS, ("PRV101", verdict, "a forest")))
    assert answer.exit == 3
    assert "PRV101 (a forest) was decided in the baseline" in answer.reasons[0]


@pytest.mark.parametrize("verdict", ["not run", "not applicable"])
def test_what_the_baseline_decided_is_lost_when_it_is_not_made(verdict):
    decided, lost = (run(PASS, ("PRV101", v, "a forest")) for v in ("pass", verdict))
    assert evaluate_gate(lost, baseline=decided).exit == 3


def test_what_is_ignored_may_be_lost():
    assert evaluate_gate(run(PASS), baseline=run(PASS, FAIL), ignore=("SHC",)).exit == 0


def test_counts_are_of_what_counts():
    answer = evaluate_gate(run(PASS, FAIL, ("DAT104", "informative", "m")), ignore=("DAT",))
    assert answer.counts == {"fail": 1, "pass": 1}
