from __future__ import annotations

import functools
import re
from dataclasses import replace

import pytest
from tests.report.page import Page
from tests.report.photograph_record import photographs
from tests.report.record import complete, credit

from assay.report.audit.galleries import BUDGET, draw_galleries, gallery_method
from assay.report.audit.page import render
from assay.report.drawing.bars import MAX_GALLERY_BARS, paired_chart
from assay.report.drawing.image_maps import BUDGET as ALL_IMAGES
from assay.report.drawing.image_maps import draw_images


@functools.cache
def page() -> str:
    return render(complete(credit()))


def test_the_first_explanation_that_passed_explains_the_galleries() -> None:
    record = credit()
    failed = tuple(
        replace(f, verdict="fail") if (f.code, f.subject) == ("TRU001", "shapley") else f for f in record.findings
    )
    assert gallery_method(record) == ("shapley", True)
    assert gallery_method(replace(record, findings=failed)) == ("permutation_shapley", True)
    assert gallery_method(replace(record, findings=())) == ("shapley", False)


def test_each_gallery_says_why_and_how_many_rows_qualify() -> None:
    text = Page(page()).text
    assert "Borderline smallest margin; 4 of 40 rows" in text
    assert "An explanation that is the same for both classes" not in text  # the runner-up class is not explained


def test_a_repeated_row_is_drawn_once() -> None:
    borderline = draw_galleries(complete(credit())).views[1]
    assert [card.repeated_from for card in borderline.cards] == ["typical", "", "", ""]
    assert page().count('id="row-1"') == 1
    assert page().count('id="row-1"') == 1


def test_a_misclassified_row_has_its_true_class() -> None:
    record = complete(credit())
    right = replace(record, truth=record.predictions)
    assert re.search(r"predicted (granted|refused) , true class (granted|refused)", Page(page()).text)
    assert " (correct)" in page()
    assert not re.search(r"predicted \w+ , true class", Page(render(right)).text)


def test_the_runner_up_is_drawn_for_the_same_features_on_the_same_axis() -> None:
    explanation = credit().explanations["shapley"]
    rival = replace(explanation, values=-explanation.values)
    chart = paired_chart(explanation, rival, 0)
    assert len(chart.lines) == MAX_GALLERY_BARS + 1
    assert [line.value[1:] for line in chart.lines] == [line.rival_value[1:] for line in chart.lines]
    assert {line.value[0] for line in chart.lines[:1]} != {line.rival_value[0] for line in chart.lines[:1]}
    widths = [
        re.findall(r'width="([\d.]+)%"', str(f)) for line in chart.lines for f in (line.figure, line.rival_figure)
    ]
    assert [float(w[0]) for w in widths[::2]] == pytest.approx([float(w[0]) for w in widths[1::2]], abs=0.11)


def test_the_page_says_if_the_runner_up_is_not_explained() -> None:
    text = Page(render(replace(complete(credit()), rivals={}))).text
    assert "the runner-up class is not explained by it" in text


def test_with_galleries_the_first_rows_are_not_drawn_again() -> None:
    assert "3 of 40 rows, 8 largest" not in Page(page()).text
    assert "Mean absolute attribution of each feature over 40 rows" in Page(page()).text


def test_images_of_galleries_and_methods_share_one_budget() -> None:
    record = complete(photographs(8, 96))
    drawn = draw_galleries(record)
    assert 0 < drawn.size <= BUDGET
    scenes = draw_images(record, chosen_rows=(0, 1, 6), spent=drawn.size).views
    spent = sum(len(s.image) + sum(len(p.map) + len(p.rival_map) for p in s.maps) for s in scenes)
    assert drawn.size + spent <= ALL_IMAGES


def test_all_methods_are_drawn_for_the_first_row_of_each_gallery() -> None:
    page = render(complete(photographs()))
    scenes = page.split('class="scene"')[1:]
    assert [re.search(r"<h4>(.*?)</h4>", s)[1] for s in scenes] == ["picture 0.png", "picture 1.png", "picture 6.png"]  # type: ignore[index]  # it is there


def test_a_card_has_the_image_and_both_maps() -> None:
    card = draw_galleries(complete(photographs())).views[0].cards[0]
    assert card.maps is not None
    assert card.maps.rival_map
    assert card.image != card.maps.map


def test_an_image_is_on_the_page_once_however_often_it_is_drawn() -> None:
    page = render(complete(photographs()))
    files = re.findall(r'<image id="image-\d+"[^>]* href="([^"]+)"', page)
    ids = re.findall(r'<image id="(image-\d+)"', page)
    used = re.findall(r'<use href="#(image-\d+)"', page)
    assert [page.count(file) for file in files] == [1] * len(files)
    assert len(ids) == len(set(ids))
    assert used
    assert set(used) <= set(ids)
