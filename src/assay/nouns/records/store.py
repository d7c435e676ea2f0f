# SPDX-License-Identifier: Apache-2.0
"""Results on disk: one zipped file of plain JSON and safetensors, the same bytes for the same result. Never pickle."""

from __future__ import annotations

import io
import json
import math
import os
import threading
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from array_api_compat import is_torch_array
from safetensors import SafetensorError
from safetensors.numpy import load as read_arrays
from safetensors.numpy import save as write_arrays

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.basics.seed import Seed
from assay.basics.stats import Basis, Interval
from assay.nouns.comparisons.agreement import Agreement
from assay.nouns.comparisons.benchmark_table import BenchmarkLine, BenchmarkModel, BenchmarkTable
from assay.nouns.comparisons.explanation_shift import ExplanationShift
from assay.nouns.comparisons.method_comparison import MethodComparison, Pair, Ranking, Scored
from assay.nouns.comparisons.score_reliability import Check, Reliability
from assay.nouns.comparisons.settings_grid import Scoring, SettingsGrid
from assay.nouns.comparisons.wrong_classes import WrongClasses
from assay.nouns.inputs.features import Features
from assay.nouns.inputs.frames import Table, is_frame
from assay.nouns.records.record import Gallery, NotRun, Reason, Reasons, Record, RepairRecord, Waiver
from assay.nouns.results.global_explanation import GlobalExplanation
from assay.nouns.results.result import (
    AttackResult,
    Certificate,
    Explanation,
    Finding,
    Note,
    Provenance,
    Refusal,
    Repair,
    Score,
)

