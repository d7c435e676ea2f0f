# SPDX-License-Identifier: Apache-2.0
"""The command ``assay inspect``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from json import dumps
from typing import Any, Literal


def inspect(model: str, /, *, format: Literal["text", "json"] = "text") -> int:
    """Describe the contents of a model file. Nothing in it is loaded or run.

    Parameters
    ----------
    model
        A model file.
    format
        text or json.
    """
    from assay.cli.printing import printable, terminal
    from assay.model.files.inspect import inspect_model

    contents = inspect_model(model)
    if format == "json":
        sys.stdout.write(dumps(contents, indent=1) + "\n")
        return 0
    console = terminal()
    for line in _lines(contents):
        console.print(printable(line), soft_wrap=True)
    return 0


def _lines(contents: dict[str, Any], most: int = 12) -> Iterator[str]:
    """One line per entry; long entries are shortened to ``most`` items."""
    for name, value in contents.items():
        label = f"{name.replace('_', ' ')}:"
        if isinstance(value, dict):
            yield f"{label} {len(value)}"
            yield from (f"  {key}: {_short(item)}" for key, item in list(value.items())[:most])
            yield from ([f"  … {len(value) - most} more: --format json"] if len(value) > most else [])
        else:
            yield f"{label} {_short(value)}"


def _short(value: Any, most: int = 12) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        more = f" … {len(value) - most} more" if len(value) > most else ""
        return ", ".join(map(str, value[:most])) + more or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return str(value)
