# SPDX-License-Identifier: Apache-2.0
"""Reading rows from data files; no code in a file is run."""

from __future__ import annotations

import difflib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.basics.archives import open_archive
from assay.basics.errors import InputError, MissingExtra, Unreadable
from assay.basics.optional import need
from assay.cli.text_columns import find_text_columns, report_text_columns, text_columns
from assay.nouns.inputs.frames import list_first

if TYPE_CHECKING:
    from assay.model.model import Model

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
"""Data formats by file suffix."""

READERS = {
    "pandas": {"csv": "read_csv", "parquet": "read_parquet", "feather": "read_feather", "json": "read_json"},
    "polars": {"csv": "read_csv", "parquet": "read_parquet", "feather": "read_ipc", "json": "read_ndjson"},
}
OPTIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("pandas", "csv"): {"keep_default_na": False, "na_values": [""]},  # "NA" is text; an empty cell is missing
    ("pandas", "json"): {"lines": True, "dtype": False, "precise_float": True},
    ("polars", "csv"): {"infer_schema_length": None},
    ("polars", "json"): {"infer_schema_length": None},
}


ALL_TEXT: dict[str, dict[str, Any]] = {"pandas": {"dtype": str}, "polars": {"infer_schema": False}}
"""Options that read every cell of a CSV file as text."""


@dataclass(frozen=True, eq=False)
class DataTable:
    """The rows of a file as the model gets them, with labels and row ids (``None`` if not given), and the path."""

    rows: Any
    labels: Any
    ids: Sequence[Any] | None
    path: Path

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns; empty for arrays."""
        return tuple(map(str, getattr(self.rows, "columns", ())))

    def column(self, name: str) -> list[Any]:
        """The values of one column."""
        if name not in self.columns:
            raise InputError(_no_column(self.path, name, self.columns))
        return list(self.rows[name])

    def model_rows(self, model: Model, text: str = "") -> Any:
        """The rows as the model takes them: the table, or the texts of the column ``text`` for a model of texts.

        Without ``text`` a model of texts gets the only column of text. Two columns (a comma between) give pairs.
        """
        if (not text and model.encode is None) or not self.columns:
            return self.rows
        names = [name.strip() for name in text.split(",")] if text else text_columns(self.rows)
        if not text and len(names) != 1:
            raise InputError(
                f"{model.name} reads text, and {self.path} has {len(names)} columns of text: "
                f"{', '.join(names[:8]) or 'none'}. Name the one to read: --text COLUMN."
            )
        columns = [self._texts(name) for name in names]
        return columns[0] if len(columns) == 1 else list(zip(*columns))

    def _texts(self, name: str) -> list[str]:
        """A column of texts; ``InputError`` names the rows without one."""
        values = self.column(name)
        wrong = [row for row, value in enumerate(values) if not isinstance(value, str)]
        if wrong:
            raise InputError(
                f"{self.path}: column {name!r} holds no text in row(s) {list_first(wrong)}. Leave them out."
            )
        return [str(value) for value in values]

    def without(self, names: Sequence[str]) -> DataTable:
        """The table without these columns; names of other columns are ignored."""
        dropped = [name for name in names if name in self.columns]
        rows = _drop(self.rows, dropped) if dropped else self.rows
        return DataTable(rows, self.labels, self.ids, self.path)


@dataclass(frozen=True, eq=False)
class DataFiles:
    """The files of one command, all read in one way: a column that is text in one of them is text in all.

    ``model`` says which columns it was trained on as text, if it tells. Standard error names the columns that are kept
    as text though all their cells are digits.
    """

    paths: tuple[Path, ...]
    model: Model | None = None

    @staticmethod
    def of(model: Model | None, *paths: Path | str | None) -> DataFiles:
        """The files that are given, each once."""
        return DataFiles(tuple(dict.fromkeys(Path(path) for path in paths if path)), model)

    @cached_property
    def text(self) -> tuple[str, ...]:
        """The columns kept as text."""
        tables = [path for path in self.paths if SUFFIXES.get(path.suffix.lower()) == "csv" and path.is_file()]
        found = find_text_columns([(_frame(path, "csv"), _frame(path, "csv", ALL_TEXT)) for path in tables], self.model)
        report_text_columns(found)
        return tuple(found)

    def read(self, path: Path, target: str = "", ids: str = "") -> DataTable:
        """Read the rows of one of the files; the columns ``target`` (labels) and ``ids`` are removed from them.

        Tables are read with pandas, or with polars if pandas is not installed; text stays text, and so do codes in a
        CSV file, such as 07. In an .npz file the rows are the one array that holds neither labels nor ids.
        """
        kind = SUFFIXES.get(path.suffix.lower())
        if not path.is_file():
            raise InputError(f"there is no file {path}.")
        if kind is None:
            raise InputError(f"{path} has no known format; give {', '.join(SUFFIXES)}.")
        if kind in ("npy", "npz"):
            return _arrays(path, target, ids)
        frame = _frame(path, kind, _as_text(self.text)) if kind == "csv" and self.text else _frame(path, kind)
        names = list(map(str, frame.columns))
        for name in filter(None, (target, ids)):
            if name not in names:
                raise InputError(_no_column(path, name, names))
        row_ids = list(frame[ids]) if ids else None
        labels = frame[target] if target else None
        dropped = [name for name in (target, ids) if name]
        return DataTable(_drop(frame, dropped) if dropped else frame, labels, row_ids, path)


def read_rows(path: Path, target: str = "", ids: str = "") -> DataTable:
    """Read the rows of a single file, as ``DataFiles.read`` does."""
    return DataFiles((path,)).read(path, target, ids)


def _as_text(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Options that read these columns of a CSV file as text, by library."""
    types = dict.fromkeys(names, str)
    return {"pandas": {"dtype": types}, "polars": {"schema_overrides": types}}


