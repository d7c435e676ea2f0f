# SPDX-License-Identifier: Apache-2.0
"""Metadata of a model file, read from its header; the model is not loaded and no code runs."""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assay.basics.archives import open_archive
from assay.basics.errors import InputError, MissingExtra
from assay.basics.optional import need
from assay.model.files.formats import UNSAFE_FORMATS, read_model_file, safetensors_header
from assay.model.files.load import TRUSTED, TRUSTED_VERSION
from assay.model.files.pickles import imports, is_allowed_import, printable
from assay.model.files.ubj import parse_ubjson
from assay.model.files.user_code import is_code


def inspect_model(place: str | Path) -> dict[str, Any]:
    """Format, size, sha256 and header fields of a model file, as plain data.

    ``can_run_code`` is true if ``load_model`` refuses the file without ``unsafe_pickle``. A torch file counts as
    weights if it imports nothing but torch's own names.
    """
    if is_code(str(place)) and not (":" in str(place) and Path(place).is_file()):
        return _code(str(place))
    file = read_model_file(Path(place))
    head: dict[str, Any] = {
        "file": printable(file.path.name),
        "format": file.format,
        "size": len(file.data),
        "sha256": hashlib.sha256(file.data).hexdigest(),
        "can_run_code": file.format in UNSAFE_FORMATS,
    }
    read = _HEADERS.get(file.format)
    if read is None:
        return head
    try:
        return head | read(file.data)
    except (ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, EOFError, RuntimeError) as error:
        return head | {"damaged": printable(" ".join(str(error).split()), 300)}


def _code(place: str) -> dict[str, Any]:
    path = Path(place if place.endswith(".py") else place.rpartition(":")[0])
    found: dict[str, Any] = {"file": printable(place), "format": "code", "note": "your own code, not run"}
    if path.suffix != ".py":
        return found
    if not path.is_file():
        raise InputError(f"there is no file {path}.")
    data = path.read_bytes()
    return found | {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _pickle(data: bytes) -> dict[str, Any]:
    names, whole = imports(data)
    return {
        "imports": names,
        "not_allowed": [name for name in names if not is_allowed_import(name)],
        "followed_to_end": whole,
    }


def _torch(data: bytes) -> dict[str, Any]:
    found = _pickle(data)
    weights = found["followed_to_end"] and all(
        name.startswith("torch.") or name == "collections.OrderedDict" for name in found["imports"]
    )
    return found | {"can_run_code": not weights or bool(found["not_allowed"])}


def _safetensors(data: bytes) -> dict[str, Any]:
    header = safetensors_header(data) or {}
    shapes = {name: [int(n) for n in _list(item["shape"])] for name, item in header.items()}
    return {
        "tensors": {
            printable(name): {"dtype": printable(str(item["dtype"])), "shape": shapes[name]}
            for name, item in header.items()
        },
        "parameters": sum(map(math.prod, shapes.values())),
    }


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"a shape is {type(value).__name__}, not a list")
    return value


def _onnx(data: bytes) -> dict[str, Any]:
    try:
        onnx = need("onnx", extra="files")
    except MissingExtra as error:
        return {"note": str(error)}
    try:
        model = onnx.load_model_from_string(data)
    except need("google.protobuf.message", extra="files").DecodeError as error:
        raise ValueError(str(error)) from error
    given = {item.name for item in model.graph.initializer}
    return {
        "inputs": [_onnx_value(onnx, item) for item in model.graph.input if item.name not in given],
        "outputs": [_onnx_value(onnx, item) for item in model.graph.output],
        "opset": {printable(item.domain or "ai.onnx"): int(item.version) for item in model.opset_import},
        "producer": printable(f"{model.producer_name} {model.producer_version}".strip()),
        "operators": sorted({printable(node.op_type) for node in model.graph.node}),
    }


def _onnx_value(onnx: Any, item: Any) -> dict[str, Any]:
    kind = item.type.WhichOneof("value") or "unknown"
    entry: dict[str, Any] = {"name": printable(item.name), "type": kind.removesuffix("_type")}
    if kind == "tensor_type":
        tensor = item.type.tensor_type
        entry["type"] = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        entry["shape"] = [
            int(dim.dim_value) if dim.HasField("dim_value") else printable(dim.dim_param or "?")
            for dim in tensor.shape.dim
        ]
    return entry


def _skops(data: bytes) -> dict[str, Any]:
    with open_archive(io.BytesIO(data), "the skops file") as archive:
        schema = json.loads(archive.read("schema.json"))
    found: dict[str, Any] = {
        "types": sorted(map(printable, _types(schema))),
        "versions": {key: printable(str(schema[key])) for key in ("_skops_version", "protocol") if key in schema},
        "allow_list": TRUSTED_VERSION,
    }
    try:
        reader = need("skops.io", extra="files")
    except MissingExtra as error:
        return found | {"note": str(error)}
    untrusted = sorted(set(reader.get_untrusted_types(data=data)) - set(TRUSTED))
    return found | {"not_allowed": [printable(kind) for kind in untrusted], "can_run_code": bool(untrusted)}


def _types(node: Any) -> set[str]:
    """Every type that a skops schema names, at any depth."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if "__class__" in item and "__module__" in item:
                found.add(f"{item['__module__']}.{item['__class__']}")
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return found


def _xgboost(data: bytes) -> dict[str, Any]:
    try:
        learner = json.loads(data)["learner"]
    except ValueError:
        learner = parse_ubjson(data)["learner"]
    booster = learner["gradient_booster"]
    trees = booster.get("gbtree", booster).get("model", {}).get("gbtree_model_param", {}).get("num_trees", "0")
    return {
        "objective": printable(str(learner["objective"]["name"])),
        "features": [printable(str(name)) for name in learner["feature_names"]],
        "columns": int(learner["learner_model_param"]["num_feature"]),
        "classes": int(learner["learner_model_param"]["num_class"]),
        "trees": int(trees),
    }


def _lightgbm(data: bytes) -> dict[str, Any]:
    text = data.decode("utf-8")
    header = dict(line.partition("=")[::2] for line in text.partition("\n\n")[0].splitlines())
    return {
        "objective": printable(header.get("objective", "none")),
        "features": [printable(name) for name in header["feature_names"].split(" ")],
        "columns": int(header["max_feature_idx"]) + 1,
        "classes": int(header["num_class"]),
        "trees": len(re.findall(r"^Tree=\d+$", text, re.MULTILINE)),
    }


_HEADERS: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "pickle": _pickle,
    "zip of pickles": _pickle,
    "torchscript": _pickle,
    "torch": _torch,
    "safetensors": _safetensors,
    "onnx": _onnx,
    "skops": _skops,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
}
