# SPDX-License-Identifier: Apache-2.0
"""Images small enough to embed in a page: downsampling, a colour palette and PNG encoding."""

import base64
import struct
import zlib

import numpy as np

from assay.basics.types import Floats, Ints
from assay.report.drawing.colours import Bytes


def downsample(image: Floats, most: int) -> Floats:
    """The image (height, width, …) at most ``most`` pixels a side; a pixel is the mean of the pixels it replaces."""
    height, width = image.shape[:2]
    if max(height, width) <= most:
        return image
    factor = most / max(height, width)
    for axis, length in ((0, height), (1, width)):
        edges = np.linspace(0, length, max(1, round(length * factor)) + 1).astype(np.int64)
        sums = np.add.reduceat(image, edges[:-1], axis=axis)
        shape = [1] * image.ndim
        shape[axis] = -1
        image = sums / np.diff(edges).reshape(shape)
    return image


def palette(image: Bytes, colours: int) -> tuple[Bytes, Bytes]:
    """Median cut (Heckbert 1982): the palette index of each pixel (height, width, 3), and the palette (colour, 3)."""
    pixels = image.reshape(-1, 3).astype(np.int64)
    boxes = [np.arange(len(pixels))]
    spans = [_span(pixels)]
    while len(boxes) < colours and max(spans) > 0:
        widest = int(np.argmax(spans))
        spans.pop(widest)
        for half in _halves(boxes.pop(widest), pixels):
            boxes.append(half)
            spans.append(_span(pixels[half]))
    index = np.zeros(len(pixels), dtype=np.uint8)
    table = np.zeros((len(boxes), 3), dtype=np.uint8)
    for number, box in enumerate(boxes):
        index[box] = number
        table[number] = np.round(pixels[box].mean(axis=0))
    return index.reshape(image.shape[:2]), table


def _span(pixels: Ints) -> float:
    return float(np.ptp(pixels, axis=0).max() * np.sqrt(len(pixels)))


def _halves(box: Ints, pixels: Ints) -> tuple[Ints, Ints]:
    """Split along the widest channel at the median, clipped to ± 24 of the middle so that rare colours get a box."""
    values = pixels[box, np.argmax(np.ptp(pixels[box], axis=0))]
    middle = (values.min() + values.max()) / 2
    cut = min(max(float(np.median(values)), middle - 24), middle + 24)
    low = values <= min(cut, values.max() - 1)
    return box[low], box[~low]


def encode_png(index: Bytes, table: Bytes) -> bytes:
    """A PNG file of palette indices (height, width) and the palette (colour, 3)."""
    height, width = index.shape
    rows = np.concatenate([np.zeros((height, 1), dtype=np.uint8), index], axis=1)  # filter type 0 in front of each row
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", table.tobytes()),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def data_uri(file: bytes) -> str:
    """The file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(file).decode("ascii")
