# SPDX-License-Identifier: Apache-2.0
"""``assay axioms``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assay.axioms.table import Table

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
"""Headings that fit on a terminal."""

METHOD, CELL = 27, 11
"""Columns of a terminal that a method's name and a cell take; axioms that do not fit follow below."""


def axioms(
    *,
    method: Sequence[str] = (),
    why: tuple[str, str] | None = None,
    measure: bool = False,
    json: bool = False,
    out: Path | None = None,
) -> int:
    """Show which axioms each explanation method keeps: ✓ kept, ✗ size violated, ? undecided, – not applicable.

    The table ships with the package; --measure makes it anew on this machine, in about a minute. A size is relative:
    1 is as large as the values themselves.

    Parameters
    ----------
    method
        Show these methods alone; may be given more than once.
    why
        A method and an axiom: tell what was measured, and the subject it was measured on.
    measure
        Measure instead of reading the table that ships.
    json
        Write JSON instead of a table.
    out
        Write the JSON to this file.
    """
    from assay.axioms.table import measured, stored

    if measure:
        table = measured(method or ([why[0]] if why is not None else None))
    else:
        table = stored().only(method) if method else stored()
    if out is not None:
        out.write_text(table.to_json(), encoding="utf-8")
    if json:
        sys.stdout.write(table.to_json())
    elif why is not None:
        _told(table, *why)
    elif out is None:
        _shown(table)
    return 0


def _shown(table: Table) -> None:
    from rich import box
    from rich.table import Table as Drawn

    from assay.axioms.table import AXIOMS
    from assay.cli.printing import terminal

    console, names = terminal(), list(AXIOMS)
    fit = max(1, (console.width - METHOD) // CELL)
    for first in range(0, len(names), fit):
        drawn = Drawn(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        drawn.add_column("method", no_wrap=True, min_width=METHOD - 1)
        for name in names[first : first + fit]:
            drawn.add_column(SHORT[name], no_wrap=True, min_width=CELL - 1)
        for method in table.methods:
            drawn.add_row(method, *(table.cell(method, name).sign for name in names[first : first + fit]))
        console.print(drawn)
    console.print("columns: " + ", ".join(f"{SHORT[name]} = {name}" for name in AXIOMS), soft_wrap=True)
    console.print("a cell in words: assay axioms --why METHOD AXIOM", soft_wrap=True)


def _told(table: Table, method: str, axiom: str) -> None:
    from assay.axioms.table import said
    from assay.cli.printing import printable, terminal

    cell, console = table.cell(method, axiom), terminal()
    console.print(said(axiom), soft_wrap=True)
    size = "" if cell.size is None else f", size {cell.size:.3g}"
    chance = f", chance alone may do {cell.tolerance:.3g}" if cell.tolerance else ""
    console.print(f"\n{method}: {cell.verdict}{size}{chance}", soft_wrap=True)
    console.print(printable(cell.counterexample), soft_wrap=True)
    console.print(f"asked of {cell.asked} subjects, {cell.answered} not refused", soft_wrap=True)
