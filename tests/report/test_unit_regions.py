"""Small maps of where images act on influential units."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract.subjects import pictures
from tests.report.extreme_records import empty
from tests.report.page import Page

import assay
from assay import explain
from assay.cases.case import Case
from assay.report.audit.page import render
from assay.report.audit.unit_regions import BUDGET, draw_regions
from assay.report.drawing.colours import DIVERGING, colour_levels
from assay.report.drawing.image_maps import colour_scale


def halves() -> Case:
    """Two units: the first reads the left half of each picture, the second the right half with the opposite sign."""
    layer = torch.nn.Linear(3 * 8 * 8, 2).double()
    weight = torch.zeros((2, 3, 8, 8), dtype=torch.float64)
    weight[0, :, :, :4], weight[1, :, :, 4:] = 1.0, -1.0
    head = torch.nn.Linear(2, 2).double()
    with torch.no_grad():
        layer.weight.copy_(weight.flatten(1))
        layer.bias.fill_(100.0)
        head.weight.copy_(torch.tensor([[0.0, 0.0], [2.0, 1.0]]))
    net = torch.nn.Sequential(torch.nn.Flatten(), layer, torch.nn.ReLU(), head)
    return assay.case(assay.wrap(net), pictures(), label=1)


@pytest.fixture(scope="module")
def record():
    case = halves()
    units = explain.influential_units(case, layer="1", top=2, regions=2)
    saliency = explain.saliency(case)
    return replace(empty(), explanations={"saliency": saliency}, views={"influential_units": units})


def pixels(uri: str) -> np.ndarray:
    from matplotlib.image import imread

    return (imread(io.BytesIO(base64.b64decode(uri.partition(",")[2])))[..., :3] * 255).round().astype(int)


def test_each_map_is_the_influence_of_the_pixels_on_the_unit(record) -> None:
    rows = draw_regions(record, record.views["influential_units"])
    assert [len(row.units) for row in rows] == [2, 2, 2]
    for row in rows:
        for place, unit in enumerate(row.units):
            expected = np.zeros((8, 8))
            expected[:, :4], expected[:, 4:] = (3.0, 0.0) if place == 0 else (0.0, -3.0)
            high = colour_scale(expected)
            assert_allclose(pixels(unit.map), np.asarray(DIVERGING)[colour_levels(expected, -high, high)])
        assert row.image.startswith("data:image/png;base64,")


def test_the_page_shows_them_with_a_text_each_and_one_sentence(record) -> None:
    page = Page(render(record).split('<section id="views"')[1].split("</section>")[0])
    texts = [image["alt"] for image in page.all("img")]
    assert len([text for text in texts if text.startswith("Region of unit")]) == 6
    assert all(texts)
    assert page.text.count("Where each image acts on the most influential units") == 1


def test_all_maps_take_at_most_twelve_kilobytes(record) -> None:
    units = record.views["influential_units"]
    noise = np.random.default_rng(0).normal(size=(3, 3, 1, 300, 200))
    many = replace(units, extra={**units.extra, "regions": noise, "order": np.array([0.0, 1.0, 0.0])})
    rows = draw_regions(record, many)
    assert rows
    assert sum(len(row.image) + sum(len(unit.map) for unit in row.units) for row in rows) <= BUDGET == 12_000


def test_units_of_tables_and_explanations_without_regions_have_no_maps(record) -> None:
    units = record.views["influential_units"]
    assert draw_regions(record, replace(units, extra={"order": units.extra["order"]})) == ()
    assert draw_regions(record, replace(units, extra={**units.extra, "regions": np.zeros((2, 3, 4))})) == ()
    assert draw_regions(replace(record, explanations={}), units)[0].image == ""
