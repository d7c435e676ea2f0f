# SPDX-License-Identifier: Apache-2.0
"""Which columns of CSV files are text though all their cells are digits: codes such as 07, and long identifiers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from assay.cli.terminal.printable import printable

if TYPE_CHECKING:
    from assay.model.model import Model

MAX_DIGITS = 15
"""Most digits of a number; float64 rounds longer ones."""

CODE = rf"^\s*(?:[+-]?0\d+(?:\.\d*)?|[+-]?\d{{{MAX_DIGITS + 1},}})\s*$"
"""A cell that a number cannot represent: with a leading zero, or with more digits than float64 holds."""


def find_text_columns(frames: Sequence[tuple[Any, Any]], model: Model | None = None) -> dict[str, str]:
    """The columns to read as text that some file would give as numbers, with the reason; one answer for all files.

    ``frames`` holds each file twice: as the library reads it, and with all cells as text. A column is text if the model
    was trained on text there, and a number if it was trained on numbers; else it is text where any cell of any file is
    a code, or where another file holds text.
    """
    known: Mapping[str, str] = {} if model is None else model.column_types
    elsewhere = {name for typed, _ in frames for name in text_columns(typed)}
    found: dict[str, str] = {}
    for typed, cells in frames:
        for name in numeric_columns(typed):
            if known.get(name) == "text":
                found[name] = "the model was trained on text"
            elif name not in known and name not in found and _has_codes(cells, name):
                found[name] = f"leading zeros or more than {MAX_DIGITS} digits"
            elif name not in known and name in elsewhere:
                found.setdefault(name, "text in another file")
    return found


def numeric_columns(frame: Any) -> list[str]:
    """The columns of a frame that were read as numbers."""
    return _columns(frame, lambda column: column.dtype.is_numeric())


def text_columns(frame: Any) -> list[str]:
    """The columns of a frame that hold text."""
    return _columns(frame, _holds_text)


def _columns(frame: Any, condition: Callable[[Any], bool]) -> list[str]:
    import narwhals as nw

    wrapped = nw.from_native(frame, eager_only=True)
    return [name for name in wrapped.columns if condition(wrapped[name])]


def _holds_text(column: Any) -> bool:
    """Whether a column is text and not merely empty."""
    import narwhals as nw

    return column.dtype == nw.String and not column.is_null().all()


def _has_codes(cells: Any, name: str) -> bool:
    """Whether any cell of a column of text is a code."""
    import narwhals as nw

    column = nw.from_native(cells, eager_only=True)[name]
    return bool(column.cast(nw.String).str.contains(CODE).fill_null(False).any())


def report_text_columns(found: Mapping[str, str]) -> None:
    """Say on standard error which columns were read as text, and why."""
    for reason in dict.fromkeys(found.values()):
        names = [name for name, why in found.items() if why == reason]
        listed = ", ".join(names[:8]) + (f" … ({len(names)} in total)" if len(names) > 8 else "")
        sys.stderr.write(f"note: read as text: {printable(listed)} ({reason})\n")
