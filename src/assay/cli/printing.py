# SPDX-License-Identifier: Apache-2.0
"""Printing of findings, plans and results on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.text import Text

from assay.cli.terminal.printable import printable as printable
from assay.cli.terminal.printable import printable_lines

if TYPE_CHECKING:
    from assay.auditing.audit import PreparedAudit
    from assay.auditing.gate import Gate
    from assay.auditing.planning.plan import Plan
    from assay.auditing.run import Run
    from assay.nouns.catalogue import Check
    from assay.nouns.records.record import NotRun
    from assay.nouns.results.finding import Finding
    from assay.nouns.results.result import Explanation

STYLE = {"fail": "bold red", "undecided": "yellow", "pass": "blue", "error": "bold red"}
MAX_FINDINGS, MAX_ROWS, MAX_FEATURES, MAX_LINES = 20, 5, 8, 40
"""Most findings, rows, features of a row, and lines of a description that are printed."""


class PrintableConsole(Console):
    """A console that prints strings literally, with control characters escaped."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; strings become printable, line by line."""
        super().print(*(printable_lines(one) if isinstance(one, str) else one for one in objects), **options)


def terminal(stderr: bool = False) -> Console:
    """A console on standard output (or error) that prints text literally, without markup or highlighting."""
    return PrintableConsole(stderr=stderr, highlight=False, markup=False, emoji=False)


