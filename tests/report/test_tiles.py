from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.report.page import Page
from tests.report.record import LEAK, PROXY, credit, empty, hung

from assay.nouns.records.record import NotRun
from assay.nouns.results.result import Finding, Refusal
from assay.report.audit.page import render
from assay.report.audit.tiles import command, scope, tiles


def test_four_tiles_count_what_failed_out_of_what_was_looked_at() -> None:
    assert [(tile.count, tile.total, tile.note) for tile in tiles(hung(credit()))] == [
        ("5", "of 10", "2 with care"),
        ("1", "of 1", "on up to 31 rows"),
        ("1", "of 3 checks", "1 accepted, 1 undecided"),
        ("1", "", "1 expired, 1 covering nothing"),
    ]


def test_an_audit_of_nothing_counts_nothing_as_good() -> None:
    assert [tile.tone for tile in tiles(empty())] == ["skipped"] * 4


def test_an_attack_that_changed_the_prediction_does_not_count() -> None:
    attack_result = replace(credit().attack_results["integrated_gradients"], kept=np.zeros(40, dtype=bool))
    assert tiles(replace(credit(), attack_results={"a": attack_result}))[1].count == "0"


def test_the_scope_counts_what_ran_and_names_the_chance_of_a_wrong_verdict() -> None:
    assert scope(hung(credit())) == (
        "42 of 45 checks ran; 2 not run (see Not run), 1 not applicable. "
        "Chance that any verdict of pass or fail is wrong: at most 5 % (Holm over 41 checks)."
    ).replace("42 of 45", f"{len(credit().findings) - 1} of {len(credit().findings) + 2}")


def test_the_chance_follows_the_level() -> None:
    assert "at most 1 % (Holm over 41 checks)" in scope(replace(hung(credit()), level=0.99))


def test_a_refused_step_that_a_finding_tells_is_not_counted_twice() -> None:
    refusal = Refusal("explain.lime", "explain", "x", "CapabilityError")
    told = Finding("EXP201", "error", "explain.lime could not be done: x", "lime")
    record = replace(empty(), refusals=(refusal,), findings=(told,), not_run=(NotRun("a", "b", "c"),))
    assert scope(record).startswith("0 of 2 checks ran; 1 not run (see Not run), 1 error.")


@pytest.mark.parametrize(
    ("findings", "typed"),
    [
        ((LEAK, PROXY), "assay show FAI101"),
        ((replace(PROXY, verdict="pass"),), "assay.audit(model)"),
        ((replace(PROXY, code="$(rm -rf)"),), "assay.audit(model)"),
    ],
)
def test_the_command_shows_the_worst_finding_or_runs_the_audit_again(findings: tuple[Finding, ...], typed: str) -> None:
    assert command(replace(empty(), findings=findings, reproduce="assay.audit(model)")) == typed


def test_identity_verdict_tiles_and_scope_stand_above_the_findings() -> None:
    top = Page(render(hung(credit())).split('<section id="findings"')[0]).text
    said = ("2026-11-22 04:43 UTC", "1,604,860", "assay show", "explanations failed", "Holm over 41 checks")
    assert [text for text in said if text not in top] == []
    assert top.index("First thing to do") < top.index("explanations failed") < top.index("Holm over")
