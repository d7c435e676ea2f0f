# SPDX-License-Identifier: Apache-2.0
"""Fingerprints: short hashes of the content of arrays, models and options."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from assay.basics.object_state import digest_state

ADDRESS = re.compile(r" at 0x[0-9a-f]+", re.IGNORECASE)
"""The address of an object in its text, which differs between processes."""


def digest(*things: Any) -> str:
    """Hash (32 hexadecimal digits) that changes when any of ``things`` changes.

    Arrays, text, numbers and nested containers are hashed by content. A function is hashed by its code, its defaults,
    its closure and the globals it reads; other objects by what they are made of (``object_state``).
    """
    state = hashlib.blake2b(digest_size=16)
    for thing in things:
        _update(state, thing)
    return state.hexdigest()


def _update(state: "hashlib.blake2b", thing: Any) -> None:
    if isinstance(thing, np.ndarray) and not thing.dtype.hasobject and thing.dtype.names is None:
        state.update(f"array {thing.dtype.str} {thing.shape}".encode())
        state.update(np.ascontiguousarray(thing).tobytes())
    elif isinstance(thing, bytes):
        state.update(b"bytes %d " % len(thing) + thing)
    elif isinstance(thing, Mapping):
        state.update(b"map %d" % len(thing))
        for key in sorted(thing, key=str):
            _update(state, str(key))
            _update(state, thing[key])
    elif isinstance(thing, FunctionType | MethodType | CodeType | set | frozenset) or is_torch_array(thing):
        _update(state, digest_state(thing).digest)
    elif is_dataclass(thing) and not isinstance(thing, type) and not _has_fingerprint(thing):
        _update(state, (type(thing).__qualname__, [getattr(thing, item.name) for item in fields(thing)]))
    elif isinstance(thing, list | tuple):
        state.update(b"list %d" % len(thing))
        for item in thing:
            _update(state, item)
    elif not _has_fingerprint(thing) and (_is_stateful(thing) or ADDRESS.search(repr(thing)) is not None):
        _update(state, digest_state(thing).digest)
    else:
        text = f"{type(thing).__name__} {getattr(thing, 'fingerprint', None) or repr(thing)}".encode()
        state.update(b"text %d " % len(text) + text)


def _is_stateful(thing: Any) -> bool:
    return callable(thing) or isinstance(thing, np.ndarray)


def _has_fingerprint(thing: Any) -> bool:
    return isinstance(getattr(thing, "fingerprint", None), str)
