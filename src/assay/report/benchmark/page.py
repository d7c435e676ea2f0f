# SPDX-License-Identifier: Apache-2.0
"""The page of the planted-truth benchmark: one HTML file that loads nothing and runs no script."""

from __future__ import annotations

import shlex
from pathlib import Path

from assay.nouns.comparisons.benchmark_table import LEGEND, SIGNS, BenchmarkTable
from assay.report.audit.page import UNSEEN, environment
from assay.report.benchmark.charts import benchmark_charts
from assay.report.benchmark.model_checks import model_checks
from assay.report.benchmark.rank_reversals import rank_reversals
from assay.report.benchmark.summary import headline, method_summaries, statements, tested_methods
from assay.report.drawing.formatting import format_count


def render_benchmark(table: BenchmarkTable) -> str:
    """The page of a benchmark table."""
    reversals = rank_reversals(table)
    page = (
        environment()
        .get_template("benchmark.html")
        .render(
            table=table,
            title="Planted-truth benchmark",
            headline=headline(table),
            statements=statements(table, reversals),
            tone="undecided" if any(not model.is_sufficient for model in table.models) else "info",
            identity=_identity(table),
            model_checks=model_checks(table),
            method_summaries=method_summaries(table),
            charts=benchmark_charts(table),
            reversals=reversals,
            command=_command(table),
            SIGNS=SIGNS,
            LEGEND=LEGEND[0].upper() + LEGEND[1:],
        )
    )
    return page.translate(UNSEEN)


def to_html(table: BenchmarkTable, path: str | Path) -> Path:
    """Write the page of a benchmark table to a file."""
    place = Path(path)
    place.write_text(render_benchmark(table), encoding="utf-8")
    return place


def _identity(table: BenchmarkTable) -> dict[str, str]:
    rows = sorted({model.rows for model in table.models})
    methods = len(tested_methods(table))
    lines = {
        "profile": "quick: smaller benchmarks, fewer rows" if table.quick else "full",
        "seed": str(table.seed),
        "benchmarks": f"{len(table.models):,}",
        "methods": f"{methods:,} and {format_count(len(table.methods) - methods, 'reference')}",
    }
    if rows:
        lines["rows explained"] = f"{rows[0]:,}" if len(rows) == 1 else f"{rows[0]:,} to {rows[-1]:,} per benchmark"
    if table.versions:
        lines["versions"] = ", ".join(f"{name} {version}" for name, version in table.versions.items())
    return lines


def _command(table: BenchmarkTable) -> str:
    """The command that repeats these benchmarks for every method."""
    words = ["assay", "benchmark", *(["--quick"] if table.quick else []), "--seed", str(table.seed)]
    for model in table.models:
        words += ["--only", model.benchmark]
    return shlex.join([*words, "--out", "planted.html"])
