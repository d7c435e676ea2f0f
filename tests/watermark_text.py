"""The watermark of ImageNet-W and a control in Latin letters, drawn with the font of the ``imagenet-w`` wheel."""

from __future__ import annotations

import csv
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PICTURES = Path(__file__).resolve().parents[2] / "shared" / "data" / "imagenet-sample"
SIZE, OPACITY, FONT_SIZE = 224, 0.5, 36
CHINESE, LATIN = "捷径捷径捷径", "SHORTCUT"
CARTON = 478


def font_file() -> str:
    """The font, a test asset only; skips the test where the wheel is not installed."""
    try:
        found = [file for file in files("imagenet-w") or () if file.name.endswith(".otf")]
    except PackageNotFoundError:
        found = []
    if not found:
        pytest.skip("the wheel imagenet-w is not installed")
    return str(found[0].locate())


def watermark(text: str) -> np.ndarray:
    """White half-transparent text as an image with its α last (4, 224, 224)."""
    from PIL import Image, ImageDraw, ImageFont

    drawn = Image.new("L", (SIZE, SIZE), 0)
    place = int(SIZE * 0.01), int(SIZE * 0.4)
    ImageDraw.Draw(drawn).text(place, text, font=ImageFont.truetype(font_file(), FONT_SIZE), fill=255)
    alpha = np.asarray(drawn, dtype=np.float64)[None] / 255.0 * OPACITY
    return np.concatenate([np.full((3, SIZE, SIZE), 255.0), alpha])


def photographs(count: int | None = None, every: int = 1) -> tuple[np.ndarray, list[int]]:
    """The middle 224 × 224 pixels of photographs with their classes; skips the test without them."""
    from PIL import Image

    if not PICTURES.is_dir():
        pytest.skip("the photographs are not there")
    with (PICTURES / "labels.csv").open() as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))[::every][:count]
    images = []
    for row in rows:
        image = Image.open(PICTURES / row["file"]).convert("RGB")
        left, top = (image.width - SIZE) // 2, (image.height - SIZE) // 2
        images.append(np.asarray(image.crop((left, top, left + SIZE, top + SIZE)), dtype=np.float32).transpose(2, 0, 1))
    return np.stack(images), [int(row["class_index"]) for row in rows]
