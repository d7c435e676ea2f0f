# SPDX-License-Identifier: Apache-2.0
"""Any object as plain JSON values: dicts, lists, text and numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from assay.basics.fingerprint import digest
from assay.nouns.inputs.features import Features
from assay.nouns.inputs.frames import Table, is_frame


def to_jsonable(anything: Any) -> Any:
    """The object as dicts, lists, text and numbers, for JSON that people and other programs read.

    NaN becomes null, infinities the texts "Infinity" and "-Infinity". What has no plain form (a model, a frame, a
    function) is described by kind, fingerprint and a short text. It cannot be read back; for that use ``save`` and
    ``load``.
    """
    if isinstance(anything, np.generic):
        anything = anything.item()
    if anything is None or isinstance(anything, bool | int | str):
        return anything
    if isinstance(anything, float):
        return _finite(anything)
    if isinstance(anything, Mapping):
        return {key_text(key): to_jsonable(value) for key, value in anything.items()}
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
    plain = simple_fields(anything)
    return describe(anything) if plain is None else to_jsonable(plain)


def simple_fields(noun: Any) -> dict[str, Any] | None:
    """A dataclass of numbers and text, or tuples of them (``Constant(0.0)``), as its kind and fields; else ``None``."""
    if not is_dataclass(noun) or isinstance(noun, type):
        return None
    values = {item.name: getattr(noun, item.name) for item in fields(noun) if item.init}
    values = {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}
    if not all(_is_simple(value) for value in values.values()):
        return None
    return {"kind": type(noun).__name__} | values


def _is_simple(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_simple, value))
    return value is None or isinstance(value, bool | int | float | str)


def describe(thing: Any) -> dict[str, str]:
    """Description of an object that is not stored: its kind, a fingerprint of its contents, and a short text."""
    fingerprint = _fingerprint(thing)
    if is_frame(thing):
        table = Table.of(thing)
        fingerprint, text = (
            digest(table.names, table.cell_values(table.encode(thing, gaps=True))),
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


def key_text(key: Any) -> str:
    """A mapping's key as one text; the texts of a tuple are joined with slashes."""
    return "/".join(map(str, key)) if isinstance(key, tuple) else str(key)
