# SPDX-License-Identifier: Apache-2.0
"""Result files: a zip of plain JSON and safetensors, the same bytes for the same result; never pickle."""

from __future__ import annotations

import io
import json
import math
import os
import threading
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as read_arrays
from safetensors.numpy import save as write_arrays

from assay.basics.archives import open_archive
from assay.basics.errors import InputError, Refused
from assay.basics.fingerprint import digest
from assay.basics.seed import Seed
from assay.basics.stats import Basis, Interval
from assay.nouns.comparisons.agreement import Agreement
from assay.nouns.comparisons.benchmark_table import BenchmarkLine, BenchmarkModel, BenchmarkTable
from assay.nouns.comparisons.explanation_shift import ExplanationShift
from assay.nouns.comparisons.method_comparison import MethodComparison, Pair, Ranking, Scored
from assay.nouns.comparisons.mus_experiment import (
    AccuracyLine,
    MusExperiment,
    MusSubject,
    SkippedSubject,
    StabilityLine,
)
from assay.nouns.comparisons.score_reliability import Reliability, ReliabilityCheck
from assay.nouns.comparisons.settings_grid import Scoring, SettingsGrid
from assay.nouns.comparisons.shift_experiment import ShiftExperiment, ShiftLine
from assay.nouns.comparisons.simulatability import Simulatability
from assay.nouns.comparisons.simulatability_ranking import SimulatabilityRanking
from assay.nouns.comparisons.wrong_classes import WrongClasses
from assay.nouns.inputs.features import Features
from assay.nouns.inputs.frames import is_frame
from assay.nouns.records.jsonable import describe, key_text, simple_fields
from assay.nouns.records.record import (
    CertifiedSet,
    CheckText,
    Gallery,
    MetricChange,
    NotRun,
    Reason,
    Reasons,
    Record,
    RepairRecord,
    RepairText,
    RowInfluence,
    TrainingRow,
    Waiver,
)
from assay.nouns.results.finding import EvidencePicture, Finding
from assay.nouns.results.global_explanation import GlobalExplanation
from assay.nouns.results.result import AttackResult, Certificate, Explanation, Note, Provenance, Refusal, Repair, Score
from assay.nouns.studies.study_result import ArmEffect, StudyResult

