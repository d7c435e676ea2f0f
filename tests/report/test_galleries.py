from __future__ import annotations

import functools
import re
from dataclasses import replace

import pytest
from tests.report.page import Page
from tests.report.record import credit, hung, photographs

from assay.report.audit.galleries import BUDGET, rooms, trusted
from assay.report.audit.page import render
from assay.report.drawing.bars import FEW, paired
from assay.report.drawing.image_maps import BUDGET as ALL_PICTURES
from assay.report.drawing.image_maps import album


@functools.cache
def shown() -> str:
    return render(hung(credit()))


def test_the_first_explanation_that_passed_explains_the_galleries() -> None:
    record = credit()
    failed = tuple(
        replace(f, verdict="fail") if (f.code, f.subject) == ("TRU001", "shapley") else f for f in record.findings
    )
    assert trusted(record) == ("shapley", True)
    assert trusted(replace(record, findings=failed)) == ("permutation_shapley", True)
    assert trusted(replace(record, findings=())) == ("shapley", False)


def test_each_gallery_says_why_and_how_many_rows_qualify() -> None:
    text = Page(shown()).text
    assert "Borderline the two likeliest classes are closest; 4 of 40 rows" in text
    assert "evidence that looks the same for the runner-up explains nothing" in text


def test_a_row_is_drawn_once_and_named_where_it_comes_again() -> None:
    borderline = rooms(hung(credit())).rooms[1]
    assert [card.above for card in borderline.cards] == ["typical", "", "", ""]
    page = shown()
    assert page.count('id="row-1"') == 1
    assert page.count('href="#row-1"') == 1


def test_a_wrong_row_names_the_true_class() -> None:
    record = hung(credit())
    right = replace(record, truth=record.predictions)
    assert re.search(r"predicted (granted|refused) , truly (granted|refused)", Page(shown()).text)
    assert ", rightly" in shown()
    assert not re.search(r"predicted \w+ , truly", Page(render(right)).text)


def test_the_runner_up_is_drawn_for_the_same_parts_on_the_same_axis() -> None:
    explanation = credit().explanations["shapley"]
    rival = replace(explanation, values=-explanation.values)
    chart = paired(explanation, rival, 0)
    assert len(chart.lines) == FEW + 1
    assert [line.value[1:] for line in chart.lines] == [line.rival_value[1:] for line in chart.lines]
    assert {line.value[0] for line in chart.lines[:1]} != {line.rival_value[0] for line in chart.lines[:1]}
    widths = [
        re.findall(r'width="([\d.]+)%" y', str(f)) for line in chart.lines for f in (line.figure, line.rival_figure)
    ]
    assert [float(w[0]) for w in widths[::2]] == pytest.approx([float(w[0]) for w in widths[1::2]], abs=0.02)


def test_without_a_map_for_the_runner_up_the_page_says_so() -> None:
    text = Page(render(replace(hung(credit()), rivals={}))).text
    assert "no map for the runner-up was made with it" in text


def test_with_galleries_the_first_rows_are_not_drawn_again() -> None:
    assert "3 of 40 rows drawn" not in Page(shown()).text
    assert "Over 40 rows: mean size" in Page(shown()).text


def test_pictures_of_galleries_and_album_share_one_budget() -> None:
    record = hung(photographs(8, 96))
    drawn = rooms(record)
    assert 0 < drawn.size <= BUDGET
    scenes = album(record, chosen_rows=(0, 1, 6), spent=drawn.size).scenes
    spent = sum(len(s.picture) + sum(len(p.map) + len(p.rival_map) for p in s.panels) for s in scenes)
    assert drawn.size + spent <= ALL_PICTURES


def test_all_methods_are_drawn_for_the_first_row_of_each_gallery() -> None:
    page = render(hung(photographs()))
    scenes = page.split('class="scene"')[1:]
    assert [re.search(r"<h4>(.*?)</h4>", s)[1] for s in scenes] == ["picture 0.png", "picture 1.png", "picture 6.png"]  # type: ignore[index]  # it is there


def test_a_picture_stands_beside_both_maps() -> None:
    card = rooms(hung(photographs())).rooms[0].cards[0]
    assert card.panel is not None
    assert card.panel.rival_map
    assert card.picture != card.panel.map
