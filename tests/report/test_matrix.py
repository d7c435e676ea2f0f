from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.report.record import REFERENCES, credit

from assay.report.matrix import against, matrix


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
