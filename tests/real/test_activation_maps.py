"""Class activation maps of the demonstration's net on ImageNet validation pictures with boxes drawn by people."""

import csv
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image
from tests.real.test_imagenet import centre
from tests.shared import folder

import assay
from assay.cases.case import Case
from assay.demos.image import efficientnet_lite0
from assay.explain import cam, grad_cam, grad_cam_plus_plus, influential_units, layer_cam, score_cam

pytestmark = pytest.mark.shared

COUNT = 8


@pytest.fixture(scope="module")
def boxed() -> tuple[Case, np.ndarray]:
    """Eight pictures asked about the true class, and masks (picture, height, width) of their boxes."""
    place = folder("imagenet-val-boxes")
    with (place / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))[:COUNT]
    with (place / "boxes.csv").open() as file:
        boxes = list(csv.DictReader(file))
    masks = np.zeros((COUNT, 224, 224), dtype=bool)
    for mask, row in zip(masks, rows):
        left, top = (int(row["width"]) - 224) // 2, (int(row["height"]) - 224) // 2
        for box in boxes:
            if box["file"] == row["file"]:
                low, high, near, far = (float(box[side]) for side in ("ymin", "ymax", "xmin", "xmax"))
                down = slice(max(0, int(low) - top), max(0, int(high) - top))
                mask[down, max(0, int(near) - left) : max(0, int(far) - left)] = True
    pictures = np.stack([centre(Image.open(place / row["file"]).convert("RGB")) for row in rows])
    classes = np.array([int(row["class_index"]) for row in rows])
    return assay.case(efficientnet_lite0(), pictures, label=classes), masks


def test_grad_cam_peaks_inside_the_box_of_most_pictures(boxed: tuple[Case, np.ndarray]) -> None:
    case, masks = boxed
    found = grad_cam(case)
    shown = found.map().sum(axis=1).reshape(COUNT, -1)
    inside = masks.reshape(COUNT, -1)
    hits = inside[np.arange(COUNT), shown.argmax(axis=1)]
    energy = (shown * inside).sum(axis=1) / shown.sum(axis=1)
    assert hits.mean() > masks[:, 112, 112].mean()  # measured: 7 of 8; the centre pixel alone hits 6
    assert (energy - inside.mean(axis=1)).mean() > 0.2  # measured: 0.30
    assert [note.text for note in found.notes] == ["layer '_swish#1' is used; layer=… selects another"]


@pytest.mark.parametrize("method", [grad_cam, cam, grad_cam_plus_plus, layer_cam], ids=lambda m: m.method.name)
def test_maps_are_finite_and_not_empty_and_come_out_the_same(method: Any, boxed: tuple[Case, np.ndarray]) -> None:
    case = boxed[0].take(range(4))
    one, two = method(case), method(case)
    assert np.isfinite(one.values).all()
    assert (one.extra["map"].max(axis=(1, 2)) > 0).all()
    assert one.values.tobytes() == two.values.tobytes()


def test_cam_is_grad_cam_times_the_positions_and_its_mean_the_logit(boxed: tuple[Case, np.ndarray]) -> None:
    case = boxed[0]
    found = cam(case, signed=True).extra["map"]
    assert_allclose(found, 49 * grad_cam(case, signed=True).extra["map"], atol=1e-3)
    bias = case.model.net._fc.bias.numpy()[case.label]
    assert_allclose(found.mean(axis=(1, 2)), case.output - bias, atol=1e-3)


def test_score_cam_weighs_channels_by_the_masked_pictures(boxed: tuple[Case, np.ndarray]) -> None:
    found = score_cam(boxed[0].take([0, 1]), channels=4)
    assert np.isfinite(found.values).all()
    assert found.provenance.cost == {"forwards": 1 + 2 * 5}
    assert {note.code for note in found.notes} == {"layer", "channels"}


def test_the_most_influential_channels_carry_more_than_their_number(boxed: tuple[Case, np.ndarray]) -> None:
    found = influential_units(boxed[0].take([0, 1]), top=10, regions=1)
    assert found.extra["share_kept"][10] > 3 * 10 / 1280  # measured on four pictures: 4.2 %
    assert found.extra["share_removed"][10] < 1 - 3 * 10 / 1280
    assert np.abs(found.extra["regions"]).max() > 0
