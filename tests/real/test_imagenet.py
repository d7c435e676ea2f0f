"""The demonstration's net on ImageNet validation pictures."""

import csv

import numpy as np
import pytest
from PIL import Image
from tests.shared import folder

import assay
from assay.demos.image import efficientnet_lite0

pytestmark = pytest.mark.shared

COUNT = 40


def test_the_demonstrations_preprocessing_and_class_order_are_right():
    place = folder("imagenet-val-boxes")
    with (place / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))[:COUNT]
    pictures = np.stack([centre(Image.open(place / row["file"]).convert("RGB")) for row in rows])
    found = assay.case(efficientnet_lite0(), pictures).label
    right = found == np.array([int(row["class_index"]) for row in rows])
    assert right.mean() >= 0.6  # measured on all 250: 68.8 %


def centre(picture: Image.Image) -> np.ndarray:
    left, top = (picture.width - 224) // 2, (picture.height - 224) // 2
    return np.asarray(picture.crop((left, top, left + 224, top + 224)), dtype=np.float32).transpose(2, 0, 1)
