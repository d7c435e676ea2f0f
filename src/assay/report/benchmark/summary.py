# SPDX-License-Identifier: Apache-2.0
"""The summary of the planted-truth benchmark: which models passed their check, and which methods beat chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.nouns.comparisons.benchmark_table import BenchmarkLine, BenchmarkTable, BenchmarkVerdict
from assay.report.audit.summary import Statement
from assay.report.benchmark.charts import CONTROLS, finite
from assay.report.benchmark.rank_reversals import RankReversals, describe_reversals
from assay.report.drawing.formatting import format_count, format_interval, format_number, join_names, method_label

MAX_NAMES = 8
"""Methods that a sentence names; the table has all."""

ABOVE_CHANCE: tuple[BenchmarkVerdict, ...] = ("beats the references", "beats chance")
JUDGED: tuple[BenchmarkVerdict, ...] = (*ABOVE_CHANCE, "no better than chance", "worse than chance")


@dataclass(frozen=True)
class MethodSummary:
    """One method over all benchmarks.

    Number of benchmarks on which it was judged, is above chance and is above every reference; ``worse`` names those on
    which it is below chance. ``cells`` has its line on each benchmark, ``None`` where there is none.
    """

    method: str
    judged: int
    above_chance: int
    above_references: int
    worse: tuple[str, ...]
    cells: tuple[BenchmarkLine | None, ...]

    @property
    def text(self) -> str:
        """Its name and the number of benchmarks on which it is above chance."""
        return f"{method_label(self.method)} ({self.above_chance} of {self.judged})"


def tested_methods(table: BenchmarkTable) -> tuple[str, ...]:
    """The methods that are neither oracle nor reference."""
    controls = {line.method for line in table.lines if line.verdict in CONTROLS}
    return tuple(method for method in table.methods if method not in controls)


def method_summaries(table: BenchmarkTable) -> tuple[MethodSummary, ...]:
    """Every method, by the share of benchmarks above chance, then by their number, then by those above references."""
    lines = {(line.benchmark, line.method): line for line in table.lines}
    passed = {model.benchmark for model in table.models if model.is_sufficient}
    found = []
    for method in tested_methods(table):
        cells = tuple(lines.get((model.benchmark, method)) for model in table.models)
        own = [line for line in cells if line is not None and line.benchmark in passed and line.verdict in JUDGED]
        found.append(
            MethodSummary(
                method,
                len(own),
                sum(line.verdict in ABOVE_CHANCE for line in own),
                sum(line.verdict == "beats the references" for line in own),
                tuple(line.benchmark for line in own if line.verdict == "worse than chance"),
                cells,
            )
        )
    return tuple(sorted(found, key=_rank))


def _rank(summary: MethodSummary) -> tuple[bool, float, int, int, int]:
    share = summary.above_chance / max(summary.judged, 1)
    return not summary.judged, -share, -summary.above_chance, -summary.above_references, len(summary.worse)


def headline(table: BenchmarkTable) -> str:
    """How many models use the planted feature, and how many methods are above chance wherever they were judged."""
    passed = sum(model.is_sufficient for model in table.models)
    if not table.models:
        return "No benchmarks."
    verb = "uses" if passed == 1 else "use"
    models = f"{passed} of {format_count(len(table.models), 'model')} {verb} the planted feature"
    judged = [summary for summary in method_summaries(table) if summary.judged]
    if not judged:
        return f"{models}; no method was judged."
    whole = sum(summary.above_chance == summary.judged for summary in judged)
    verb = "is" if 1 in (whole, len(judged)) else "are"
    return f"{models}; {whole} of {format_count(len(judged), 'method')} {verb} above chance on every benchmark judged."


def statements(table: BenchmarkTable, found: tuple[RankReversals, ...]) -> tuple[Statement, ...]:
    """Benchmarks excluded, methods above chance on all, some and no benchmarks, methods below it, and reversals."""
    judged = [summary for summary in method_summaries(table) if summary.judged]
    never = len(tested_methods(table)) - len(judged)
    comparisons = sum(summary.judged for summary in judged)
    some = [s for s in judged if 0 < s.above_chance < s.judged]
    all_statements = [
        _excluded(table),
        _methods("pass", "Above chance on every benchmark judged", [s for s in judged if s.above_chance == s.judged]),
        _methods("undecided", "Above chance on some benchmarks", some),
        _methods("fail", "Above chance on no benchmark", [s for s in judged if not s.above_chance]),
        Statement("fail", _below_chance(judged)),
        Statement("info", describe_reversals(found)),
        Statement("skipped", f"{format_count(never, 'method')} could not be judged on any benchmark." if never else ""),
        Statement("info", _false_positives(comparisons)),
    ]
    return tuple(statement for statement in all_statements if statement.text)


def _excluded(table: BenchmarkTable) -> Statement:
    excluded = [
        f"{model.benchmark.replace('-', ' ')} ({model.what}: {format_number(finite(model.share), 2)} "
        f"{format_interval(model.low, model.high, 2)}, needed {format_number(model.needed)})"
        for model in table.models
        if not model.is_sufficient
    ]
    if not excluded:
        return Statement(
            "pass", "Every model uses the planted feature; no benchmark is excluded." if table.models else ""
        )
    text = f"Excluded, because the model is not shown to use the planted feature: {join_names(excluded)}."
    return Statement("undecided", text)


def _methods(tone: str, what: str, found: Sequence[MethodSummary]) -> Statement:
    if not found:
        return Statement(tone, "")
    return Statement(tone, f"{what} ({format_count(len(found), 'method')}): {_names([s.text for s in found])}.")


def _below_chance(judged: Sequence[MethodSummary]) -> str:
    names = [
        f"{method_label(s.method)} on {join_names([b.replace('-', ' ') for b in s.worse])}" for s in judged if s.worse
    ]
    return f"Below chance: {_names(names)}." if names else ""


def _names(names: Sequence[str]) -> str:
    """The first few names and the number of the others."""
    left = len(names) - MAX_NAMES
    return f"{', '.join(names[:MAX_NAMES])} and {left} more" if left > 0 else join_names(names)


def _false_positives(comparisons: int) -> str:
    if not comparisons:
        return ""
    return (
        f"Intervals are at 95 % each, not corrected for multiple testing: of {format_count(comparisons, 'comparison')} "
        f"with chance, {format_number(comparisons / 40, 1)} are expected to be above it if every method is random."
    )
