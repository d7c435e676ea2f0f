# SPDX-License-Identifier: Apache-2.0
"""Fingerprints: short hashes of the content of arrays, models and options."""

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
from array_api_compat import is_torch_array


def digest(*things: Any) -> str:
    """Hash (32 hexadecimal digits) that changes when any of ``things`` changes.

    Arrays, text, numbers and nested containers are hashed by content. A function is hashed by its code, its defaults
    and its closure, not by the globals it reads.
    """
    state = hashlib.blake2b(digest_size=16)
    for thing in things:
        _update(state, thing)
    return state.hexdigest()


def _update(state: "hashlib.blake2b", thing: Any) -> None:
    if isinstance(thing, np.ndarray) and thing.dtype != object:
        state.update(f"array {thing.dtype.str} {thing.shape}".encode())
        state.update(np.ascontiguousarray(thing).tobytes())
    elif is_torch_array(thing):
        _update(state, str(thing.dtype))
        _update(state, thing.detach().cpu().double().numpy())
    elif isinstance(thing, bytes):
        state.update(b"bytes %d " % len(thing) + thing)
    elif isinstance(thing, Mapping):
        state.update(b"map %d" % len(thing))
        for key in sorted(thing, key=str):
            _update(state, str(key))
            _update(state, thing[key])
    elif isinstance(thing, set | frozenset):
        _update(state, sorted(thing, key=repr))
    elif isinstance(thing, FunctionType):
        _update(
            state, (thing.__qualname__, thing.__code__, thing.__defaults__, thing.__kwdefaults__, _closed_over(thing))
        )
    elif isinstance(thing, MethodType):
        _update(state, (thing.__func__, _comparable_values(getattr(thing.__self__, "__dict__", {}))))
    elif isinstance(thing, CodeType):
        _update(state, (thing.co_code, thing.co_names, thing.co_consts))
    elif is_dataclass(thing) and not isinstance(thing, type) and not _has_fingerprint(thing):
        _update(state, (type(thing).__qualname__, [getattr(thing, item.name) for item in fields(thing)]))
    elif isinstance(thing, list | tuple | np.ndarray):
        state.update(b"list %d" % len(thing))
        for item in thing:
            _update(state, item)
    elif callable(thing) and not isinstance(thing, type) and not _has_fingerprint(thing):
        name = getattr(thing, "__qualname__", type(thing).__qualname__)
        _update(state, (name, _comparable_values(getattr(thing, "__dict__", {}))))
    else:
        text = f"{type(thing).__name__} {getattr(thing, 'fingerprint', None) or repr(thing)}".encode()
        state.update(b"text %d " % len(text) + text)


def _closed_over(function: FunctionType) -> Mapping[str, Any]:
    values = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            values[name] = cell.cell_contents
        except ValueError:  # the cell is still empty
            continue
    return _comparable_values(values)


def _comparable_values(things: Mapping[str, Any]) -> Mapping[str, Any]:
    """Numbers, text and arrays unchanged; the code of functions; the type name of other objects."""
    known = {name: thing.__code__ if isinstance(thing, FunctionType) else thing for name, thing in things.items()}
    return {name: thing if _has_content_digest(thing) else type(thing).__qualname__ for name, thing in known.items()}


def _has_content_digest(thing: Any) -> bool:
    if isinstance(thing, list | tuple | set | frozenset):
        return all(map(_has_content_digest, thing))
    if isinstance(thing, Mapping):
        return all(map(_has_content_digest, thing.values()))
    kinds = bool | int | float | complex | str | bytes | np.generic | np.ndarray | CodeType | None
    return isinstance(thing, kinds) or is_torch_array(thing) or _has_fingerprint(thing)


def _has_fingerprint(thing: Any) -> bool:
    return isinstance(getattr(thing, "fingerprint", None), str)
