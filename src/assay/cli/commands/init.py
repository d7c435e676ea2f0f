# SPDX-License-Identifier: Apache-2.0
"""``assay init``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.basics.errors import InputError

if TYPE_CHECKING:
    from assay.cli.read_rows import Table

LIKELY = re.compile(
    r"(^|[_\W])(sex|gender|age|race|ethnic\w*|nation\w*|citizen\w*|religion|disab\w*|marital\w*|pregnan\w*|orientation)"
    r"($|[_\W])",
    re.IGNORECASE,
)
"""Names of columns that may be sensitive; they are only ever suggested."""

FEW = 20
"""Numbers with at most so many different values are taken for classes."""


REST = (
    "[audit]",
    'profile = "standard"  # quick, standard or deep',
    "seed = 0",
    "level = 0.95  # confidence that holds for all verdicts together",
    'fail_on = "fail"  # fail, undecided or never',
    '# require = ["EXP", "PRV101"]  # checks that must have been made',
    '# ignore = ["DAT104"]',
    'store = ".assay/store"  # finished steps, so that a stopped audit goes on',
    'out = "audit"',
    "",
    "# A failing check that somebody answers for until a day (included); afterwards it fails again.",
    "# [[accept]]",
    '# code = "SHC201"',
    '# owner = "name@example.org"',
    '# reason = "why it is accepted"',
    "# until = 2027-01-31",
)
"""The lines that do not depend on the data."""


def init(data: Path, /, *, target: str = "", train: str = "", model: str = "", out: Path = Path("assay.toml")) -> int:
    """Write a commented assay.toml for this data. A file that is there already stays as it is.

    Parameters
    ----------
    data
        File of rows the model was not trained on.
    target
        Column that holds the true labels.
    train
        File of rows the model was trained on, if it is at hand.
    model
        The model file, or FILE.py:FUNCTION.
    out
        The file to write.
    """
    from assay.cli.read_rows import rows_from

    if out.exists():
        raise InputError(
            f"{out} is there already and stays as it is. Remove it first, or give another name with --out."
        )
    table = rows_from(data, target)
    text = suggested(table, data, target, train, model)
    with out.open("x", encoding="utf-8") as file:
        file.write(text)
    sys.stdout.write(f"wrote {out}; look through it, then: assay audit\n")
    return 0


def suggested(table: Table, data: Path, target: str, train: str, model: str) -> str:
    """The text of the file; what is only guessed stands in comments."""
    columns = table.columns
    likely = [name for name in columns if LIKELY.search(name)]
    names = [name for name in columns if _names_rows(table, name)]
    kind, classes = _kind(table)
    lines = [
        "# What `assay audit` is asked for. Every key may also be given on the command line.",
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
        f"test = {_text(str(data))}  # rows the model was not trained on",
        f"train = {_text(train)}" if train else '# train = "train.csv"  # enables tests for leaks and shortcuts',
        f"target = {_text(target)}{f'  # {kind}' if kind else ''}" if target else '# target = "label"  # the labels',
        f"# ids = {_text(names[0])}  # differs in every row" if names else '# ids = "row"  # a column that names rows',
        f"# sensitive = {_list(likely or ['sex'])}  # columns whose groups are compared: yours to say",
        f"# favourable = {_text(classes[-1] if classes else 'yes')}  # the class that is good to get",
        '# suspects = ["branch_code"]  # columns that should not sway a decision',
        "",
        *REST,
    ]
    return "\n".join(lines) + "\n"


def _kind(table: Table) -> tuple[str, list[str]]:
    """What the labels look like, and the classes if they look like such."""
    if table.labels is None:
        return "", []
    values = list(table.labels)
    levels = sorted({value for value in values if value == value}, key=lambda value: (str(type(value)), value))
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in levels)
    if numbers and (len(levels) > FEW or any(float(value) % 1 for value in levels)):
        return f"numbers from {levels[0]:g} to {levels[-1]:g}: looks like a regression", []
    shown = ", ".join(_plain(str(level)) for level in levels[:6])
    return f"{len(levels)} classes: {shown}", [str(level) for level in levels[:FEW]]


def _names_rows(table: Table, name: str) -> bool:
    """Whether a column of text or whole numbers has another value in every row."""
    values = table.column(name)
    return len(values) > FEW and len(set(map(str, values))) == len(values) and all(map(_whole, values))


def _whole(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))


def _plain(text: str) -> str:
    """A name from the data, fit for a comment: one line, nothing that steers."""
    return "".join(c if c.isprintable() else "?" for c in str(text))[:60]


def _comment(text: str, width: int = 110) -> list[str]:
    import textwrap

    return [f"# {line}" for line in textwrap.wrap(text, width)]


def _text(text: str) -> str:
    """A text as TOML writes it: JSON's escapes are TOML's, but for DEL and characters beyond 16 bits."""
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, texts))}]"
