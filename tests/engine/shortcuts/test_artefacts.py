"""Artefacts, their controls, and maps of explanations."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.engine.shortcuts.artefacts import inpaint_region, matched_control, paste_region, read_artefact
from assay.engine.shortcuts.attribution_maps import attribution_maps, cell_edges, pixels_of, strongest_cells

GENERATOR = np.random.default_rng(0)
X = GENERATOR.random((6, 3, 8, 8))


def image(alpha: float = 0.5) -> np.ndarray:
    found = np.zeros((4, 8, 8))
    found[:3, :2, :3], found[3, :2, :3] = 0.9, alpha
    return found


def test_an_image_is_pasted_by_its_alpha() -> None:
    pasted = read_artefact(image(), (3, 8, 8))(X)
    assert_allclose(pasted[:, :, :2, :3], 0.5 * X[:, :, :2, :3] + 0.45)
    assert_array_equal(pasted[:, :, 2:], X[:, :, 2:])


def test_the_occluder_has_the_alpha_of_the_artefact_and_the_mean_of_the_row() -> None:
    hidden = matched_control(read_artefact(image(1.0), (3, 8, 8)), Seed(0))(X)
    assert_allclose(hidden[:, :, 0, 0], X[:, :, :2, :3].mean(axis=(2, 3)))
    assert_array_equal(hidden[:, :, 2:], X[:, :, 2:])


def test_the_control_of_a_function_hides_what_the_function_changes() -> None:
    def change(x: Any) -> Any:
        x[:, :, :2, :3] = 2.0
        return x

    drawn, solid = (matched_control(read_artefact(one, (3, 8, 8)), Seed(0)) for one in (change, image(1.0)))
    assert_allclose(drawn(X), solid(X))
    table = GENERATOR.random((50, 4))
    hidden = matched_control(read_artefact(lambda x: x + np.array([1.0, 0, 0, 0]), (4,)), Seed(0))(table)
    assert_array_equal(hidden[:, 1:], table[:, 1:])
    assert_array_equal(np.sort(hidden[:, 0]), np.sort(table[:, 0]))
    assert (hidden[:, 0] != table[:, 0]).any()


def test_a_file_is_read_with_its_alpha_and_the_white_of_the_rows(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 4), dtype=np.uint8)
    pixels[:2, :3] = (255, 255, 255, 51)
    Image.fromarray(pixels).save(tmp_path / "tag.png")
    pasted = read_artefact(str(tmp_path / "tag.png"), (3, 8, 8), white=1.0)(X)
    assert_allclose(pasted[:, :, 0, 0], 0.8 * X[:, :, 0, 0] + 0.2)
    assert_array_equal(pasted[:, :, 3:], X[:, :, 3:])


@pytest.mark.parametrize(
    "given",
    [None, "no such file.png", 3, np.zeros((3, 8, 8)), np.zeros((4, 8, 8)), np.full((4, 8, 8), 2.0), {}, "x", [1.0]],
    ids=str,
)
def test_what_is_no_artefact_gets_a_typed_error(given: Any) -> None:
    with pytest.raises(InputError, match="artefact"):
        read_artefact(given, (3, 8, 8))


@pytest.mark.parametrize("change", [lambda x: x[:, :1], lambda x: x * np.nan, lambda x: 1 / 0, lambda x: "x"])
def test_a_function_that_makes_no_rows_gets_a_typed_error(change: Any) -> None:
    with pytest.raises(InputError, match="artefact"):
        read_artefact(change, (3, 8, 8))(X)


def test_a_region_is_pasted_from_one_row_and_filled_from_its_surroundings() -> None:
    region = np.zeros((8, 8), dtype=bool)
    region[2:4, 2:4] = True
    pasted = paste_region(X[0], region)(X)
    assert_array_equal(pasted[:, :, region], np.broadcast_to(X[0][:, region], (6, 3, 4)))
    flat = np.broadcast_to(np.arange(3.0)[None, :, None, None], (2, 3, 8, 8))
    assert_allclose(inpaint_region(np.where(region, 9.0, flat), region), flat, atol=1e-5)


@pytest.mark.parametrize("side", [8, 16, 30, 224])
def test_maps_have_at_most_sixteen_cells_a_side_and_unit_size(side: int) -> None:
    values = GENERATOR.normal(size=(2, 3, side, side))
    maps = attribution_maps(values)
    edges = cell_edges(side)
    total = values.sum(axis=1)
    expected = np.array(
        [[[total[r, a:b, c:d].sum() for c, d in pairwise(edges)] for a, b in pairwise(edges)] for r in (0, 1)]
    )
    assert maps.shape == (2, min(side, 16), min(side, 16))
    assert_allclose(maps, expected / np.abs(expected).sum(axis=(1, 2), keepdims=True))
    assert_array_equal(attribution_maps(np.zeros((1, 1, side, side))), 0.0)


def test_cells_are_the_strongest_and_cover_the_picture_once() -> None:
    contrast = np.zeros((4, 4))
    contrast[1, 2], contrast[0, 0], contrast[3, 3] = 1.0, 0.6, 0.4
    assert_array_equal(np.argwhere(strongest_cells(contrast)), [[0, 0], [1, 2]])
    assert strongest_cells(contrast, 3).sum() == 3
    assert not strongest_cells(-np.ones((4, 4))).any()
    assert pixels_of(np.ones((16, 16), dtype=bool), (30, 224)).shape == (30, 224)
