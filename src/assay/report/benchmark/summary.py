# SPDX-License-Identifier: Apache-2.0
"""The planted-truth suite in plain words: which models were read, who was told from chance, and on how many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.nouns.comparisons.benchmark_table import BenchmarkLine, BenchmarkTable, Standing
from assay.report.audit.summary import Saying
from assay.report.benchmark.charts import known
from assay.report.benchmark.rank_reversals import Order, differing
from assay.report.drawing.formatting import breakable, counted, listed, number

NAMED = 8
"""Methods that a sentence names; the table below it has all."""

TOLD: tuple[Standing, ...] = ("beats the references", "beats chance")
JUDGED: tuple[Standing, ...] = (*TOLD, "no better than chance", "worse than chance")


@dataclass(frozen=True)
class Tally:
    """One method over all benchmarks: on how many it was judged, told from chance, above every reference, below chance.

    ``cells`` has its line on each benchmark, ``None`` where there is none.
    """

    method: str
    judged: int
    told: int
    above: int
    worse: tuple[str, ...]
    cells: tuple[BenchmarkLine | None, ...]

    @property
    def figure(self) -> str:
        """Its name and on how many it is told from chance."""
        return f"{breakable(self.method)} ({self.told} of {self.judged})"


def held(table: BenchmarkTable) -> tuple[str, ...]:
    """The methods that are neither oracle nor reference."""
    apart = {line.method for line in table.lines if line.standing in ("oracle", "reference")}
    return tuple(method for method in table.methods if method not in apart)


def tallies(table: BenchmarkTable) -> tuple[Tally, ...]:
    """Every method: told from chance on the largest share first, then on the most, then above every reference."""
    lines = {(line.benchmark, line.method): line for line in table.lines}
    read = {model.benchmark for model in table.models if model.enough}
    found = []
    for method in held(table):
        cells = tuple(lines.get((model.benchmark, method)) for model in table.models)
        own = [line for line in cells if line is not None and line.benchmark in read and line.standing in JUDGED]
        found.append(
            Tally(
                method,
                len(own),
                sum(line.standing in TOLD for line in own),
                sum(line.standing == "beats the references" for line in own),
                tuple(line.benchmark for line in own if line.standing == "worse than chance"),
                cells,
            )
        )
    return tuple(
        sorted(found, key=lambda t: (not t.judged, -t.told / max(t.judged, 1), -t.told, -t.above, len(t.worse)))
    )


def headline(table: BenchmarkTable) -> str:
    """How many models are read, and how many methods are told from chance wherever they were judged."""
    read = sum(model.enough for model in table.models)
    if not table.models:
        return "No benchmark was made."
    models = f"{read} of {counted(len(table.models), 'model')} {'uses' if read == 1 else 'use'} what was planted"
    judged = [tally for tally in tallies(table) if tally.judged]
    if not judged:
        return f"{models}; no method was judged."
    whole = sum(tally.told == tally.judged for tally in judged)
    verb = "is" if 1 in (whole, len(judged)) else "are"
    return f"{models}; {whole} of {counted(len(judged), 'method')} {verb} told from chance wherever judged."


def sayings(table: BenchmarkTable, found: tuple[Order, ...]) -> tuple[Saying, ...]:
    """What was left out, who is told from chance everywhere, somewhere, nowhere, who is below it, and the order."""
    judged = [tally for tally in tallies(table) if tally.judged]
    never = len(held(table)) - len(judged)
    comparisons = sum(tally.judged for tally in judged)
    said = [
        _left_out(table),
        _said("pass", "Told from chance wherever judged", [t for t in judged if t.told == t.judged]),
        _said("undecided", "On some benchmarks only", [t for t in judged if 0 < t.told < t.judged]),
        _said("fail", "Nowhere told from chance", [t for t in judged if not t.told]),
        Saying("fail", _below(judged)),
        Saying("told", differing(found)),
        Saying("skipped", f"{counted(never, 'method')} could be judged on no benchmark." if never else ""),
        Saying("told", _luck(comparisons)),
    ]
    return tuple(saying for saying in said if saying.text)


def _left_out(table: BenchmarkTable) -> Saying:
    told = [
        f"{model.benchmark.replace('-', ' ')} ({model.what}: {number(known(model.share), 2)} [{number(model.low, 2)}, "
        f"{number(model.high, 2)}], needed {number(model.needed)})"
        for model in table.models
        if not model.enough
    ]
    if not told:
        return Saying("pass", "Every model uses what was planted, so every benchmark is read." if table.models else "")
    return Saying("undecided", f"Left out, since the model is not shown to use what was planted: {listed(told)}.")


def _said(tone: str, what: str, found: Sequence[Tally]) -> Saying:
    if not found:
        return Saying(tone, "")
    names = [tally.figure for tally in found[:NAMED]]
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    shown = ", ".join(names) + more if more else listed(names)
    return Saying(tone, f"{what}, {counted(len(found), 'method')}: {shown}.")


def _below(judged: Sequence[Tally]) -> str:
    told = [f"{breakable(t.method)} on {listed([b.replace('-', ' ') for b in t.worse])}" for t in judged if t.worse]
    if not told:
        return ""
    more = f" and {len(told) - NAMED} more" if len(told) > NAMED else ""
    return f"Worse than chance: {', '.join(told[:NAMED]) + more if more else listed(told)}."


def _luck(comparisons: int) -> str:
    if not comparisons:
        return ""
    return (
        f"Every interval stands alone at 95 %. Of {counted(comparisons, 'comparison')} with chance about "
        f"{number(comparisons / 40, 1)} would come out better by luck if no method knew anything."
    )
