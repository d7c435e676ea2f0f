# SPDX-License-Identifier: Apache-2.0
"""The imports of a pickle, read from its opcodes without executing it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import math
import pickletools
import re
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import Any

from assay.basics.archives import open_archive

MAX_UNPACKED_BYTES = 1 << 28
"""Maximum number of bytes decompressed from a file, against decompression bombs."""

ALLOWED_IMPORTS = re.compile(
    r"builtins\.(set|frozenset|list|dict|tuple|object|bytearray|complex|slice|range|bool|int|float|str|bytes)"
    r"|__builtin__\.(set|frozenset|list|dict|tuple|object|bytearray|complex|slice)"
    r"|collections\.(OrderedDict|defaultdict|deque|Counter)"
    r"|copyreg\._reconstructor|copy_reg\._reconstructor|_codecs\.encode"
    r"|numpy\.(dtype|ndarray|float64|float32|int64|int32|bool_|str_)"
    r"|numpy\.(_core|core)\.(multiarray\.(_reconstruct|scalar)|numeric\._frombuffer)"
    r"|numpy\.random\.(_pickle\.\w+|_mt19937\.MT19937|_pcg64\.PCG64|bit_generator\.\w+)"
    r"|joblib\.numpy_pickle\.NumpyArrayWrapper"
    r"|scipy\.sparse\.[\w.]*\w+_(matrix|array)"
    r"|sklearn\.[\w.]*\.[A-Z]\w*|sklearn\._loss\.\w+\.\w+|sklearn\.\w+\._\w+\.newObj"
    r"|xgboost\.(sklearn|core)\.[A-Z]\w*|lightgbm\.(sklearn|basic)\.[A-Z]\w*"
    r"|torch\._utils\._rebuild_\w+|torch\.\w+Storage|torch\.(float|int|uint|bfloat|bool|complex)\w*|torch\.Size"
)
"""The allow-list of imports: names in usual pickles of arrays and estimators. It annotates; it never admits a file."""

BROKEN_ZIP = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError)
"""Errors of reading the members of a zip: damage, unknown compression, a password, truncation."""

TEXT = {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
PUT = {"PUT", "BINPUT", "LONG_BINPUT"}
GET = {"GET", "BINGET", "LONG_BINGET"}
TUPLES = {"TUPLE": None, "EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
STACK_MARKER = object()
PACKED = (b"\x1f\x8b", b"BZh", b"\x5d\x00\x00", b"\xfd7zXZ\x00", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


@dataclass(frozen=True)
class ImportedName:
    """A name that the pickle would import, or call with the arguments ``given``."""

    name: str
    given: Any = ()


@dataclass
class _Scan:
    """A pickle interpreter that tracks imported names only; it records calls and never makes them."""

    stream: io.BytesIO
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    whole: bool = True

    def run(self) -> None:
        """Read one pickle, to its end or to the first error."""
        try:
            for op, arg, _ in pickletools.genops(self.stream):
                self._step(op, arg)
        except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
            self.whole = False

    def _step(self, op: Any, arg: Any) -> None:
        name = op.name
        if name in TEXT or name in ("BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "NONE"):
            self.stack.append(arg)
        elif name in ("GLOBAL", "INST"):
            if name == "INST":
                self._slice()
            self._found(".".join(str(arg).split(" ", 1)))
        elif name == "STACK_GLOBAL":
            last, module = self.stack.pop(), self.stack.pop()
            known = isinstance(last, str) and isinstance(module, str)
            self._found(f"{module}.{last}" if known else "a name computed at load time")
        elif name in ("EXT1", "EXT2", "EXT4"):
            self._found(f"copyreg extension {arg}")
        elif name in PUT:
            self.memo[int(arg)] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in GET:
            self.stack.append(self.memo.get(int(arg)))
        elif name == "MARK":
            self.stack.append(STACK_MARKER)
        else:
            self._build(op, name)

    def _build(self, op: Any, name: str) -> None:
        if name in TUPLES:
            count = TUPLES[name]
            parts = self._slice() if count is None else [self.stack.pop() for _ in range(count)][::-1]
            self.stack.append(tuple(parts))
        elif name == "EMPTY_DICT":
            self.stack.append({})
        elif name in ("SETITEM", "SETITEMS"):
            pairs = self._slice() if name == "SETITEMS" else [self.stack.pop() for _ in range(2)][::-1]
            if isinstance(self.stack[-1], dict):
                self.stack[-1].update({k: v for k, v in zip(pairs[::2], pairs[1::2]) if isinstance(k, str)})
        elif name in ("REDUCE", "NEWOBJ"):
            given, called = self.stack.pop(), self.stack.pop()
            self.stack.append(ImportedName(getattr(called, "name", ""), given))
        elif name == "BUILD":
            self._array(self.stack.pop())
        elif name == "DUP":
            self.stack.append(self.stack[-1])
        else:
            self._other(op)

    def _other(self, op: Any) -> None:
        before = [item.name for item in op.stack_before]
        if "mark" in before:
            self._slice()
            before = before[: before.index("mark")]
        for _ in before:
            self.stack.pop()
        self.stack.extend([None] * len(op.stack_after))

    def _slice(self) -> list[Any]:
        at = next((place for place in range(len(self.stack) - 1, -1, -1) if self.stack[place] is STACK_MARKER), None)
        if at is None:
            raise LookupError("no stack marker")
        above = self.stack[at + 1 :]
        del self.stack[at:]
        return above

    def _found(self, name: str) -> None:
        self.names.append(name)
        self.stack.append(ImportedName(name))

    def _array(self, state: Any) -> None:
        """Skip the array data that joblib writes into the stream after the array's description."""
        wrapper = self.stack[-1]
        if not (isinstance(wrapper, ImportedName) and wrapper.name.endswith("numpy_pickle.NumpyArrayWrapper")):
            return
        if not isinstance(state, dict):
            raise ValueError("the array has no state")
        code = getattr(state.get("dtype"), "given", ("",))[0]
        kind = re.fullmatch(r"([a-zA-Z])(\d*)", code) if isinstance(code, str) else None
        if kind is None:
            raise ValueError("unknown number type")
        if kind[1] == "O":
            inner = _Scan(self.stream)
            inner.run()
            self.names.extend(inner.names)
            return
        if state.get("numpy_array_alignment_bytes") is not None:
            self.stream.seek(int.from_bytes(self.stream.read(1), "little"), io.SEEK_CUR)
        width = int(kind[2] or 1) * (4 if kind[1] == "U" else 1)
        length = math.prod(int(n) for n in state["shape"]) * width
        if length < 0:
            raise ValueError("negative array length")  # would loop forever
        self.stream.seek(length, io.SEEK_CUR)