SCHEMA = 1
"""Number of the file's layout; a file of another number is refused."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """Several things kept in one file: results, findings, numbers and text, by name."""

    held: Mapping[str, Any]


KINDS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        Explanation, Score, AttackResult, Certificate, Record, Bundle,
        MethodComparison, Agreement, Reliability, SettingsGrid,
        WrongClasses, GlobalExplanation, ExplanationShift, BenchmarkTable,
    )
}  # fmt: skip
PARTS: dict[str, Any] = KINDS | {
    kind.__name__: kind
    for kind in (
        Provenance, Note, Seed, Features, Finding, Interval, Basis,
        Refusal, NotRun, Reason, Reasons, RepairRecord, Gallery, Waiver,
        Scored, Pair, Ranking, Check, Scoring, BenchmarkModel, BenchmarkLine,
    )
}  # fmt: skip
"""What a file may hold at its top, and what may lie within."""

WORDS, NUMBERS = "result.json", "arrays.safetensors"
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    SafetensorError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    EOFError,
    OSError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)
"""What reading a damaged file can raise in the zip, JSON and safetensors readers."""


def save(result: Any, path: str | Path) -> Path:
    """Write a result to one file, whole or not at all; the path is given back.

    Options that hold data (a background, a start) are kept as their mark alone.
    """
    if isinstance(result, Repair):
        raise InputError(
            "a Repair holds a model, and models are not stored. Save the repaired model with the library that made it, "
            "and the results of auditing it with save."
        )
    if type(result).__name__ not in KINDS:
        raise InputError(f"save takes {', '.join(KINDS)}; got {type(result).__name__}.")
    target = Path(path)
    if not target.parent.is_dir():
        raise InputError(f"the folder {target.parent} does not exist. Make it first.")
    arrays = _Arrays({}, {})
    told = {item.name: _packed(getattr(result, item.name), item.name, arrays) for item in fields(result)}
    words = {"schema": SCHEMA, "type": type(result).__name__, "fields": told}
    _write(target, {WORDS: _text(words), NUMBERS: write_arrays(dict(sorted(arrays.named.items())))})
    return target


@dataclass(frozen=True)
class _Arrays:
    """Arrays by the place they were first met; equal ones are kept once."""

    named: dict[str, Any]
    seen: dict[str, str]

    def keep(self, array: Any, name: str) -> str:
        fingerprint = digest(array)
        if fingerprint not in self.seen:
            self.seen[fingerprint] = name
            self.named[name] = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
        return self.seen[fingerprint]


def load(path: str | Path) -> Any:
    """The result in this file; ``InputError`` if the file is damaged, foreign or of another schema."""
    place = Path(path)
    if not place.is_file():
        raise InputError(f"there is no file {place}.")
    try:
        with zipfile.ZipFile(place) as pack:
            words, arrays = json.loads(pack.read(WORDS)), read_arrays(pack.read(NUMBERS))
        found = words["schema"]
        if found == SCHEMA:
            told = {name: _unpacked(value, arrays) for name, value in words["fields"].items()}
            return KINDS[words["type"]](**told)
    except DAMAGE as error:
        raise InputError(f"{place} is no result saved by assay, or it is damaged ({type(error).__name__}).") from error
    raise InputError(f"{place} has schema {found!r}; this version of assay reads {SCHEMA}. Save the result anew.")


def to_jsonable(anything: Any) -> Any:
    """The same as dicts, lists, text and numbers, for JSON that people and other programs read.

    NaN becomes null, infinities the texts "Infinity" and "-Infinity". What has no plain form (a model, a frame, a
    function) is described by kind, mark and a short text. There is no way back: that is what ``load`` is for.
    """
    if isinstance(anything, np.generic):
        anything = anything.item()
    if anything is None or isinstance(anything, bool | int | str):
        return anything
    if isinstance(anything, float):
        return _finite(anything)
    if isinstance(anything, Mapping):
        return {_key(key): to_jsonable(value) for key, value in anything.items()}
    if isinstance(anything, list | tuple):
        return [to_jsonable(item) for item in anything]
    if isinstance(anything, set | frozenset):
        return [to_jsonable(item) for item in sorted(anything, key=repr)]
    if isinstance(anything, np.ndarray):
        return to_jsonable(anything.tolist())
    if isinstance(anything, Path):
        return str(anything)
    if isinstance(anything, Features):
        return {"kind": "Features", "names": list(anything.names), "fingerprint": anything.fingerprint}
    if is_dataclass(anything) and not isinstance(anything, type) and not isinstance(_fingerprint(anything), str):
        return {item.name: to_jsonable(getattr(anything, item.name)) for item in fields(anything) if item.init}
    plain = plainly(anything)
    return described(anything) if plain is None else to_jsonable(plain)


def plainly(noun: Any) -> dict[str, Any] | None:
    """A small noun (``Constant(0.0)``, ``Blur(10.0)``, a ball) as its kind and its numbers; else ``None``."""
    if not is_dataclass(noun) or isinstance(noun, type):
        return None
    held = {item.name: getattr(noun, item.name) for item in fields(noun) if item.init}
    held = {name: value.item() if isinstance(value, np.generic) else value for name, value in held.items()}
    if not all(value is None or isinstance(value, bool | int | float | str) for value in held.values()):
        return None
    return {"kind": type(noun).__name__} | held


def described(thing: Any) -> dict[str, str]:
    """What is left of a thing that is not stored: its kind, a mark of its contents, and a short text."""
    fingerprint = _fingerprint(thing)
    if is_frame(thing):
        table = Table.of(thing)
        fingerprint, text = (
            digest(table.names, table.content(table.encode(thing, gaps=True))),
            f"frame of {len(thing)} rows",
        )
    elif isinstance(thing, np.ndarray) or is_torch_array(thing):
        text = f"array of {thing.dtype} {tuple(thing.shape)}"
    else:
        text = repr(thing) if isinstance(fingerprint, str) else getattr(thing, "__qualname__", type(thing).__qualname__)
    return {
        "kind": type(thing).__name__,
        "fingerprint": fingerprint if isinstance(fingerprint, str) else digest(thing),
        "repr": text[:200],
    }


def _fingerprint(thing: Any) -> Any:
    return getattr(thing, "fingerprint", None)


def _finite(number: float) -> float | str | None:
    if math.isnan(number):
        return None
    return number if math.isfinite(number) else ("Infinity" if number > 0 else "-Infinity")


def _key(key: Any) -> str:
    return "/".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _text(words: Any) -> bytes:
    return json.dumps(words, allow_nan=False, ensure_ascii=False, sort_keys=True, indent=1).encode()


def _packed(value: Any, name: str, arrays: _Arrays | None) -> Any:
    """A field as JSON that ``_unpacked`` turns back. Arrays go to ``arrays`` under the field's name.

    Without ``arrays`` the field is a method's option: small nouns keep their numbers, data leaves its mark.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"kind": "float", "value": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_packed(item, f"{name}/{place}", arrays) for place, item in enumerate(value)]
    if isinstance(value, tuple):
        return {"kind": "tuple", "items": _packed(list(value), name, arrays)}
    if isinstance(value, Mapping):
        items = [[_named(k), _packed(v, f"{name}/{_key(k)}", arrays)] for k, v in value.items()]
        return {"kind": "mapping", "items": items}
    if arrays is None:
        return _packed(plainly(value) or described(value), name, None)
    if type(value).__name__ in PARTS:
        held = {}
        for item in fields(value):
            place = None if item.name == "options" else arrays
            held[item.name] = _packed(getattr(value, item.name), f"{name}/{item.name}", place)
        return {"kind": type(value).__name__, "held": held}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {"kind": "array", "name": arrays.keep(value, name)}
    raise InputError(f"{name} is {type(value).__name__}, which has no place in a result file.")


def _named(key: Any) -> Any:
    """A mapping's key: text, or several texts."""
    return list(map(str, key)) if isinstance(key, tuple) else str(key)


def _unpacked(told: Any, arrays: Mapping[str, Any]) -> Any:
    if isinstance(told, list):
        return [_unpacked(item, arrays) for item in told]
    if not isinstance(told, dict):
        return told
    kind = told["kind"]
    if kind == "float":
        return float(told["value"])
    if kind == "tuple":
        return tuple(_unpacked(told["items"], arrays))
    if kind == "mapping":
        return {tuple(key) if isinstance(key, list) else key: _unpacked(item, arrays) for key, item in told["items"]}
    if kind == "array":
        return arrays[told["name"]]
    return PARTS[kind](**{name: _unpacked(value, arrays) for name, value in told["held"].items()})


def _write(target: Path, members: Mapping[str, bytes]) -> None:
    """One zip with a fixed date, written beside the target and then put in its place."""
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as pack:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            pack.writestr(entry, content)
    part = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        part.write_bytes(stored.getvalue())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
