"""Pictures that classes respond to most, on the page."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.report.extreme_records import empty
from tests.report.page import Page
from tests.report.test_unit_regions import halves

from assay import explain
from assay.report.audit.page import render
from assay.report.audit.unit_pictures import BUDGET, draw_unit_pictures


@pytest.fixture(scope="module")
def record():
    case = halves()
    found = explain.feature_visualisation(case, units=(1, 0), steps=5)
    return replace(empty(), explanations={"saliency": explain.saliency(case)}, views={"feature_visualisation": found})


def test_each_class_has_its_picture_beside_the_best_row_with_the_numbers(record) -> None:
    found = record.views["feature_visualisation"]
    drawn = draw_unit_pictures(record, found)
    assert [one.unit for one in drawn] == ["1", "0"]
    assert [one.row for one in drawn] == [found.ids[int(place)] for place in found.extra["best_row"]]
    assert all(one.picture.startswith("data:image/png") and one.image.startswith("data:image/png") for one in drawn)
    assert sum(one.size for one in drawn) <= BUDGET


def test_an_explanation_without_pictures_draws_none(record) -> None:
    assert draw_unit_pictures(record, record.explanations["saliency"]) == ()


def test_the_page_shows_pictures_rows_and_responses(record) -> None:
    html = render(record)
    texts = [image["alt"] for image in Page(html.split('<section id="views"')[1].split("</section>")[0]).all("img")]
    assert len(texts) == 4
    assert all(texts)
    for one in draw_unit_pictures(record, record.views["feature_visualisation"]):
        assert one.picture in html
        assert f"Picture found for {one.unit}" in html
        assert f"{one.unit}: {one.reached} (noise {one.noise})" in html


@pytest.mark.parametrize("name", ["x" * 300, "<script>alert(1)</script>\" onerror='x'"])
def test_names_of_units_and_rows_are_text_and_cut(record, name: str) -> None:
    case = halves()
    found = explain.influential_units(case, layer="1", top=2, regions=2)
    found = replace(
        found,
        features=replace(found.features, names=tuple(f"{name} {i}" for i in range(len(found.features.names)))),
        ids=tuple(f"{name} {i}" for i in range(len(found.ids))),
    )
    pictures = record.views["feature_visualisation"]
    lines = tuple(f"{name}: {line}" for line in pictures.description)
    views = {"influential_units": found, "feature_visualisation": replace(pictures, description=lines)}
    page = Page(render(replace(record, views=views)))
    assert not page.wrong
    assert not page.all("script")
    images = [image for image in page.all("img") if image["alt"].startswith(("Region of", "Picture found"))]
    assert len(images) >= 4
    assert all(set(image) == {"src", "alt"} and len(image["alt"]) < 200 for image in images)
    assert not any("span" in image["alt"] for image in images)
