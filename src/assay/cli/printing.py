# SPDX-License-Identifier: Apache-2.0
"""Findings on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from assay.auditing.run import Run

STYLE = {"fail": "bold red", "undecided": "yellow", "pass": "blue", "error": "bold red"}


def conclusion(run: Run, place: Path | None) -> None:
    """Worst findings first, then the counts and where the page lies."""
    console = Console(highlight=False)
    shown = [f for f in run.findings if f.verdict in ("fail", "undecided", "error") or f.code.startswith("TRU")]
    for finding in shown[:20]:
        line = Text(f"{finding.verdict.upper():<10}", style=STYLE.get(finding.verdict, ""))
        line.append(f"{finding.code}  {finding.claim}", style="")
        console.print(line, soft_wrap=True)
    if len(shown) > 20:
        console.print(f"… {len(shown) - 20} more in the page", markup=False)
    counts: dict[str, int] = {}
    for finding in run.findings:
        counts[finding.verdict] = counts.get(finding.verdict, 0) + 1
    told = " · ".join(f"{count} {verdict}" for verdict, count in counts.items())
    console.print(f"{told} · {len(run.record.not_run)} not run", markup=False)
    if place is not None:
        console.print(f"page: {place / 'report.html'}", markup=False, soft_wrap=True)
