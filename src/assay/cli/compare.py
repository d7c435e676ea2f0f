# SPDX-License-Identifier: Apache-2.0
"""``assay compare``."""

from __future__ import annotations

import sys
from json import dumps
from pathlib import Path
from typing import Literal


def compare(before: Path, after: Path, /, *, level: float = 0.95, format: Literal["text", "json"] = "text") -> int:
    """Compare two audits: which checks changed, and whether explanations of the same rows drifted.

    The exit code is 1 where a check is newly failing, shown to be worse, or gone.

    Parameters
    ----------
    before
        Folder of an audit, or its file run.assay.
    after
        The other one.
    level
        Confidence that holds for all intervals of change together.
    format
        text or json.
    """
    from assay.auditing.compare import compare as compared
    from assay.cli.printing import printable, terminal
    from assay.cli.writing import run_from
    from assay.nouns.store import to_jsonable

    found = compared(run_from(before), run_from(after), level=level)
    if format == "json":
        sys.stdout.write(dumps(_plain(to_jsonable(found)), indent=1, allow_nan=False) + "\n")
    else:
        console = terminal()
        for line in [*repr(found).splitlines(), *(f"note: {note}" for note in found.notes)]:
            console.print(printable(line), soft_wrap=True)
    return 1 if found.worse else 0


def _plain(told: object) -> object:
    """The same without what only redraws an interval (a finding's basis)."""
    if isinstance(told, dict):
        return {name: _plain(value) for name, value in told.items() if name != "basis"}
    return [_plain(value) for value in told] if isinstance(told, list) else told
