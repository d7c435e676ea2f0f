# SPDX-License-Identifier: Apache-2.0
"""What kind of file a model lies in, read from its bytes and never from its name."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from assay.basics.errors import InputError
from assay.model.files.pickles import BROKEN_ZIP, is_pickle, unpacked

SAFE = {"skops", "safetensors", "onnx", "xgboost", "lightgbm", "torch"}
"""Formats whose readers run nothing that the file brings; of a torch file the weights only."""

LOADED_AS = {
    "pickle": "is a pickle",
    "zip of pickles": "is a zip that holds a pickle",
    "torch": "is a torch file with more than weights, which makes it a pickle",
    "torchscript": "is a TorchScript archive, a program",
    "numpy": "is a numpy file that holds Python objects, which makes it a pickle",
    "hdf5": "is an HDF5 file (Keras), which may hold code",
    "keras": "is a Keras archive, which may hold code",
}
"""How a refusal names each kind of file that can run code."""

TORCH_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
MEMBER = 64


@dataclass(frozen=True)
class File:
    """A model file's bytes, read once, and what they are."""

    path: Path
    data: bytes
    format: str


def opened(path: Path) -> File:
    """The file, with its format."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the model file in it.")
    if not path.is_file():
        raise InputError(f"there is no file {path}.")
    data = path.read_bytes()
    return File(path, data, format_of(data))


def format_of(data: bytes) -> str:
    """One of ``SAFE``, a kind of file that can run code, or ``"unknown"``."""
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
    if tensors(data) is not None:
        return "safetensors"
    if re.match(rb"\x08[\x01-\x3f][\x12\x1a\x22\x28\x32\x3a\x42]", data):
        return "onnx"
    return "pickle" if is_pickle(unpacked(data)) else "unknown"


def _archive(data: bytes) -> str:
    """What a zip is: a format that is known by its members, or a bag of them."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            tails = {name.partition("/")[2] for name in names}
            if "data.pkl" in tails or "data.pkl" in names:
                return "torchscript" if "constants.pkl" in tails else "torch"
            if any(name.endswith((".h5", ".keras")) for name in names):
                return "keras"
            if any(map(is_pickle, members(archive).values())):
                return "zip of pickles"
            return "skops" if "schema.json" in names else "unknown"
    except BROKEN_ZIP:
        return "unknown"


def members(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """The members of a zip that could be pickles, unpacked up to a size."""
    found: dict[str, bytes] = {}
    for item in archive.infolist():
        if item.filename == "schema.json" or item.is_dir():
            continue
        with archive.open(item) as stream:
            start = stream.read(MEMBER)
            if start[:6] == b"\x93NUMPY" or (start[:4] == b"PK\x03\x04" and item.filename.endswith(".npz")):
                continue
            found[item.filename] = unpacked(start + stream.read(1 << 24))
    return found


def tensors(data: bytes) -> dict[str, dict[str, object]] | None:
    """The header of a safetensors file: a description a tensor; ``None`` for other files."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 10 or data[8:9] != b"{" or length > len(data) - 8:
        return None
    try:
        header = json.loads(data[8 : 8 + length])
    except ValueError:
        return None
    fit = isinstance(header, dict) and all(isinstance(value, dict) for value in header.values())
    return {name: value for name, value in header.items() if name != "__metadata__"} if fit else None
