# SPDX-License-Identifier: Apache-2.0
"""The chart of one benchmark: each method's agreement with the truth and its interval, best first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from assay.nouns.comparisons.benchmark_table import BenchmarkLine, BenchmarkModel, BenchmarkTable, BenchmarkVerdict
from assay.report.drawing.formatting import format_count, format_interval, format_number, join_names, method_label
from assay.report.drawing.svg import RAIL, Axis, draw_dot, draw_shapes, draw_span, draw_tick

MAX_OPEN = 2
"""Benchmarks of one family that are unfolded when the page is opened."""

CONTROLS: tuple[BenchmarkVerdict, ...] = ("oracle", "reference")
TONES: dict[BenchmarkVerdict, str] = {
    "beats the references": "pass",
    "beats chance": "undecided",
    "worse than chance": "fail",
}
MEASURES = {
    "auc": "AUC, the probability that a feature of the cue has a larger value than another feature",
    "rank": "rank correlation of values and truth over features, with signs",
    "rank of size": "rank correlation of absolute values and truth over features",
    "energy": "share of the positive values inside the cue",
    "precision": "share of the largest absolute values inside the cue",
}
UNDEFINED = {
    "rank": "all values are equal, or one is not finite",
    "rank of size": "all absolute values are equal, or one is not finite",
    "energy": "no value is positive, or one is not finite",
}
"""Why the agreement of a row is undefined, by measure."""


@dataclass(frozen=True)
class ChartLine:
    """One method: its result as label, drawing and numbers."""

    name: str
    outcome: BenchmarkVerdict
    figure: Markup
    mean: str
    bounds: str


@dataclass(frozen=True)
class BenchmarkChart:
    """One benchmark: its methods, best first.

    ``first`` names the best method and those with an overlapping interval; ``legend`` the position of chance and
    references; ``undefined`` the rows without agreement; ``not_applicable`` (methods, reason).
    """

    model: BenchmarkModel
    family: str
    measure: str
    is_open: bool
    axis: Markup
    lines: tuple[ChartLine, ...]
    first: str
    legend: str
    undefined: tuple[str, ...]
    not_applicable: tuple[tuple[str, str], ...]
    excluded: int


def benchmark_charts(table: BenchmarkTable) -> tuple[BenchmarkChart, ...]:
    """Every benchmark, family by family in the order of the table."""
    families: dict[str, list[BenchmarkModel]] = {}
    for model in table.models:
        families.setdefault(model.family, []).append(model)
    found = []
    for members in families.values():
        for place, model in enumerate(members):
            lines = [line for line in table.lines if line.benchmark == model.benchmark]
            found.append(_chart(model, lines, family_name(members) if len(members) > 1 else "", place < MAX_OPEN))
    return tuple(found)


def finite(value: float | None) -> float:
    """The number, NaN where there is none or it is not finite."""
    return value if value is not None and math.isfinite(value) else math.nan


def family_name(members: Sequence[BenchmarkModel]) -> str:
    """The words that the names of a family's benchmarks have in common."""
    words = [model.benchmark.split("-") for model in members]
    common = [column[0] for column in zip(*words, strict=False) if len(set(column)) == 1]
    return " ".join(common) or members[0].family


def best_methods(lines: Sequence[BenchmarkLine]) -> tuple[str, ...]:
    """The method with the largest mean, then those whose interval overlaps its own."""
    own = [line for line in lines if line.verdict not in CONTROLS and math.isfinite(finite(line.mean))]
    own.sort(key=lambda line: -finite(line.mean))
    least = finite(own[0].low) if own else math.nan
    return tuple(line.method for line in own if line is own[0] or not finite(line.high) < least)


def _chart(model: BenchmarkModel, lines: Sequence[BenchmarkLine], family: str, is_open: bool) -> BenchmarkChart:
    judged = (
        [line for line in lines if line.verdict not in ("not applicable", "not judged")] if model.is_sufficient else []
    )
    judged.sort(key=lambda line: -finite(line.mean) if math.isfinite(finite(line.mean)) else math.inf)
    references = [line for line in judged if line.verdict in CONTROLS and math.isfinite(finite(line.mean))]
    ticks = [finite(line.mean) for line in references]
    values = [v for line in judged for v in (line.mean, line.low, line.high)]
    axis = Axis.of([*values, model.chance], 0.03)
    largest = max((v for v in map(finite, values) if math.isfinite(v)), default=model.chance)
    not_applicable = _not_applicable(lines)
    return BenchmarkChart(
        model,
        family,
        MEASURES.get(model.agreement, model.agreement),
        is_open,
        _axis_labels(axis, model.chance, largest),
        tuple(_chart_line(line, axis, model.chance, ticks) for line in judged),
        _first(judged),
        _legend(model, references),
        tuple(_undefined(line, model) for line in judged if line.left_out),
        tuple((join_names(names), why) for why, names in not_applicable.items()),
        sum(map(len, not_applicable.values())),
    )


