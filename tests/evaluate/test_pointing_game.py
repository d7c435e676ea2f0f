import csv
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.engine.test_located import MAPS, MASKS, pictures
from tests.shared import folder

import assay
from assay import evaluate, examples, explain
from assay.basics.errors import InputError
from assay.nouns.inputs.regions import in_boxes


def test_a_hit_is_a_peak_inside() -> None:
    question, e = pictures(MAPS)
    summed = MAPS.sum(axis=1).reshape(3, -1)
    expected = [float(MASKS[row].ravel()[summed[row].argmax()]) for row in range(3)]
    assert evaluate.pointing_game(e, question, inside=MASKS).values.tolist() == expected
    sizes = [float(MASKS[row].ravel()[np.abs(summed[row]).argmax()]) for row in range(3)]
    assert evaluate.pointing_game(e, question, inside=MASKS, sign="absolute").values.tolist() == sizes


def test_of_tied_peaks_the_share_inside_counts() -> None:
    case = examples.linear((2.0, 2.0, 1.0, 2.0))
    score = evaluate.pointing_game(explain.saliency(case), case, inside=[[True, False, True, False]])
    assert_allclose(score.values, 1 / 3)


def test_the_tolerance_is_a_circle_round_the_mask() -> None:
    masks = np.zeros((1, 9, 9), dtype=bool)
    masks[0, 4, 4] = True
    for down, across in [(4, 7), (6, 6), (7, 6)]:
        peak = np.zeros((1, 1, 9, 9))
        peak[0, 0, down, across] = 1.0
        case, e = pictures(peak)
        away = np.hypot(down - 4, across - 4)
        assert evaluate.pointing_game(e, case, inside=masks).values == 0.0
        score = evaluate.pointing_game(e, case, inside=masks, tolerance=3.0)
        assert score.values == float(away <= 3.0)
        assert score.extra["area"] == 29 / 81  # chance grows with the tolerance


def test_a_tolerance_without_pixels_is_refused() -> None:
    case = examples.linear((2.0, 1.0))
    e = explain.saliency(case)
    with pytest.raises(InputError, match="needs a mask over pixels"):
        evaluate.pointing_game(e, case, inside=[[True, False]], tolerance=1.0)
    with pytest.raises(InputError, match="tolerance=-1"):
        evaluate.pointing_game(e, case, inside=[[True, False]], tolerance=-1.0)


@pytest.fixture(scope="module")
def photographs() -> tuple[Any, Any]:
    """Four photographs with boxes, explained for their own class, and the boxes as masks."""
    pil = pytest.importorskip("PIL.Image")
    place = folder("imagenet-val-boxes")
    from assay.demos.image import efficientnet_lite0

    with (place / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))[:6]
    with (place / "boxes.csv").open() as file:
        found = list(csv.DictReader(file))
    images, boxes = [], []
    for row in rows:
        left, top = (int(row["width"]) - 224) // 2, (int(row["height"]) - 224) // 2
        image = pil.open(place / row["file"]).convert("RGB").crop((left, top, left + 224, top + 224))
        images.append(np.asarray(image, dtype=np.float32).transpose(2, 0, 1))
        own = [[float(b[s]) for s in ("xmin", "ymin", "xmax", "ymax")] for b in found if b["file"] == row["file"]]
        boxes.append([(x - left, y - top, z - left, w - top) for x, y, z, w in own])
    labels = np.array([int(row["class_index"]) for row in rows])
    return assay.case(efficientnet_lite0(), np.stack(images), label=labels), in_boxes(boxes, 224, 224)


def test_a_gradient_of_a_real_net_points_into_the_boxes_more_than_chance(photographs: Any) -> None:
    case, masks = photographs
    e = explain.saliency(case)
    auc = evaluate.localisation_auc(e, case, inside=masks)
    mass = evaluate.mass_accuracy(e, case, inside=masks)
    assert np.nanmean(auc.values) > 0.5
    assert np.nanmean(mass.values - mass.extra["area"]) > 0
    heat = np.abs(e.map()).sum(axis=1)
    expected = (heat * masks).sum(axis=(1, 2)) / heat.sum(axis=(1, 2))
    known = mass.defined
    assert known.sum() >= 4
    assert_allclose(mass.values[known], expected[known])
    near = evaluate.pointing_game(e, case, inside=masks, tolerance=15.0)
    assert (near.values >= evaluate.pointing_game(e, case, inside=masks).values)[near.defined].all()
