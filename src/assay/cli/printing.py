# SPDX-License-Identifier: Apache-2.0
"""Findings, plans and results on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from assay.auditing.audit import Prepared
    from assay.auditing.gate import Gate
    from assay.auditing.plan import Plan
    from assay.auditing.run import Run
    from assay.nouns.records.record import NotRun
    from assay.nouns.results.result import Explanation, Finding

STYLE = {"fail": "bold red", "undecided": "yellow", "pass": "blue", "error": "bold red"}
SHOWN, ROWS, PARTS, TOLD = 20, 5, 8, 40
"""How many findings, rows and parts fit on a screen."""


def terminal() -> Console:
    """Standard output, without anything read into the text."""
    return Console(highlight=False, markup=False, emoji=False)


def line_of(finding: Finding) -> Text:
    """A finding as one line: verdict, code, claim, interval and what it needs."""
    from assay.report.drawing.formatting import counted

    line = Text(f"{finding.verdict.upper():<11} ", style=STYLE.get(finding.verdict, ""))
    line.append(f"{finding.code}  {printable(finding.claim)}", style="")
    interval = finding.interval
    if interval is not None and finding.threshold is not None and finding.verdict in ("fail", "undecided"):
        line.append(f"  [{interval.low:.3g}, {interval.high:.3g}], needs {finding.direction} {finding.threshold:.3g}")
    if finding.verdict == "undecided" and finding.more:
        line.append(f"  → about {counted(finding.more, 'more row')} would decide it")
    return line


def printable(text: str) -> str:
    """Text on one line, without characters that steer a terminal: names of columns and classes are anybody's."""
    return "".join(c if c.isprintable() else " " for c in text)


def findings_shown(findings: Sequence[Finding]) -> None:
    """One line a finding."""
    console = terminal()
    for finding in findings:
        console.print(line_of(finding), soft_wrap=True)


def conclusion(run: Run, judged: Gate, place: Path | None) -> None:
    """Worst findings first, then the counts, what the gate made of them, and where the page lies."""
    console = terminal()
    shown = [f for f in run.findings if f.verdict in ("fail", "undecided", "error") or f.code.startswith("TRU")]
    findings_shown(shown[:SHOWN])
    if len(shown) > SHOWN:
        console.print(f"… {len(shown) - SHOWN} more in the page")
    told = " · ".join(f"{count} {verdict}" for verdict, count in judged.counts.items())
    console.print(f"{told} · {len(run.record.not_run)} not run")
    for note in judged.notes:
        console.print(printable(note), soft_wrap=True)
    if place is not None:
        console.print(f"page: {place / 'report.html'}", soft_wrap=True)
        worst = next((f.code for f in run.findings if f.verdict in ("fail", "error", "undecided")), "")
        if worst:
            console.print(f"next: assay show {worst} --run {place}", soft_wrap=True)


IN_THE_SHELL = {
    "train=(rows, labels)": "--train FILE",
    "y=labels": "--target COLUMN",
    "sensitive=('sex',)": "--sensitive COLUMN",
    "favourable='…'": "--favourable CLASS",
    "profile='deep'": "--profile deep",
}
"""What a plan says to give in Python, as the command line takes it."""


def left_out(item: NotRun) -> str:
    """Something that will not run, why, and the option that enables it."""
    enable = item.enable
    for python, shell in IN_THE_SHELL.items():
        enable = enable.replace(python, shell)
    return printable(f"{item.what} will not run: {item.why} (enable with {enable})")


def opening(laid: Prepared) -> None:
    """What is audited, and which tests for faults cannot be made and why; on standard error."""
    from importlib.metadata import version

    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    subject, rows = laid.subject, laid.subject.held_out.rows
    shape = " × ".join(map(str, (f"{len(rows):,} rows", *rows.shape)))
    named = f"assay {version('assay')} · {subject.model.name} ({subject.model.fingerprint[:8]}) · {shape}"
    console.print(printable(f"{named} · profile {laid.profile} · seed {subject.seed.root}"), soft_wrap=True)
    for item in laid.plan.skipped:
        if item.what.startswith("diagnose."):
            console.print(f"! {left_out(item)}", soft_wrap=True)


def plan_of(laid: Plan) -> None:
    """Every step with what it asks of the model, what is left out, and the sum."""
    from rich.table import Table

    from assay.auditing.audit import told

    console = terminal()
    table = Table(box=None, pad_edge=False)
    table.add_column("step", overflow="fold")
    for heading in ("forwards", "backwards"):
        table.add_column(heading, justify="right")
    table.add_row("the model's own answers", f"{laid.clean.forwards:,}", f"{laid.clean.backwards:,}")
    for step in laid.steps:
        limit = "" if step.exact else "≤ "
        table.add_row(step.key, f"{limit}{step.cost.forwards:,}", f"{limit}{step.cost.backwards:,}")
    console.print(table)
    for item in laid.skipped:
        console.print(left_out(item), soft_wrap=True)
    console.print(f"plan: {told(laid)}", soft_wrap=True)


def result_shown(result: Any, format: Literal["text", "json"], save: Path | None = None) -> None:
    """A result as text that fits on a screen, or as JSON; kept in a file where one is named."""
    if save is not None:
        result.save(save)
    from assay.nouns.records.store import to_jsonable
    from assay.nouns.results.result import Explanation

    if format == "json":
        sys.stdout.write(dumps(to_jsonable(result), indent=1, allow_nan=False) + "\n")
        return
    terminal().print(repr(result), soft_wrap=True)
    if isinstance(result, Explanation):
        _rows_shown(result)
        for line in result.told[:TOLD]:
            terminal().print(printable(line), soft_wrap=True)
        if len(result.told) > TOLD:
            terminal().print(f"… {len(result.told) - TOLD} more lines: --format json, or --save FILE.assay")


def _rows_shown(explanation: Explanation) -> None:
    """The parts with the largest values of the first rows."""
    import numpy as np

    console = terminal()
    for row in range(min(ROWS, len(explanation.ids))):
        values, error = explanation.values[row], explanation.stderr
        label = f" · {explanation.labels[row]}" if explanation.labels else ""
        console.print(printable(f"row {explanation.ids[row]}{label}: {explanation.output[row]:.4g}"), soft_wrap=True)
        for part in np.argsort(-np.abs(values), kind="stable")[:PARTS]:
            name = explanation.features.names[part]
            shown = f" = {explanation.shown[row][part]}" if explanation.shown else ""
            spread = "" if error is None else f" ± {error[row, part]:.2g}"
            console.print(printable(f"  {values[part]:+.4g}{spread}  {name}{shown}"), soft_wrap=True)
    if len(explanation.ids) > ROWS:
        console.print(f"… {len(explanation.ids) - ROWS} more rows: --format json, or --save FILE.assay")
