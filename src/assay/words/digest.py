# SPDX-License-Identifier: Apache-2.0
"""Short marks that stand for the content of arrays, models and options."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np


def digest(*things: Any) -> str:
    """32 hexadecimal digits that change when any of ``things`` changes: arrays, text, numbers, nests of them."""
    state = hashlib.blake2b(digest_size=16)
    for thing in things:
        _feed(state, thing)
    return state.hexdigest()


def _feed(state: "hashlib.blake2b", thing: Any) -> None:
    if isinstance(thing, np.ndarray) and thing.dtype != object:
        state.update(f"array {thing.dtype.str} {thing.shape}".encode())
        state.update(np.ascontiguousarray(thing).tobytes())
    elif isinstance(thing, bytes):
        state.update(b"bytes %d " % len(thing) + thing)
    elif isinstance(thing, Mapping):
        state.update(b"map %d" % len(thing))
        for key in sorted(thing, key=str):
            _feed(state, str(key))
            _feed(state, thing[key])
    elif isinstance(thing, list | tuple | np.ndarray):
        state.update(b"list %d" % len(thing))
        for item in thing:
            _feed(state, item)
    else:
        text = f"{type(thing).__name__} {getattr(thing, 'mark', None) or repr(thing)}".encode()
        state.update(b"text %d " % len(text) + text)
