# SPDX-License-Identifier: Apache-2.0
"""Universal Binary JSON, the binary form of XGBoost's files, as far as that library writes it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

WHOLE = {b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q"}
NUMBERS = {**WHOLE, b"d": ">f", b"D": ">d"}
FIXED = {b"T": True, b"F": False, b"Z": None}
DEEPEST = 64


def parsed(data: bytes) -> Any:
    """The value in ``data``; of arrays of numbers only their length. Raises ``ValueError`` on other bytes."""
    try:
        return _Reader(data).value(0)
    except (struct.error, KeyError, IndexError) as error:
        raise ValueError(f"no Universal Binary JSON: {error}") from error


@dataclass
class _Reader:
    """A place in the bytes, moving on."""

    data: bytes
    at: int = 0

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.data):
            raise ValueError("no Universal Binary JSON: it breaks off")
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

    def value(self, deep: int) -> Any:
        if deep > DEEPEST:
            raise ValueError("no file of XGBoost's: too deep")
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
            return self.object(deep)
        if kind == b"[":
            return self.array(deep)
        raise ValueError(f"no Universal Binary JSON: the mark {kind!r}")

    def object(self, deep: int) -> dict[str, Any]:
        found = {}
        while self.data[self.at : self.at + 1] != b"}":
            name = self.text()
            found[name] = self.value(deep + 1)
        self.at += 1
        return found

    def array(self, deep: int) -> Any:
        kind = self.take(2)[1:] if self.data[self.at : self.at + 1] == b"$" else b""
        if self.data[self.at : self.at + 1] == b"#":
            self.at += 1
            count = self.length()
            if kind:
                self.take(count * struct.calcsize(NUMBERS[kind]))
                return count
            return [self.value(deep + 1) for _ in range(count)]
        found = []
        while self.data[self.at : self.at + 1] != b"]":
            found.append(self.value(deep + 1))
        self.at += 1
        return found
