# SPDX-License-Identifier: Apache-2.0
"""The command ``assay init``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.basics.errors import InputError
from assay.cli.terminal.printable import printable

if TYPE_CHECKING:
    from assay.cli.read_rows import DataTable

SENSITIVE_NAMES = re.compile(
    r"(^|[_\W])(sex|gender|age|race|ethnic\w*|nation\w*|citizen\w*|religion|disab\w*|marital\w*|pregnan\w*|orientation)"
    r"($|[_\W])",
    re.IGNORECASE,
)
"""Names of columns that may be sensitive; they are suggested in a comment only."""

MAX_CLASSES = 20
"""Most distinct values of a numeric label that are interpreted as classes."""


REST = (
    "[audit]",
    'profile = "standard"  # quick, standard or deep',
    "seed = 0",
    "level = 0.95  # simultaneous confidence level of all verdicts",
    'fail_on = "fail"  # fail, undecided or never',
    '# require = ["EXP", "PRV101"]  # checks that must have a result',
    '# ignore = ["DAT104"]',
    'store = ".assay/store"  # cache of finished steps, so that an interrupted audit can continue',
    'out = "audit"',
    "",
    "# A waiver: a failing check is accepted by its owner up to and including a date; afterwards it fails again.",
    "# [[accept]]",
    '# code = "SHC201"',
    '# owner = "name@example.org"',
    '# reason = "why it is accepted"',
    "# until = 2027-01-31",
)
"""The lines of the file that do not depend on the data."""


def init(data: Path, /, *, target: str = "", train: str = "", model: str = "", out: Path = Path("assay.toml")) -> int:
    """Write a commented assay.toml for this data. An existing file is not changed.

    Parameters
    ----------
    data
        File of rows that the model was not trained on.
    target
        Column that holds the true labels.
    train
        File of rows that the model was trained on, if available.
    model
        The model file, or FILE.py:FUNCTION.
    out
        The file to write.
    """
    from assay.cli.read_rows import DataFiles

    if out.exists():
        raise InputError(f"{out} exists already and is not changed. Remove it first, or give another name with --out.")
    table = DataFiles.of(None, data, train).read(data, target)
    text = suggest_config(table, data, target, train, model)
    with out.open("x", encoding="utf-8") as file:
        file.write(text)
    sys.stdout.write(f"wrote {out}; review it, then run: assay audit\n")
    return 0


def suggest_config(table: DataTable, data: Path, target: str, train: str, model: str) -> str:
    """Suggest the text of assay.toml; guesses are written as comments."""
    columns = table.columns
    sensitive = [name for name in columns if SENSITIVE_NAMES.search(name)]
    id_columns = [name for name in columns if _is_id_column(table, name)]
    kind, classes = _describe_labels(table)
    lines = [
        "# Settings of `assay audit`. Every key may also be given on the command line.",
        "# All keys and their meaning: assay schema config",
        f"# {_plain(data.name)}: {len(table.rows)} rows, {len(columns)} columns"
        + (f" and {_plain(target)}" if target else ""),
        *(_comment(f"columns: {', '.join(map(_plain, columns))}") if columns else []),
        "",
        "[model]",
        f"file = {_text(model or 'model.skops')}" + ("" if model else "  # a model file, or FILE.py:FUNCTION"),
        *([f"# classes = {_list(classes)}  # in the order of the model's outputs"] if classes else []),
        "",
        "[data]",
        f"test = {_text(str(data))}  # rows that the model was not trained on",
        f"train = {_text(train)}" if train else '# train = "train.csv"  # enables tests for leaks and shortcuts',
        f"target = {_text(target)}{f'  # {kind}' if kind else ''}" if target else '# target = "label"  # the labels',
        f"# ids = {_text(id_columns[0])}  # differs in every row"
        if id_columns
        else '# ids = "row"  # a column of row ids',
        f"# sensitive = {_list(sensitive or ['sex'])}  # columns whose groups are compared: your choice",
        f"# favourable = {_text(classes[-1] if classes else 'yes')}  # the favourable class, such as an approval",
        '# suspects = ["branch_code"]  # columns that should not influence a decision',
        "",
        *REST,
    ]
    return "\n".join(lines) + "\n"


def _describe_labels(table: DataTable) -> tuple[str, list[str]]:
    """A description of the labels, and the classes if the labels look like classes."""
    if table.labels is None:
        return "", []
    values = list(table.labels)
    levels = sorted({value for value in values if value == value}, key=lambda value: (str(type(value)), value))
    is_numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in levels)
    if is_numeric and (len(levels) > MAX_CLASSES or any(float(value) % 1 for value in levels)):
        return f"numbers from {levels[0]:g} to {levels[-1]:g}: looks like a regression", []
    examples = ", ".join(_plain(str(level)) for level in levels[:6])
    return f"{len(levels)} classes: {examples}", [str(level) for level in levels[:MAX_CLASSES]]


def _is_id_column(table: DataTable, name: str) -> bool:
    """Whether a column of text or integers has a different value in every row."""
    values = table.column(name)
    return (
        len(values) > MAX_CLASSES
        and len(set(map(str, values))) == len(values)
        and all(map(_is_text_or_integer, values))
    )


def _is_text_or_integer(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))


def _plain(text: str) -> str:
    """A name from the data for a comment: one line, without control characters, at most 60 characters."""
    return printable(str(text))[:60]


def _comment(text: str, width: int = 110) -> list[str]:
    import textwrap

    return [f"# {line}" for line in textwrap.wrap(text, width)]


def _text(text: str) -> str:
    """A string in TOML syntax: JSON syntax, except for DEL."""
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, texts))}]"
