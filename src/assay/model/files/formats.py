# SPDX-License-Identifier: Apache-2.0
"""Detection of a model file's format from its bytes; the file name is not used."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from assay.basics.archives import open_archive
from assay.basics.errors import InputError
from assay.model.files.pickles import BROKEN_ZIP, decompress, is_pickle

SAFE = {"skops", "safetensors", "onnx", "xgboost", "lightgbm", "torch"}
"""Formats whose readers run no code from the file; for a torch file this holds for weights only."""

UNSAFE_FORMATS = {
    "pickle": "is a pickle",
    "zip of pickles": "is a zip that holds a pickle",
    "torch": "is a torch file that holds more than weights, so it is a pickle",
    "torchscript": "is a TorchScript archive, a program",
    "numpy": "is a numpy file that holds Python objects, so it is a pickle",
    "hdf5": "is an HDF5 file (Keras), which may hold code",
    "keras": "is a Keras archive, which may hold code",
}
"""Formats that can run code when loaded, each with the words that error messages use."""

TORCH_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
HEADER_BYTES = 64


@dataclass(frozen=True)
class File:
    """A model file: its path, its bytes and its format."""

    path: Path
    data: bytes
    format: str


def read_model_file(path: Path) -> File:
    """Read a model file and detect its format."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the model file in it.")
    if not path.is_file():
        raise InputError(f"there is no file {path}.")
    data = path.read_bytes()
    return File(path, data, format_of(data))


def format_of(data: bytes) -> str:
    """Format of these bytes: one of ``SAFE``, one of ``UNSAFE_FORMATS``, or ``"unknown"``."""
    if data.startswith(TORCH_LEGACY):
        return "torch"
    if data.startswith(b"PK\x03\x04"):
        return _archive(data)
    if data.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if data.startswith(b"\x93NUMPY"):
        return "numpy" if b"|O" in data[:4096] else "unknown"
    if data.startswith(b"tree\nversion="):
        return "lightgbm"
    if re.match(rb'\s*\{\s*"(learner|version|Config)"', data) and b'"learner"' in data:
        return "xgboost"
    if re.match(rb"\{[iIlLU]?[^\"]{0,9}(learner|version|Config)", data, re.DOTALL):
        return "xgboost"
    if safetensors_header(data) is not None:
        return "safetensors"
    if re.match(rb"\x08[\x01-\x3f][\x12\x1a\x22\x28\x32\x3a\x42]", data):
        return "onnx"
    return "pickle" if is_pickle(decompress(data)) else "unknown"


def _archive(data: bytes) -> str:
    """Format of a zip archive, from its members."""
    try:
        with open_archive(io.BytesIO(data), "the model file") as archive:
            names = archive.namelist()
            tails = {name.partition("/")[2] for name in names}
            if "data.pkl" in tails or "data.pkl" in names:
                return "torchscript" if "constants.pkl" in tails else "torch"
            if any(name.endswith((".h5", ".keras")) for name in names):
                return "keras"
            if any(map(is_pickle, zip_members(archive).values())):
                return "zip of pickles"
            return "skops" if "schema.json" in names else "unknown"
    except BROKEN_ZIP:
        return "unknown"


def zip_members(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """The members of a zip that could be pickles, decompressed up to a maximum size."""
    found: dict[str, bytes] = {}
    for item in archive.infolist():
        if item.filename == "schema.json" or item.is_dir():
            continue
        with archive.open(item) as stream:
            start = stream.read(HEADER_BYTES)
            if start[:6] == b"\x93NUMPY" or (start[:4] == b"PK\x03\x04" and item.filename.endswith(".npz")):
                continue
            found[item.filename] = decompress(start + stream.read(1 << 24))
    return found


def safetensors_header(data: bytes) -> dict[str, dict[str, object]] | None:
    """The header of a safetensors file, one description per tensor; ``None`` for other files."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 10 or data[8:9] != b"{" or length > len(data) - 8:
        return None
    try:
        header = json.loads(data[8 : 8 + length])
    except ValueError:
        return None
    is_valid = isinstance(header, dict) and all(isinstance(value, dict) for value in header.values())
    return {name: value for name, value in header.items() if name != "__metadata__"} if is_valid else None
