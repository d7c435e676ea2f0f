from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from tests.report.photograph_record import photographs

from assay.report.drawing.colours import DIVERGING, LEVELS, MAGNITUDE, colour_levels
from assay.report.drawing.image_maps import attribution_map, colour_scale, draw_images, encode_image
from assay.report.drawing.png import data_uri, downsample, encode_png, palette


def decoded(uri: str) -> np.ndarray:
    """The picture as Pillow reads it, (height, width, 3)."""
    image = pytest.importorskip("PIL.Image").open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    return np.asarray(image.convert("RGB"))


def test_a_png_reads_back_as_its_palette_says() -> None:
    index = np.random.default_rng(0).integers(0, LEVELS, (7, 11)).astype(np.uint8)
    assert np.array_equal(decoded(data_uri(encode_png(index, MAGNITUDE))), MAGNITUDE[index])


def test_few_colours_survive_the_palette_unchanged() -> None:
    colours = np.random.default_rng(1).integers(0, 256, (9, 3)).astype(np.uint8)
    picture = colours[np.random.default_rng(2).integers(0, 9, (20, 30))]
    index, table = palette(picture, 16)
    assert np.array_equal(table[index], picture)


def test_shrinking_keeps_the_mean_and_obeys_the_limit() -> None:
    picture = np.random.default_rng(3).random((120, 60, 3))
    small = downsample(picture, 40)
    assert small.shape == (40, 20, 3)
    assert small.mean() == pytest.approx(picture.mean())


def test_zero_is_grey_and_the_ends_are_orange_and_blue() -> None:
    steps = colour_levels(np.array([-2.0, -1.0, 0.0, 1.0, np.nan]), -1.0, 1.0)
    assert DIVERGING[steps].tolist() == [[213, 94, 0], [213, 94, 0], [247, 247, 247], [0, 114, 178], [247, 247, 247]]


def test_brightness_grows_with_magnitude() -> None:
    light = MAGNITUDE.astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light) > 0).all()


def test_the_scale_is_the_99th_percentile_of_both_maps_together() -> None:
    assert colour_scale(np.arange(100.0), -np.arange(100.0, 200.0)) == 198.0


def test_a_picture_in_unknown_units_is_stretched_and_says_so() -> None:
    usual, odd = np.full((3, 4, 4), 0.5), np.linspace(-2, 2, 48).reshape(3, 4, 4)
    assert decoded(encode_image(usual, 160)[0]).tolist()[0][0] == [128, 128, 128]
    assert (encode_image(usual, 160)[1], encode_image(odd, 160)[1]) == (False, True)


def test_a_part_is_painted_with_its_own_value_and_elements_add_over_channels() -> None:
    record = photographs(2)
    patches, dense = record.explanations["lime"], record.explanations["shapley"]
    assert attribution_map(patches, 1)[0, 0] == pytest.approx(patches.values[1, 0])
    assert np.allclose(attribution_map(dense, 1), dense.map()[1].sum(axis=0))


def test_predicted_and_runner_up_stand_side_by_side_on_one_scale() -> None:
    record = photographs(2)
    doubled = replace(record, rivals={"shapley": record.explanations["shapley"]})
    pair = draw_images(doubled).views[0].maps[0]
    assert pair.map == pair.rival_map
    assert pair.high != "0"


def test_pictures_shrink_until_they_fit_and_what_is_left_out_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    full = draw_images(photographs(3))
    monkeypatch.setattr("assay.report.drawing.image_maps.BUDGET", 20_000)
    few = draw_images(photographs(3))
    assert few.pixels < full.pixels
    assert (len(full.views), few.rows) == (3, 3)
    assert 1 <= len(few.views) < 3
