# SPDX-License-Identifier: Apache-2.0
"""Output formats of a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from assay.basics.errors import InputError, Unreadable
from assay.cli.terminal.printable import printable_markup

if TYPE_CHECKING:
    from assay.auditing.run import Run

FORMATS = {
    "text": "findings on the terminal",
    "json": "all results for other programs; its schema: assay schema result",
    "html": "the report as one self-contained HTML page",
    "md": "Markdown, for example for a comment on a pull request",
    "junit": "JUnit XML with one test case per check, for continuous integration",
    "card": "a model card for the Hugging Face hub",
}
"""Each output format and its use."""

Format = Literal["json", "html", "md", "junit", "card"]


def format_run(run: Run, format: Format) -> str:
    """Format the run; the text ends with a newline."""
    if format == "json":
        text = run.to_json()
    elif format == "html":
        from assay.report.audit.page import render

        text = render(run.record)
    elif format == "md":
        from assay.report.formats.markdown import markdown

        text = markdown(run.record)
    elif format == "junit":
        from assay.report.formats.junit import junit

        text = junit(run.record)
    else:
        from assay.report.formats.model_card import model_card

        text = model_card(run.record)
    return text if text.endswith("\n") else f"{text}\n"


def print_format(text: str, format: str) -> None:
    """Print a text in a format as it is; on a terminal, markup with references for what could steer the terminal."""
    is_shown = format in ("html", "junit") and sys.stdout.isatty()
    sys.stdout.write(printable_markup(text) if is_shown else text)


def load_run(path: Path) -> Run:
    """Load the run in a folder or file; a damaged file or another schema version raises ``Unreadable``."""
    from assay.auditing.run import NAME, Run

    file = path / NAME if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"there is no audit in {path}; {file} does not exist. Make one with: assay audit")
    try:
        return Run.load(path)
    except InputError as error:
        raise Unreadable(str(error)) from error