SCHEMA = 2
"""Number of the file's layout; a file of another number is refused."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """Several objects in one file: results, findings, numbers and text, by name."""

    contents: Mapping[str, Any]


KINDS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        Explanation, Score, AttackResult, Certificate, Record, Bundle,
        MethodComparison, Agreement, Reliability, SettingsGrid,
        WrongClasses, GlobalExplanation, ExplanationShift, BenchmarkTable, ShiftExperiment, MusExperiment,
        Simulatability, SimulatabilityRanking, StudyResult,
    )
}  # fmt: skip
PARTS: dict[str, Any] = KINDS | {
    kind.__name__: kind
    for kind in (
        Provenance, Note, Seed, Features, Finding, EvidencePicture, Interval, Basis,
        Refusal, CheckText, NotRun, Reason, Reasons, MetricChange, RepairRecord, RepairText, Gallery, Waiver,
        CertifiedSet, RowInfluence, TrainingRow,
        Scored, Pair, Ranking, ReliabilityCheck, Scoring, BenchmarkModel, BenchmarkLine, ShiftLine,
        MusSubject, SkippedSubject, StabilityLine, AccuracyLine, ArmEffect,
    )
}  # fmt: skip
"""Types a file may hold at its top level, and types of the fields within."""

JSON_MEMBER, ARRAYS_MEMBER = "result.json", "arrays.safetensors"
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
    """Write a result to one file, completely or not at all, and return the path.

    Of options that hold data (a background, a start) only the fingerprint is stored.
    """
    if isinstance(result, Repair):
        raise InputError(
            "a Repair holds a model, and models are not stored. Save the repaired model with its own library, "
            "and the results of auditing it with save."
        )
    if type(result).__name__ not in KINDS:
        raise InputError(f"save takes {', '.join(KINDS)}; got {type(result).__name__}.")
    target = Path(path)
    if not target.parent.is_dir():
        raise InputError(f"the folder {target.parent} does not exist. Create it first.")
    arrays = _Arrays({}, {})
    packed = {item.name: _packed(getattr(result, item.name), item.name, arrays) for item in fields(result)}
    document = {"schema": SCHEMA, "type": type(result).__name__, "fields": packed}
    _write(target, {JSON_MEMBER: _text(document), ARRAYS_MEMBER: write_arrays(dict(sorted(arrays.named.items())))})
    return target


@dataclass(frozen=True)
class _Arrays:
    """Arrays by the field that first holds them; equal arrays are stored once."""

    named: dict[str, Any]
    seen: dict[str, str]

    def add(self, array: Any, name: str) -> str:
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
        with open_archive(place) as pack:
            document, arrays = json.loads(pack.read(JSON_MEMBER)), read_arrays(pack.read(ARRAYS_MEMBER))
        found = document["schema"]
        if found == SCHEMA:
            unpacked = {name: _unpacked(value, arrays) for name, value in document["fields"].items()}
            return KINDS[document["type"]](**unpacked)
    except Refused:
        raise
    except DAMAGE as error:
        raise InputError(
            f"{place} is not a result saved by assay, or it is damaged ({type(error).__name__})."
        ) from error
    raise InputError(f"{place} has schema {found!r}; this version of assay reads {SCHEMA}. Save the result again.")


def _text(document: Any) -> bytes:
    return json.dumps(document, allow_nan=False, ensure_ascii=False, sort_keys=True, indent=1).encode()


def _packed(value: Any, name: str, arrays: _Arrays | None) -> Any:
    """A field as JSON that ``_unpacked`` reverses. Arrays go to ``arrays`` under the field's name.

    Without ``arrays`` the field is a method's option: numbers and text are stored, of data the fingerprint.
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
        items = [[_named(k), _packed(v, f"{name}/{key_text(k)}", arrays)] for k, v in value.items()]
        return {"kind": "mapping", "items": items}
    if arrays is None:
        return _packed(simple_fields(value) or describe(value), name, None)
    if type(value).__name__ in PARTS:
        packed = {}
        for item in fields(value):
            place = None if item.name == "options" else arrays
            packed[item.name] = _packed(getattr(value, item.name), f"{name}/{item.name}", place)
        return {"kind": type(value).__name__, "fields": packed}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {"kind": "array", "name": arrays.add(value, name)}
    if name.rpartition("/")[2] == "inputs" and is_frame(value):
        return None  # the attacked rows in the caller's form: their matrix is kept
    raise InputError(f"{name} is {type(value).__name__}, which a result file cannot hold.")


def _named(key: Any) -> Any:
    """A mapping's key: text, or several texts."""
    return list(map(str, key)) if isinstance(key, tuple) else str(key)


def _unpacked(packed: Any, arrays: Mapping[str, Any]) -> Any:
    if isinstance(packed, list):
        return [_unpacked(item, arrays) for item in packed]
    if not isinstance(packed, dict):
        return packed
    kind = packed["kind"]
    if kind == "float":
        return float(packed["value"])
    if kind == "tuple":
        return tuple(_unpacked(packed["items"], arrays))
    if kind == "mapping":
        return {tuple(key) if isinstance(key, list) else key: _unpacked(item, arrays) for key, item in packed["items"]}
    if kind == "array":
        return arrays[packed["name"]]
    return PARTS[kind](**{name: _unpacked(value, arrays) for name, value in packed["fields"].items()})


def _write(target: Path, members: Mapping[str, bytes]) -> None:
    """Write one zip with a fixed date to a temporary file in the target's folder, then rename it."""
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
