# SPDX-License-Identifier: Apache-2.0
"""The command ``assay benchmark``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from assay.nouns.comparisons.benchmark_table import BenchmarkTable

METHOD_WIDTH, CELL_WIDTH = 27, 12
"""Width in characters of a method's name and of a cell; benchmarks that do not fit on the terminal follow below."""


def benchmark(
    *,
    quick: bool = False,
    only: Sequence[str] = (),
    method: Sequence[str] = (),
    seed: int = 0,
    json: bool = False,
    out: Path | None = None,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"])] = False,
) -> int:
    """Evaluate explanation methods on models whose ground-truth explanation is known.

    The models are trained on data with a planted cue. The command first measures how well each model uses its cue; if
    it does not, no method is judged on it. It then prints each method's agreement with the ground truth, its interval
    over rows, and the references: oracle, random, constant, edges and the input itself. The whole suite takes some
    minutes on one core; the same seed gives the same table.

    Parameters
    ----------
    quick
        Run one smaller benchmark of each family: under two minutes.
    only
        Run only these benchmarks; may be given more than once.
    method
        Evaluate only these methods; may be given more than once.
    seed
        Root of all randomness.
    json
        Write JSON instead of a table.
    out
        Write the table to this file, as a page (.html), JSON (.json) or Markdown (.md).
    quiet
        Print no progress.
    """
    from assay.basics.errors import InputError
    from assay.cli.terminal.progress import ProgressLine
    from assay.planted.suite import BENCHMARKS
    from assay.planted.suite import benchmark as run

    if out is not None and out.suffix not in (".html", ".json", ".md"):
        raise InputError(
            f"--out {out}: the table is written as a page (.html), JSON (.json) or Markdown (.md). Name one of these."
        )
    if out is not None and not out.absolute().parent.is_dir():
        raise InputError(f"the folder {out.absolute().parent} does not exist. Make it first.")
    count = len(only) or sum(bool(one.quick) or not quick for one in BENCHMARKS.values())
    with ProgressLine(planned=count, unit="benchmarks", quiet=quiet) as progress:
        started: list[str] = []
        progress.done = lambda: max(len(started) - 1, 0)

        def begin(name: str) -> None:
            started.append(name)
            progress.label = name

        table = run(only=only, methods=method, quick=quick, seed=seed, progress=begin)
    if out is not None:
        out.write_text(_format(table, out.suffix), encoding="utf-8")
    if json:
        sys.stdout.write(table.to_json())
    elif out is None:
        _print_table(table)
    return 0


def _format(table: BenchmarkTable, ending: str) -> str:
    if ending == ".html":
        from assay.report.benchmark.page import render_benchmark

        return render_benchmark(table)
    return table.to_json() if ending == ".json" else table.to_markdown()


def _print_table(table: BenchmarkTable) -> None:
    from rich import box
    from rich.table import Table

    from assay.cli.printing import terminal
    from assay.nouns.comparisons.benchmark_table import LEGEND

    console = terminal()
    for model in table.models:
        share = f"{model.share:.2f} [{model.low:.2f}, {model.high:.2f}]"
        verdict = "" if model.is_sufficient else f", below {model.needed:g}: not judged"
        console.print(f"{model.benchmark}: {model.what} {share}{verdict}", soft_wrap=True)
    columns = max(1, (console.width - METHOD_WIDTH) // CELL_WIDTH)
    for first in range(0, len(table.models), columns):
        models = table.models[first : first + columns]
        block = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        block.add_column("method", no_wrap=True, min_width=METHOD_WIDTH - 1)
        for model in models:
            block.add_column(model.benchmark.replace("-", " "), max_width=CELL_WIDTH - 1)
        block.add_row("chance", *(f"{model.chance:.2f} {model.agreement}" for model in models))
        for method in table.methods:
            block.add_row(method, *(table.line(model.benchmark, method).label for model in models))
        console.print(block)
    console.print(LEGEND, soft_wrap=True)
