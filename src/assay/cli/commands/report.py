# SPDX-License-Identifier: Apache-2.0
"""The command ``assay report``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal


def report(
    run: Path, /, *, format: Literal["html", "json", "md", "junit", "card"] = "html", out: Path | None = None
) -> int:
    """Write a finished audit in another format.

    Parameters
    ----------
    run
        Folder of an audit, or its file run.assay.
    format
        html, json, md (Markdown), junit, or card (a model card).
    out
        File to write; without it the text is printed.
    """
    from assay.cli.output_formats import format_run, load_run, print_format

    text = format_run(load_run(run), format)
    if out is None:
        print_format(text, format)
        return 0
    from assay.auditing.run import write_atomically

    sys.stdout.write(f"{format}: {write_atomically(out, text)}\n")
    return 0
