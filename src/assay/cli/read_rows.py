# SPDX-License-Identifier: Apache-2.0
"""Rows from files; nothing that a file brings is run."""

from __future__ import annotations

import difflib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.basics.errors import InputError, MissingExtra, Unreadable
from assay.basics.optional import need

SUFFIXES = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".feather": "feather",
    ".arrow": "feather",
    ".ipc": "feather",
    ".jsonl": "json",
    ".ndjson": "json",
    ".npy": "npy",
    ".npz": "npz",
}
"""Formats of data by the end of a file's name."""

READERS = {
    "pandas": {"csv": "read_csv", "parquet": "read_parquet", "feather": "read_feather", "json": "read_json"},
    "polars": {"csv": "read_csv", "parquet": "read_parquet", "feather": "read_ipc", "json": "read_ndjson"},
}
OPTIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("pandas", "csv"): {"keep_default_na": False, "na_values": [""]},  # "NA" is a text; an empty cell is a gap
    ("pandas", "json"): {"lines": True, "dtype": False, "precise_float": True},
    ("polars", "csv"): {"infer_schema_length": None},
    ("polars", "json"): {"infer_schema_length": None},
}


@dataclass(frozen=True, eq=False)
class Table:
    """Rows as the model meets them, their labels and names (``None`` where the file has none), and the file."""

    rows: Any
    labels: Any
    ids: Sequence[Any] | None
    path: Path

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns; none for arrays."""
        return tuple(map(str, getattr(self.rows, "columns", ())))

    def column(self, name: str) -> list[Any]:
        """One column as plain values."""
        if name not in self.columns:
            raise InputError(_no_column(self.path, name, self.columns))
        return list(self.rows[name])

    def without(self, names: Sequence[str]) -> Table:
        """The same with these columns left out, where they are there."""
        gone = [name for name in names if name in self.columns]
        rows = _drop(self.rows, gone) if gone else self.rows
        return Table(rows, self.labels, self.ids, self.path)


def rows_from(path: Path, target: str = "", ids: str = "") -> Table:
    """The rows of a file; the columns of labels and names, if given, are taken out of them.

    Tables are read with pandas, or with polars where that is installed and pandas is not; text stays text. Of an .npz
    file with labels or names the rows are the one array that is neither.
    """
    kind = SUFFIXES.get(path.suffix.lower())
    if not path.is_file():
        raise InputError(f"there is no file {path}.")
    if kind is None:
        raise InputError(f"{path} is of no known format; give {', '.join(SUFFIXES)}.")
    if kind in ("npy", "npz"):
        return _arrays(path, target, ids)
    frame = _frame(path, kind)
    names = list(map(str, frame.columns))
    for wanted in filter(None, (target, ids)):
        if wanted not in names:
            raise InputError(_no_column(path, wanted, names))
    named = list(frame[ids]) if ids else None
    labels = frame[target] if target else None
    gone = [name for name in (target, ids) if name]
    return Table(_drop(frame, gone) if gone else frame, labels, named, path)


def _drop(frame: Any, names: Sequence[str]) -> Any:
    polars = type(frame).__module__.startswith("polars")
    return frame.drop(list(names)) if polars else frame.drop(columns=list(names))


def _no_column(path: Path, wanted: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(wanted, names, n=3)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it has {', '.join(names)[:200]}."
    return f"{path} has no column {wanted!r}; {hint}"


def _library() -> tuple[str, Any]:
    try:
        return "pandas", need("pandas", extra="demo")
    except MissingExtra:
        try:
            return "polars", need("polars", extra="demo")
        except MissingExtra as error:
            raise MissingExtra("reading tables needs pandas or polars: pip install pandas pyarrow") from error


def _frame(path: Path, kind: str) -> Any:
    name, library = _library()
    read = getattr(library, READERS[name][kind])
    broken = (
        (ValueError, KeyError, OSError, EOFError) if name == "pandas" else (library.exceptions.PolarsError, OSError)
    )
    try:
        frame = read(path, **OPTIONS.get((name, kind), {}))
    except ImportError as error:
        raise MissingExtra(f"{name} needs pyarrow to read {path}: pip install pyarrow") from error
    except broken as error:
        said = " ".join(str(error).split())[:200]
        raise Unreadable(f"{path} could not be read as {kind}: {said}. Save it again, or as .csv.") from error
    if not len(frame):
        raise InputError(f"{path} has no rows.")
    return frame


def _arrays(path: Path, target: str, ids: str) -> Table:
    import numpy as np

    try:
        held = np.load(path, allow_pickle=False)
        arrays = {name: held[name] for name in held.files} if path.suffix.lower() == ".npz" else {"rows": held}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise Unreadable(
            f"{path} could not be read as numbers: {' '.join(str(error).split())[:120]}. Objects in numpy files are "
            f"pickles and are not read; save plain arrays."
        ) from error
    for wanted in filter(None, (target, ids)):
        if wanted not in arrays:
            raise InputError(_no_column(path, wanted, list(arrays)).replace("column", "array", 1))
    labels = arrays.pop(target) if target else None
    named = arrays.pop(ids).tolist() if ids else None
    if len(arrays) != 1:
        raise InputError(f"{path} holds {len(arrays)} arrays beside labels and ids: {', '.join(arrays)}. Give one.")
    return Table(next(iter(arrays.values())), labels, named, path)
