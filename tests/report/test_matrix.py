from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from tests.report.record import REFERENCES, credit, hostile

from assay.nouns.results.result import Score
from assay.report.audit.page import render
from assay.report.audit.score_matrix import against, leaders, matrix


def test_references_stand_apart_after_all_others() -> None:
    lines = matrix(credit()).lines
    assert [line.name for line in lines if line.reference] == list(REFERENCES)
    assert [line.reference for line in lines] == sorted(line.reference for line in lines)


def test_the_arrow_says_which_direction_is_better() -> None:
    arrows = {name: arrow for name, _, arrow in matrix(credit()).columns}
    assert (arrows["deletion"], arrows["insertion"], arrows["sparseness"]) == ("↓", "↑", "")


def test_better_than_random_is_judged_on_paired_rows() -> None:
    chance = credit().scores["random", "deletion"]
    lower = replace(chance, values=chance.values - 0.01 + np.resize([0.001, -0.001], len(chance.values)))
    assert against(lower, chance) == "better"  # a gap far below the spread over rows
    assert against(replace(lower, better="higher"), chance) == "worse"


def test_a_difference_that_could_be_chance_gets_no_sign() -> None:
    chance = credit().scores["random", "deletion"]
    noisy = replace(chance, values=chance.values + np.resize([1.0, -1.0], len(chance.values)))
    assert against(noisy, chance) == "alike"


def test_scores_without_direction_or_reference_are_not_compared() -> None:
    score = credit().scores["lime", "sparseness"]
    assert (against(score, score), against(replace(score, better="lower"), None)) == ("", "")


def test_a_cell_says_how_many_rows_were_defined() -> None:
    found = matrix(credit())
    column = [name for name, *_ in found.columns].index("completeness")
    cell = found.lines[0].cells[column]
    assert cell is not None
    assert cell.rows == "39 of 40 rows"


def test_a_score_without_a_defined_row_is_undefined() -> None:
    score = credit().scores["lime", "deletion"]
    record = replace(credit(), scores={("lime", "deletion"): replace(score, values=np.full(40, np.nan))})
    cell = next(line for line in matrix(record).lines if line.name == "lime").cells[0]
    assert cell is not None
    assert (cell.mean, cell.bounds) == ("undefined", "")


def led(scores: Mapping[str, Score]) -> tuple[str, ...]:
    return leaders({name: (score, score.interval()) for name, score in scores.items()})


def test_the_best_is_named_where_its_interval_lies_apart() -> None:
    score = credit().scores["lime", "deletion"]
    low, high = replace(score, values=score.values - 5), replace(score, values=score.values + 5)
    assert led({"a": high, "b": low, "c": score}) == ("b",)
    assert led({"a": replace(high, better="higher"), "b": replace(low, better="higher")}) == ("a",)


def test_explanations_that_cannot_be_told_apart_are_tied() -> None:
    score = credit().scores["lime", "deletion"]
    near = replace(score, values=score.values + 0.001)
    assert led({"a": near, "b": score, "c": replace(score, values=score.values + 5)}) == ("b", "a")


def test_rounding_makes_no_winner() -> None:
    score = credit().scores["lime", "deletion"]
    nothing = {name: replace(score, values=np.full(40, size)) for name, size in (("a", 1e-17), ("b", 1e-16))}
    assert led(nothing) == ("a", "b")


def test_no_best_is_named_without_a_direction_or_a_rival() -> None:
    score = credit().scores["lime", "deletion"]
    assert led({"a": score}) == ()
    assert led({name: replace(score, better="neither") for name in "ab"}) == ()


def test_references_are_never_called_best() -> None:
    assert {name for names in matrix(credit()).best for name in names} & set(REFERENCES) == set()


def test_a_line_counts_the_axioms_its_method_breaks() -> None:
    lines = {line.name: line for line in matrix(credit()).lines}
    assert (lines["lime"].broken, lines["lime"].held) == (("completeness", "dummy"), 3)
    assert (lines["shapley"].broken, lines["shapley"].held) == ((), 3)
    assert (lines["random"].broken, lines["random"].held) == (("completeness",), 2)


def test_a_method_without_a_measured_line_has_none() -> None:
    record = replace(credit(), axioms={"lime": {"dummy": "kept"}})
    lines = {line.name: line for line in matrix(record).lines}
    assert (lines["shapley"].held, lines["lime"].held) == (0, 1)
    assert matrix(record).axioms
    assert not matrix(replace(credit(), axioms={})).axioms


def test_the_page_names_the_axioms_broken_and_only_where_they_are_known() -> None:
    page = render(credit())
    assert 'title="completeness, dummy"' in page
    assert "axioms broken" in page
    assert "axioms broken" not in render(replace(credit(), axioms={}))


def test_names_of_axioms_are_escaped() -> None:
    page = render(hostile('"><script>x</script>'))
    assert "&lt;script&gt;x" in page
    assert "<script>x" not in page