def _drop(frame: Any, names: Sequence[str]) -> Any:
    polars = type(frame).__module__.startswith("polars")
    return frame.drop(list(names)) if polars else frame.drop(columns=list(names))


def _no_column(path: Path, missing: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(missing, names, n=3)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it has {', '.join(names)[:200]}."
    return f"{path} has no column {missing!r}; {hint}"


def _library() -> tuple[str, Any]:
    try:
        return "pandas", need("pandas", extra="demo")
    except MissingExtra:
        try:
            return "polars", need("polars", extra="demo")
        except MissingExtra as error:
            raise MissingExtra("reading tables needs pandas or polars: pip install pandas pyarrow") from error


def _frame(path: Path, kind: str, more: Mapping[str, dict[str, Any]] | None = None) -> Any:
    """Read a table; ``more`` has further options of the reader, by library."""
    name, library = _library()
    reader = getattr(library, READERS[name][kind])
    read_errors = (
        (ValueError, KeyError, OSError, EOFError) if name == "pandas" else (library.exceptions.PolarsError, OSError)
    )
    try:
        frame = reader(path, **OPTIONS.get((name, kind), {}), **(more or {}).get(name, {}))
    except ImportError as error:
        raise MissingExtra(f"{name} needs pyarrow to read {path}: pip install pyarrow") from error
    except read_errors as error:
        text = " ".join(str(error).split())[:200]
        raise Unreadable(f"{path} could not be read as {kind}: {text}. Save it again, or as .csv.") from error
    if not len(frame):
        raise InputError(f"{path} has no rows.")
    return frame


def _arrays(path: Path, target: str, ids: str) -> DataTable:
    import numpy as np

    if path.suffix.lower() == ".npz" and zipfile.is_zipfile(path):
        with open_archive(path):
            pass
    try:
        loaded = np.load(path, allow_pickle=False)
        arrays = {name: loaded[name] for name in loaded.files} if path.suffix.lower() == ".npz" else {"rows": loaded}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise Unreadable(
            f"{path} could not be read as numbers: {' '.join(str(error).split())[:120]}. Objects in numpy files are "
            f"pickles and are not read; save plain arrays."
        ) from error
    for name in filter(None, (target, ids)):
        if name not in arrays:
            raise InputError(_no_column(path, name, list(arrays)).replace("column", "array", 1))
    labels = arrays.pop(target) if target else None
    row_ids = arrays.pop(ids).tolist() if ids else None
    if len(arrays) != 1:
        raise InputError(f"{path} holds {len(arrays)} arrays other than labels and ids: {', '.join(arrays)}. Give one.")
    return DataTable(next(iter(arrays.values())), labels, row_ids, path)
