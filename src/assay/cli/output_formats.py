# SPDX-License-Identifier: Apache-2.0
"""A run as text of some format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from assay.basics.errors import InputError, Unreadable

if TYPE_CHECKING:
    from assay.auditing.run import Run

FORMATS = {
    "text": "findings on the terminal",
    "json": "everything other programs need, in the layout of: assay schema result",
    "html": "the page: one file, nothing outside it needed",
    "md": "Markdown, for a comment on a change",
    "junit": "JUnit XML, one case a check, for continuous integration",
    "card": "a model card for the Hugging Face hub",
}
"""What a run can be written as."""

Format = Literal["json", "html", "md", "junit", "card"]


def text_of(run: Run, format: Format) -> str:
    """The run in this format, ending in a line's end."""
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
        from assay.report.formats.model_card import card

        text = card(run.record)
    return text if text.endswith("\n") else f"{text}\n"


def run_from(place: Path) -> Run:
    """The run in a folder or file; one that is damaged or of another schema raises ``Unreadable``."""
    from assay.auditing.run import NAME, Run

    file = place / NAME if place.is_dir() else place
    if not file.is_file():
        raise InputError(f"there is no audit in {place}; {file} does not exist. Make one with: assay audit")
    try:
        return Run.load(place)
    except InputError as error:
        raise Unreadable(str(error)) from error