def _chart_line(line: BenchmarkLine, axis: Axis, chance: float, ticks: Sequence[float]) -> ChartLine:
    figure = draw_agreement(line, axis, chance, ticks)
    return ChartLine(line.method, line.verdict, figure, format_number(finite(line.mean), 2), _bounds(line))


def _not_applicable(lines: Sequence[BenchmarkLine]) -> dict[str, list[str]]:
    """Methods by the reason why they do not apply."""
    found: dict[str, list[str]] = {}
    for line in lines:
        if line.verdict == "not applicable":
            found.setdefault(line.why.removeprefix(f"explain.{line.method} "), []).append(method_label(line.method))
    return found


def draw_agreement(line: BenchmarkLine, axis: Axis, chance: float, ticks: Sequence[float]) -> Markup:
    """A dot at the mean and a bar over its interval; chance dashed, the references' means as grey ticks."""
    mean, low, high = finite(line.mean), finite(line.low), finite(line.high)
    if not math.isfinite(mean):
        return Markup("")
    is_control = line.verdict in CONTROLS
    parts = [RAIL, *(draw_tick("tick", axis.at(tick), 6) for tick in ticks), draw_tick("threshold", axis.at(chance), 9)]
    if math.isfinite(low) and math.isfinite(high):
        parts.append(draw_span("interval", axis.at(low), axis.at(high)))
    parts.append(draw_dot("base" if is_control else "dot", axis.at(mean)))
    kind, title = TONES.get(line.verdict, "skipped"), f"{format_number(mean, 2)} {_bounds(line)}"
    return draw_shapes(f"{kind} thin", title, parts)


def _bounds(line: BenchmarkLine) -> str:
    bounds = format_interval(finite(line.low), finite(line.high), 2)
    return bounds or ("no interval" if math.isfinite(finite(line.mean)) else "")


def _axis_labels(axis: Axis, chance: float, largest: float) -> Markup:
    """Chance and the largest number, as labels at their positions."""
    is_middle = float(axis.at(chance)[:-1]) > 25
    label = Markup('<text x="{}" y="12" text-anchor="{}">{}</text>')
    labels = label.format(axis.at(chance), "middle" if is_middle else "start", f"chance {format_number(chance, 2)}")
    if float(axis.at(largest)[:-1]) - float(axis.at(chance)[:-1]) > 50:
        labels += label.format(axis.at(largest), "end", format_number(largest, 2))
    return Markup('<svg class="plot" width="100%" height="16" aria-hidden="true">{}</svg>').format(labels)


def _first(lines: Sequence[BenchmarkLine]) -> str:
    names = [method_label(name) for name in best_methods(lines)]
    if len(names) < 2:
        is_alone = sum(line.verdict not in CONTROLS for line in lines) < 2
        return f"Best: {names[0]}{'' if is_alone else '; no other interval overlaps its own'}." if names else ""
    tied = names[1:]
    text = join_names(tied) if len(tied) <= 4 else f"{', '.join(tied[:3])} and {len(tied) - 3} more"
    return f"Best: {names[0]}; overlapping intervals: {text}."


def _legend(model: BenchmarkModel, references: Sequence[BenchmarkLine]) -> str:
    means = [f"{method_label(line.method)} {format_number(finite(line.mean), 2)}" for line in references]
    ticks = f"; grey ticks: {', '.join(means)}" if means else "; no references"
    return f"Dashed: chance {format_number(model.chance, 2)}{ticks}."


def _undefined(line: BenchmarkLine, model: BenchmarkModel) -> str:
    why = UNDEFINED.get(model.agreement, "a value is not finite")
    name = method_label(line.method)
    if line.left_out >= line.rows:
        return f"{name}: agreement undefined on all of {format_count(line.rows, 'row')} ({why}); counted as chance."
    rest = format_count(line.rows - line.left_out, "other row")
    return (
        f"{name}: agreement undefined on {line.left_out} of {format_count(line.rows, 'row')} ({why}). The mean is over "
        f"the {rest}; in the comparison with chance and the references such a row counts as chance."
    )