def imports(data: bytes) -> tuple[list[str], bool]:
    """Imports of the pickles in a file, each once, in order; and whether every pickle was read to its end."""
    names: list[str] = []
    whole = True
    try:
        parts = _pickles(data)
    except BROKEN_ZIP:
        return [], False
    for part in parts:
        stream = io.BytesIO(part)
        while stream.tell() < len(part):
            start = stream.tell()
            scan = _Scan(stream)
            scan.run()
            names += scan.names
            if not scan.whole:
                whole = whole and start > 0 and not scan.names  # array data may follow the last pickle
                break
    return [printable(name) for name in dict.fromkeys(names)], whole


def _pickles(data: bytes) -> list[bytes]:
    """The pickles in a file: the decompressed file itself, or the members of a zip."""
    if not data.startswith(b"PK\x03\x04"):
        return [decompress(data)]
    with open_archive(io.BytesIO(data), "the model file") as archive:
        found = []
        for item in archive.infolist():
            with archive.open(item) as stream:
                part = decompress(stream.read(MAX_UNPACKED_BYTES))
            if item.filename.endswith(".pkl") or is_pickle(part):
                found.append(part)
    return found


def is_allowed_import(name: str) -> bool:
    """Whether an import is on the allow-list."""
    return ALLOWED_IMPORTS.fullmatch(name) is not None


def is_pickle(data: bytes) -> bool:
    """Whether ``data`` is a pickle: it starts with a protocol opcode, or its opcodes reach STOP."""
    if re.match(rb"\x80[\x02-\x05]", data):
        return True
    scan = _Scan(io.BytesIO(data[: 1 << 20]))
    scan.run()
    dotted = bool(scan.names) and re.fullmatch(r"[\w.]+", scan.names[0]) is not None
    return scan.stream.tell() > 1 and (scan.whole or dotted)


def decompress(data: bytes) -> bytes:
    """Decompress zlib, gzip, bz2, lzma or xz data up to a maximum size; other bytes are returned unchanged."""
    if not data.startswith(PACKED):
        return data
    stream: Any = io.BytesIO(data)
    try:
        if data[:1] == b"\x78":
            return zlib.decompressobj().decompress(data, MAX_UNPACKED_BYTES)
        if data[:2] == b"\x1f\x8b":
            return gzip.GzipFile(fileobj=stream).read(MAX_UNPACKED_BYTES)
        return (bz2.BZ2File(stream) if data[:3] == b"BZh" else lzma.LZMAFile(stream)).read(MAX_UNPACKED_BYTES)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return data


def printable(text: str, max_length: int = 100) -> str:
    """Untrusted text made safe for a terminal: one line, no control characters, at most ``max_length`` characters."""
    escaped = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return escaped if len(escaped) <= max_length else escaped[: max_length - 1] + "…"
