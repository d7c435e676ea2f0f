# SPDX-License-Identifier: Apache-2.0
"""From the table of the planted-truth suite to one HTML page in the look of the report."""

from __future__ import annotations

import shlex
from pathlib import Path

from assay.nouns.comparisons.benchmark_table import LEGEND, SIGNS, BenchmarkTable
from assay.report.audit.page import UNSEEN, environment
from assay.report.benchmark.charts import scales
from assay.report.benchmark.model_checks import competences
from assay.report.benchmark.rank_reversals import orders
from assay.report.benchmark.summary import headline, held, sayings, tallies
from assay.report.drawing.formatting import counted


def benchmarked(table: BenchmarkTable) -> str:
    """The page of a table: one file that needs nothing outside itself and runs no script."""
    methods, found = held(table), orders(table)
    page = (
        environment()
        .get_template("benchmark.html")
        .render(
            table=table,
            title="Planted truth",
            headline=headline(table),
            sayings=sayings(table, found),
            tone="undecided" if any(not model.enough for model in table.models) else "told",
            asked=_asked(table, len(methods)),
            competences=competences(table),
            tallies=tallies(table),
            scales=scales(table),
            orders=found,
            command=_command(table),
            SIGNS=SIGNS,
            LEGEND=LEGEND[0].upper() + LEGEND[1:],
        )
    )
    return page.translate(UNSEEN)


def to_html(table: BenchmarkTable, path: str | Path) -> Path:
    """Write the table as a page: one file, nothing outside it needed."""
    place = Path(path)
    place.write_text(benchmarked(table), encoding="utf-8")
    return place


def _asked(table: BenchmarkTable, methods: int) -> dict[str, str]:
    rows = sorted({model.rows for model in table.models})
    others = len(table.methods) - methods
    told = {
        "profile": "quick: smaller, fewer rows" if table.quick else "full",
        "seed": str(table.seed),
        "benchmarks": f"{len(table.models):,}",
        "methods": f"{methods:,}, beside {counted(others, 'reference')}",
    }
    if rows:
        told["rows explained"] = f"{rows[0]:,}" if len(rows) == 1 else f"{rows[0]:,} to {rows[-1]:,} a benchmark"
    if table.versions:
        told["versions"] = ", ".join(f"{name} {version}" for name, version in table.versions.items())
    return told


def _command(table: BenchmarkTable) -> str:
    """What makes these benchmarks again, held to every method."""
    words = ["assay", "benchmark", *(["--quick"] if table.quick else []), "--seed", str(table.seed)]
    for model in table.models:
        words += ["--only", model.benchmark]
    return shlex.join([*words, "--out", "planted.html"])
