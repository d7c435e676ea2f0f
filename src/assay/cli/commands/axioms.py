# SPDX-License-Identifier: Apache-2.0
"""The command ``assay axioms``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from assay.axioms.table import AxiomCell, AxiomTable

SHORT = {
    "completeness": "adds up",
    "sensitivity": "sensitive",
    "dummy": "dummy",
    "symmetry": "symmetry",
    "monotonicity": "monotone",
    "demand_monotonicity": "demand",
    "linearity": "linear",
    "linear_agreement": "agrees",
    "distributional_marginality": "marginal",
    "implementation_invariance": "rewritten",
    "constant_shift_invariance": "shift",
    "structured_shift_invariance": "pattern",
    "batch_independence": "batch",
}
"""Column headings that fit on a terminal."""

SHORT_PROPERTIES = {"distribution": "over", "marginality": "marginal", "sensitivity": "sensitive"}
"""Column headings of the framework that fit on a terminal, where they differ."""

METHOD_WIDTH, CELL_WIDTH = 27, 11
"""Width in characters of a method's name and of a cell; axioms that do not fit on the terminal follow below."""


def axioms(
    *,
    method: Sequence[str] = (),
    why: tuple[str, str] | None = None,
    framework: bool = False,
    measure: bool = False,
    json: bool = False,
    out: Path | None = None,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"])] = False,
) -> int:
    """Show which axioms each explanation method keeps: ✓ kept, ✗ size violated, ? undecided, – not applicable.

    The table ships with the package; --measure measures it again on this machine, in about a minute. The size of a
    violation is relative: 1 is as large as the values themselves.

    Parameters
    ----------
    method
        Show only these methods; may be given more than once.
    why
        A method and an axiom: show the definition, the measured violation and the counterexample.
    framework
        Show instead which properties of the explanation framework each method has (quantity, distribution, internal,
        marginality, sensitivity), and those published for eight methods, with the reason for each difference.
    measure
        Measure the table instead of reading the one that ships with the package.
    json
        Write JSON instead of a table.
    out
        Write the JSON to this file.
    quiet
        Print no progress.
    """
    from assay.axioms.table import load_table

    if framework:
        return _show_framework(method, as_json=json, out=out)
    if measure:
        table = _measure(method or ([why[0]] if why is not None else []), quiet)
    else:
        table = load_table().select(method) if method else load_table()
    if out is not None:
        out.write_text(table.to_json(), encoding="utf-8")
    if json:
        sys.stdout.write(table.to_json())
    elif why is not None:
        _print_cell(table, *why)
    elif out is None:
        _print_table(table)
    return 0


def _show_framework(methods: Sequence[str], *, as_json: bool, out: Path | None) -> int:
    """The properties of the framework, found and published, and the reasons for differences."""
    from assay.axioms.framework import COLUMNS, FOUND_SYMBOLS, PUBLISHED_SYMBOLS, framework_data

    data = framework_data(methods)
    if out is not None or as_json:
        text = dumps(data, indent=1, ensure_ascii=False) + "\n"
        if out is not None:
            out.write_text(text, encoding="utf-8")
        if as_json:
            sys.stdout.write(text)
        return 0
    from rich import box
    from rich.table import Table

    from assay.cli.printing import terminal

    console, block = terminal(), Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    block.add_column("method", no_wrap=True, min_width=METHOD_WIDTH - 1)
    for name in COLUMNS:
        block.add_column(SHORT_PROPERTIES.get(name, name), no_wrap=True, min_width=8)
    for method, line in data.items():
        block.add_row(method, *line["found"].values())
        if "published" in line:
            block.add_row("  published", *line["published"].values())
    console.print(block)
    for heading, marks in (("found", FOUND_SYMBOLS), ("published", PUBLISHED_SYMBOLS)):
        console.print(f"{heading}: " + "; ".join(f"{mark} {text}" for mark, text in marks.items()), soft_wrap=True)
    for method, line in data.items():
        for column, reason in line.get("reasons", {}).items():
            console.print(f"{method}, {column}: {reason}", soft_wrap=True)
    return 0


def _measure(names: Sequence[str], quiet: bool) -> AxiomTable:
    """Measure the methods named, or all, one after another."""
    from assay.axioms.table import AxiomTable, measure_table
    from assay.cli.catalogue import methods
    from assay.cli.terminal.progress import ProgressLine

    every = list(names) or [one.name for one in methods() if one.verb == "explain"]
    cells: list[AxiomCell] = []
    with ProgressLine(unit="methods", quiet=quiet) as progress:
        progress.planned, progress.done = len(every), lambda: len(cells) // len(SHORT)
        for name in every:
            progress.label = name
            cells += measure_table([name]).cells
    return AxiomTable(tuple(cells))


def _print_table(table: AxiomTable) -> None:
    from rich import box
    from rich.table import Table

    from assay.axioms.table import AXIOMS
    from assay.cli.printing import terminal

    console, names = terminal(), list(AXIOMS)
    columns = max(1, (console.width - METHOD_WIDTH) // CELL_WIDTH)
    for first in range(0, len(names), columns):
        block = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        block.add_column("method", no_wrap=True, min_width=METHOD_WIDTH - 1)
        for name in names[first : first + columns]:
            block.add_column(SHORT[name], no_wrap=True, min_width=CELL_WIDTH - 1)
        for method in table.methods:
            block.add_row(method, *(table.cell(method, name).symbol for name in names[first : first + columns]))
        console.print(block)
    console.print("columns: " + ", ".join(f"{SHORT[name]} = {name}" for name in AXIOMS), soft_wrap=True)
    console.print("details of a cell: assay axioms --why METHOD AXIOM", soft_wrap=True)


def _print_cell(table: AxiomTable, method: str, axiom: str) -> None:
    from assay.axioms.table import axiom_docstring
    from assay.cli.printing import printable, terminal

    cell, console = table.cell(method, axiom), terminal()
    console.print(axiom_docstring(axiom), soft_wrap=True)
    size = "" if cell.size is None else f", size {cell.size:.3g}"
    tolerance = f", four standard errors {cell.tolerance:.3g}" if cell.tolerance else ""
    console.print(f"\n{method}: {cell.verdict}{size}{tolerance}", soft_wrap=True)
    console.print(printable(cell.counterexample), soft_wrap=True)
    console.print(f"subjects tested: {cell.subjects_tested}, answered: {cell.subjects_answered}", soft_wrap=True)