def print_listing(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows: a table with headings on a terminal; elsewhere one line a row, without headings, tabs between cells.

    ``columns`` maps keys of the rows to headings.
    """
    cells = [[printable(_cell(row[name])) for name in columns] for row in rows]
    if not sys.stdout.isatty():
        sys.stdout.writelines("\t".join(line) + "\n" for line in cells)
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in columns.values():
        table.add_column(heading, overflow="fold")
    for line in cells:
        table.add_row(*map(Text, line))
    terminal().print(table)


def _cell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def format_finding(finding: Finding) -> Text:
    """Format a finding as one line: verdict, code, claim, interval and threshold."""
    from assay.report.drawing.formatting import describe_rows_needed

    line = Text(f"{finding.verdict.upper():<11} ", style=STYLE.get(finding.verdict, ""))
    line.append(f"{finding.code}  {printable(finding.claim)}", style="")
    interval = finding.interval
    if interval is not None and finding.threshold is not None and finding.verdict in ("fail", "undecided"):
        line.append(f"  [{interval.low:.3g}, {interval.high:.3g}], needs {finding.direction} {finding.threshold:.3g}")
    needed = describe_rows_needed(finding)
    if needed:
        line.append(f"  → {needed}")
    return line


def describe_repairs(check: Check) -> list[str]:
    """A line for each repair that answers a check: the command, and its side effects."""
    from assay.auditing.check_catalogue import suggested_repairs

    return [
        f"repair: assay repair MODEL {one.method}{f' ({one.side_effects})' if one.side_effects else ''}"
        for one in suggested_repairs(check.code)
    ]


def print_findings(findings: Sequence[Finding]) -> None:
    """Print one line per finding."""
    console = terminal()
    for finding in findings:
        console.print(format_finding(finding), soft_wrap=True)


def print_summary(run: Run, judged: Gate, folder: Path | None) -> None:
    """Print the worst findings, the counts of verdicts, the notes of the gate, and the path of the report."""
    console = terminal()
    findings = [f for f in run.findings if f.verdict in ("fail", "undecided", "error") or f.code.startswith("TRU")]
    print_findings(findings[:MAX_FINDINGS])
    if len(findings) > MAX_FINDINGS:
        console.print(f"… {len(findings) - MAX_FINDINGS} more in the report")
    counts = " · ".join(f"{count} {verdict}" for verdict, count in judged.counts.items())
    console.print(f"{counts} · {len(run.record.not_run)} not run")
    for note in judged.notes:
        console.print(printable(note), soft_wrap=True)
    if folder is not None:
        console.print(f"page: {folder / 'report.html'}", soft_wrap=True)
        worst = next((f.code for f in run.findings if f.verdict in ("fail", "error", "undecided")), "")
        if worst:
            console.print(f"next: assay show {worst} --run {folder}", soft_wrap=True)


COMMAND_LINE_OPTIONS = {
    "train=(rows, labels)": "--train FILE",
    "y=labels": "--target COLUMN",
    "sensitive=('column',)": "--sensitive COLUMN",
    "favourable='…'": "--favourable CLASS",
    "profile='deep'": "--profile deep",
}
"""The command-line option for each Python argument that a plan names."""


def describe_not_run(item: NotRun) -> str:
    """Describe a step that will not run: the reason, and the option that enables it."""
    enable = item.enable
    for python, shell in COMMAND_LINE_OPTIONS.items():
        enable = enable.replace(python, shell)
    return printable(f"{item.what} will not run: {item.why} (enable with {enable})")


def print_header(audit: PreparedAudit) -> None:
    """Print the audited model and rows, and the diagnoses that cannot run, on standard error."""
    from importlib.metadata import version

    console = terminal(stderr=True)
    inputs, rows = audit.inputs, audit.inputs.case.rows
    shape = " × ".join(map(str, (f"{len(rows):,} rows", *rows.shape)))
    title = f"assay {version('assay')} · {inputs.model.name} ({inputs.model.fingerprint[:8]}) · {shape}"
    console.print(printable(f"{title} · profile {audit.profile} · seed {inputs.seed.root}"), soft_wrap=True)
    for item in audit.plan.skipped:
        if item.what.startswith("diagnose."):
            console.print(f"! {describe_not_run(item)}", soft_wrap=True)


def print_plan(plan: Plan) -> None:
    """Print every step with its model evaluations, the steps that will not run, and the total."""
    from assay.auditing.planning.plan import describe_plan

    console = terminal()
    costs = [("predictions of the model", plan.clean, "")]
    costs += [(step.key, step.cost, "" if step.exact else "≤ ") for step in plan.steps]
    rows = [
        {"step": name, "forwards": f"{limit}{cost.forwards:,}", "backwards": f"{limit}{cost.backwards:,}"}
        for name, cost, limit in costs
    ]
    headings = {"step": "step", "forwards": "model evaluations", "backwards": "gradient evaluations"}
    print_listing(headings, rows)
    for item in plan.skipped:
        console.print(describe_not_run(item), soft_wrap=True)
    console.print(f"plan: {describe_plan(plan)}", soft_wrap=True)


def print_result(result: Any, format: Literal["text", "json"], save: Path | None = None) -> None:
    """Print a result as short text or as JSON, and save it if a file is given."""
    if save is not None:
        result.save(save)
    from assay.nouns.records.jsonable import to_jsonable
    from assay.nouns.results.result import Explanation

    if format == "json":
        sys.stdout.write(dumps(to_jsonable(result), indent=1, allow_nan=False) + "\n")
        return
    terminal().print(repr(result), soft_wrap=True)
    if isinstance(result, Explanation):
        _print_rows(result)
        for line in result.description[:MAX_LINES]:
            terminal().print(printable(line), soft_wrap=True)
        if len(result.description) > MAX_LINES:
            terminal().print(f"… {len(result.description) - MAX_LINES} more lines: --format json, or --save FILE.assay")


def _print_rows(explanation: Explanation) -> None:
    """Print the features with the largest absolute values, for the first rows."""
    import numpy as np

    console = terminal()
    for row in range(min(MAX_ROWS, len(explanation.ids))):
        values, error = explanation.values[row], explanation.stderr
        label = f" · {explanation.labels[row]}" if explanation.labels else ""
        console.print(printable(f"row {explanation.ids[row]}{label}: {explanation.output[row]:.4g}"), soft_wrap=True)
        for part in np.argsort(-np.abs(values), kind="stable")[:MAX_FEATURES]:
            name = explanation.features.names[part]
            feature_value = f" = {explanation.part_texts[row][part]}" if explanation.part_texts else ""
            error_text = "" if error is None else f" ± {error[row, part]:.2g}"
            console.print(printable(f"  {values[part]:+.4g}{error_text}  {name}{feature_value}"), soft_wrap=True)
    if len(explanation.ids) > MAX_ROWS:
        console.print(f"… {len(explanation.ids) - MAX_ROWS} more rows: --format json, or --save FILE.assay")
