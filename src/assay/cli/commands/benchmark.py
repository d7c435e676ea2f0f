# SPDX-License-Identifier: Apache-2.0
"""``assay benchmark``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assay.nouns.comparisons.benchmark_table import BenchmarkTable

METHOD, CELL = 27, 12
"""Columns of a terminal that a method's name and a cell take; benchmarks that do not fit follow below."""


def benchmark(
    *,
    quick: bool = False,
    only: Sequence[str] = (),
    method: Sequence[str] = (),
    seed: int = 0,
    json: bool = False,
    out: Path | None = None,
) -> int:
    """Hold explanation methods to models that were made to read one thing, and see who finds it.

    First each model is asked how well it uses what was planted; where it does not, no method is judged. Then each
    method's agreement with the truth is told, with its interval over rows, beside oracle, random, constant, edges and
    the input itself. All of it takes some minutes on one core; the same seed gives the same table.

    Parameters
    ----------
    quick
        One benchmark of each family, smaller: under two minutes.
    only
        Run these benchmarks alone; may be given more than once.
    method
        Judge these methods alone; may be given more than once.
    seed
        Where all chance comes from.
    json
        Write JSON instead of a table.
    out
        Write the table to this file: a page where it ends in .html, JSON where in .json, Markdown where in .md.
    """
    from assay.basics.errors import InputError
    from assay.planted.suite import benchmark as run

    if out is not None and out.suffix not in (".html", ".json", ".md"):
        raise InputError(
            f"--out {out}: the table is written as a page (.html), JSON (.json) or Markdown (.md). Name one of these."
        )
    if out is not None and not out.absolute().parent.is_dir():
        raise InputError(f"the folder {out.absolute().parent} does not exist. Make it first.")
    table = run(only=only, methods=method, quick=quick, seed=seed, told=_told)
    if out is not None:
        out.write_text(_written(table, out.suffix), encoding="utf-8")
    if json:
        sys.stdout.write(table.to_json())
    elif out is None:
        _shown(table)
    return 0


def _written(table: BenchmarkTable, ending: str) -> str:
    if ending == ".html":
        from assay.report.benchmark.page import benchmarked

        return benchmarked(table)
    return table.to_json() if ending == ".json" else table.to_markdown()


def _told(name: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"{name} …\n")


def _shown(table: BenchmarkTable) -> None:
    from rich import box
    from rich.table import Table as Drawn

    from assay.cli.printing import terminal
    from assay.nouns.comparisons.benchmark_table import LEGEND

    console = terminal()
    for model in table.models:
        share = f"{model.share:.2f} [{model.low:.2f}, {model.high:.2f}]"
        judged = "" if model.enough else f", below {model.needed:g}: not judged"
        console.print(f"{model.benchmark}: {model.what} {share}{judged}", soft_wrap=True)
    fit = max(1, (console.width - METHOD) // CELL)
    for first in range(0, len(table.models), fit):
        some = table.models[first : first + fit]
        drawn = Drawn(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        drawn.add_column("method", no_wrap=True, min_width=METHOD - 1)
        for model in some:
            drawn.add_column(model.benchmark.replace("-", " "), max_width=CELL - 1)
        drawn.add_row("chance", *(f"{model.chance:.2f} {model.agreement}" for model in some))
        for method in table.methods:
            drawn.add_row(method, *(table.line(model.benchmark, method).shown for model in some))
        console.print(drawn)
    console.print(LEGEND, soft_wrap=True)
