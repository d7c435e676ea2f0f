# SPDX-License-Identifier: Apache-2.0
"""Parser of Universal Binary JSON, the binary format of XGBoost models; only the types that XGBoost writes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

WHOLE = {b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q"}
NUMBERS = {**WHOLE, b"d": ">f", b"D": ">d"}
FIXED = {b"T": True, b"F": False, b"Z": None}
MAX_DEPTH = 64


def parse_ubjson(data: bytes) -> Any:
    """Parse the value in ``data``; a typed number array gives its length only. ``ValueError`` on other bytes."""
    try:
        return _Reader(data).value(0)
    except (struct.error, KeyError, IndexError) as error:
        raise ValueError(f"not Universal Binary JSON: {error}") from error


@dataclass
class _Reader:
    """The bytes and the position of the next one to read."""

    data: bytes
    at: int = 0

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.data):
            raise ValueError("not Universal Binary JSON: unexpected end")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, kind: bytes) -> Any:
        form = NUMBERS[kind]
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self) -> str:
        return self.take(self.length()).decode("utf-8")

    def length(self) -> int:
        form = WHOLE[self.take(1)]
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError(f"not an XGBoost file: nested deeper than {MAX_DEPTH} levels")
        kind = self.take(1)
        if kind in NUMBERS:
            return self.number(kind)
        if kind in FIXED:
            return FIXED[kind]
        if kind == b"S":
            return self.text()
        if kind == b"C":
            return self.take(1).decode("latin-1")
        if kind == b"{":
            return self.object(depth)
        if kind == b"[":
            return self.array(depth)
        raise ValueError(f"not Universal Binary JSON: unknown type marker {kind!r}")

    def object(self, depth: int) -> dict[str, Any]:
        found = {}
        while self.data[self.at : self.at + 1] != b"}":
            name = self.text()
            found[name] = self.value(depth + 1)
        self.at += 1
        return found

    def array(self, depth: int) -> Any:
        kind = self.take(2)[1:] if self.data[self.at : self.at + 1] == b"$" else b""
        if self.data[self.at : self.at + 1] == b"#":
            self.at += 1
            count = self.length()
            if kind:
                self.take(count * struct.calcsize(NUMBERS[kind]))
                return count
            return [self.value(depth + 1) for _ in range(count)]
        found = []
        while self.data[self.at : self.at + 1] != b"]":
            found.append(self.value(depth + 1))
        self.at += 1
        return found
