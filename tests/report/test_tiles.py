from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.report.extreme_records import empty
from tests.report.page import Page
from tests.report.record import LEAK, PROXY, complete, credit

from assay.nouns.records.record import NotRun
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Refusal
from assay.report.audit.page import render
from assay.report.audit.tiles import describe_scope, next_command, tiles


def test_four_tiles_count_what_failed_out_of_what_was_tested() -> None:
    assert [(tile.count, tile.total, tile.note) for tile in tiles(complete(credit()))] == [
        ("5", "of 10", "2 with care, 11 of their checks undecided"),
        ("1", "of 1", "integrated gradients: on 31 of 40 rows, same predicted class"),
        ("5", "", "1 waived, 1 check undecided"),
        ("1", "", "1 waiver expired, 1 unused"),
    ]


def test_an_audit_of_nothing_counts_nothing_as_good() -> None:
    assert [tile.tone for tile in tiles(empty())] == ["skipped"] * 4
    assert [tile.note for tile in tiles(empty())] == ["not tested"] * 3 + ["no waivers"]


def test_a_model_about_which_nothing_is_judged_is_not_tested_and_gets_no_tick() -> None:
    told = Finding("DAT104", "informative", "Rarest class a: 4 %.", "model")
    about_explanations = [f for f in credit().findings if f.subject in credit().explanations and f.code != "TRU001"]
    tile = tiles(replace(credit(), findings=(told, *about_explanations)))[2]
    assert (tile.tone, tile.count, tile.note) == ("skipped", "–", "not tested")


def test_an_attack_that_changed_the_prediction_does_not_count() -> None:
    attack_result = replace(
        credit().attack_results["integrated_gradients"], prediction_unchanged=np.zeros(40, dtype=bool)
    )
    assert tiles(replace(credit(), attack_results={"a": attack_result}))[1].count == "0"


def test_the_scope_counts_what_was_made_and_has_the_probability_of_a_wrong_verdict() -> None:
    assert describe_scope(complete(credit())) == (
        "47 checks in all: 44 made, 2 not run (see Not checked) and 1 not applicable. "
        "Probability that any verdict of pass or fail is wrong: at most 5 % (Holm correction over 41 checks)."
    )


def test_the_probability_follows_the_level() -> None:
    assert "at most 1 % (Holm correction over 41 checks)" in describe_scope(replace(complete(credit()), level=0.99))


def test_a_refused_step_with_a_finding_is_not_counted_twice() -> None:
    refusal = Refusal("explain.lime", "explain", "x", "CapabilityError")
    error = Finding("EXP201", "error", "explain.lime could not be done: x", "lime")
    record = replace(empty(), refusals=(refusal,), findings=(error,), not_run=(NotRun("a", "b", "c"),))
    assert describe_scope(record).startswith("2 checks in all: 0 made, 1 not run (see Not checked) and 1 error.")


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ((LEAK, PROXY), "assay show FAI101 --run FOLDER"),
        ((replace(PROXY, verdict="pass"),), "assay.audit(model)"),
        ((replace(PROXY, code="$(rm -rf)"),), "assay.audit(model)"),
    ],
)
def test_the_command_shows_the_worst_finding_or_runs_the_audit_again(
    findings: tuple[Finding, ...], expected: str
) -> None:
    assert next_command(replace(empty(), findings=findings, reproduce="assay.audit(model)")) == expected


def test_identity_verdict_tiles_and_scope_precede_the_findings() -> None:
    top = Page(render(complete(credit())).split('<section id="findings"')[0]).text
    expected = (
        "2026-11-22 04:43 UTC",
        "rows explained 40",
        "--run FOLDER",
        "explanations can be used",
        "Holm correction over",
    )
    assert [text for text in expected if text not in top] == []
    assert top.index("Holm correction over") < top.index("Next step") < top.index("explanations can be used")
