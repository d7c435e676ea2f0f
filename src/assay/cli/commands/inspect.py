# SPDX-License-Identifier: Apache-2.0
"""``assay inspect``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from json import dumps
from typing import Any, Literal


def inspect(model: str, /, *, format: Literal["text", "json"] = "text") -> int:
    """Tell what a model file holds. Nothing in it is loaded or run.

    Parameters
    ----------
    model
        A model file.
    format
        text or json.
    """
    from assay.cli.printing import printable, terminal
    from assay.model.files.inspect import inspected

    found = inspected(model)
    if format == "json":
        sys.stdout.write(dumps(found, indent=1) + "\n")
        return 0
    console = terminal()
    for line in _lines(found):
        console.print(printable(line), soft_wrap=True)
    return 0


def _lines(found: dict[str, Any], most: int = 12) -> Iterator[str]:
    """Short things on one line each, long ones shortened."""
    for name, value in found.items():
        label = f"{name.replace('_', ' ')}:"
        if isinstance(value, dict):
            yield f"{label} {len(value)}"
            yield from (f"  {key}: {_short(held)}" for key, held in list(value.items())[:most])
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
        return ", ".join(f"{key} {held}" for key, held in value.items())
    return str(value)
