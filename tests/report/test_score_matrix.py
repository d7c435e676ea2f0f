from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from tests.report.extreme_records import hostile
from tests.report.record import REFERENCES, credit

from assay.nouns.results.result import Score
from assay.report.audit.page import render
from assay.report.audit.score_matrix import best_explainers, compare_with_random, score_matrix


def test_control_explanations_come_last() -> None:
    lines = score_matrix(credit()).lines
    assert [line.name for line in lines if line.is_control] == list(REFERENCES)
    assert [line.is_control for line in lines] == sorted(line.is_control for line in lines)


def test_the_arrow_says_which_direction_is_better() -> None:
    arrows = {name: arrow for name, _, arrow in score_matrix(credit()).columns}
    assert (arrows["deletion"], arrows["insertion"], arrows["sparseness"]) == ("↓", "↑", "")


def test_better_than_random_is_judged_on_paired_rows() -> None:
    chance = credit().scores["random", "deletion"]
    lower = replace(chance, values=chance.values - 0.01 + np.resize([0.001, -0.001], len(chance.values)))
    assert compare_with_random(lower, chance) == "better"  # a gap far below the spread over rows
    assert compare_with_random(replace(lower, better="higher"), chance) == "worse"


def test_a_difference_that_can_be_chance_gets_no_sign() -> None:
    chance = credit().scores["random", "deletion"]
    noisy = replace(chance, values=chance.values + np.resize([1.0, -1.0], len(chance.values)))
    assert compare_with_random(noisy, chance) == "no difference"


def test_scores_without_direction_or_reference_are_not_compared() -> None:
    score = credit().scores["lime", "sparseness"]
    assert (compare_with_random(score, score), compare_with_random(replace(score, better="lower"), None)) == ("", "")


def test_a_cell_says_how_many_rows_were_defined() -> None:
    found = score_matrix(credit())
    column = [name for name, *_ in found.columns].index("completeness")
    cell = found.lines[0].cells[column]
    assert cell is not None
    assert cell.rows == "39 of 40 rows"


def test_a_score_without_a_defined_row_is_undefined() -> None:
    score = credit().scores["lime", "deletion"]
    record = replace(credit(), scores={("lime", "deletion"): replace(score, values=np.full(40, np.nan))})
    cell = next(line for line in score_matrix(record).lines if line.name == "lime").cells[0]
    assert cell is not None
    assert (cell.mean, cell.bounds) == ("undefined", "")


def best(scores: Mapping[str, Score]) -> tuple[str, ...]:
    return best_explainers({name: (score, score.interval()) for name, score in scores.items()})


def test_the_best_is_named_if_its_interval_excludes_all_others() -> None:
    score = credit().scores["lime", "deletion"]
    low, high = replace(score, values=score.values - 5), replace(score, values=score.values + 5)
    assert best({"a": high, "b": low, "c": score}) == ("b",)
    assert best({"a": replace(high, better="higher"), "b": replace(low, better="higher")}) == ("a",)


def test_explanations_with_overlapping_intervals_are_tied() -> None:
    score = credit().scores["lime", "deletion"]
    near = replace(score, values=score.values + 0.001)
    assert best({"a": near, "b": score, "c": replace(score, values=score.values + 5)}) == ("b", "a")


def test_rounding_errors_are_tied() -> None:
    score = credit().scores["lime", "deletion"]
    nothing = {name: replace(score, values=np.full(40, size)) for name, size in (("a", 1e-17), ("b", 1e-16))}
    assert best(nothing) == ("a", "b")


def test_no_best_is_named_without_a_direction_or_a_rival() -> None:
    score = credit().scores["lime", "deletion"]
    assert best({"a": score}) == ()
    assert best({name: replace(score, better="neither") for name in "ab"}) == ()


def test_control_explanations_are_never_best() -> None:
    assert {name for names in score_matrix(credit()).best for name in names} & set(REFERENCES) == set()


def test_a_line_counts_the_axioms_its_method_violates() -> None:
    lines = {line.name: line for line in score_matrix(credit()).lines}
    assert (lines["lime"].axioms_violated, lines["lime"].axioms_tested) == (("completeness", "dummy"), 3)
    assert (lines["shapley"].axioms_violated, lines["shapley"].axioms_tested) == ((), 3)
    assert (lines["random"].axioms_violated, lines["random"].axioms_tested) == (("completeness",), 2)


def test_a_method_without_a_measured_line_has_none() -> None:
    record = replace(credit(), axioms={"lime": {"dummy": "kept"}})
    lines = {line.name: line for line in score_matrix(record).lines}
    assert (lines["shapley"].axioms_tested, lines["lime"].axioms_tested) == (0, 1)
    assert score_matrix(record).has_axioms
    assert not score_matrix(replace(credit(), axioms={})).has_axioms


def test_the_page_names_the_axioms_violated_and_only_where_they_are_known() -> None:
    page = render(credit())
    assert 'title="completeness, dummy"' in page
    assert "axioms violated" in page
    assert "axioms violated" not in render(replace(credit(), axioms={}))


def test_names_of_axioms_are_escaped() -> None:
    page = render(hostile('"><script>x</script>'))
    assert "&lt;script&gt;x" in page
    assert "<script>x" not in page
