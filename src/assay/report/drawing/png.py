# SPDX-License-Identifier: Apache-2.0
"""Pictures small enough to live inside a page: shrinking, a palette, and the PNG format itself."""

import base64
import struct
import zlib

import numpy as np

from assay.basics.types import Floats, Ints
from assay.report.drawing.colours import Bytes


def shrunk(picture: Floats, most: int) -> Floats:
    """The picture (height, width, …) at most ``most`` pixels a side; a pixel is the mean of those it stands for."""
    height, width = picture.shape[:2]
    if max(height, width) <= most:
        return picture
    factor = most / max(height, width)
    for axis, length in ((0, height), (1, width)):
        edges = np.linspace(0, length, max(1, round(length * factor)) + 1).astype(np.int64)
        sums = np.add.reduceat(picture, edges[:-1], axis=axis)
        shape = [1] * picture.ndim
        shape[axis] = -1
        picture = sums / np.diff(edges).reshape(shape)
    return picture


def palette(picture: Bytes, colours: int) -> tuple[Bytes, Bytes]:
    """Median cut (Heckbert 1982): which colour each pixel (height, width, 3) gets, and the colours (colour, 3)."""
    pixels = picture.reshape(-1, 3).astype(np.int64)
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
    return index.reshape(picture.shape[:2]), table


def _span(pixels: Ints) -> float:
    return float(np.ptp(pixels, axis=0).max() * np.sqrt(len(pixels)))


def _halves(box: Ints, pixels: Ints) -> tuple[Ints, Ints]:
    """Cut along the widest channel at the median, held near the middle so that rare colours get a box too."""
    values = pixels[box, np.argmax(np.ptp(pixels[box], axis=0))]
    middle = (values.min() + values.max()) / 2
    cut = min(max(float(np.median(values)), middle - 24), middle + 24)
    low = values <= min(cut, values.max() - 1)
    return box[low], box[~low]


def png(index: Bytes, table: Bytes) -> bytes:
    """A PNG file of palette positions (height, width) and colours (colour, 3)."""
    height, width = index.shape
    rows = np.concatenate([np.zeros((height, 1), dtype=np.uint8), index], axis=1)  # filter 0 before each line
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
    """The file as an address that holds its own content."""
    return "data:image/png;base64," + base64.b64encode(file).decode("ascii")
