# SPDX-License-Identifier: Apache-2.0
"""Methods on one benchmark, best first: agreement with the truth, its interval, and where chance and references lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from assay.nouns.comparisons.benchmark_table import BenchmarkLine, BenchmarkModel, BenchmarkTable, Standing
from assay.report.drawing.formatting import breakable, counted, listed, number
from assay.report.drawing.svg import Axis

UNFOLDED = 2
"""Benchmarks of one family that are unfolded when the page is opened."""

APART: tuple[Standing, ...] = ("oracle", "reference")
TONES: dict[Standing, str] = {
    "beats the references": "pass",
    "beats chance": "undecided",
    "worse than chance": "fail",
}
MEASURES = {
    "auc": "the chance that a part of the cue is given more than another part",
    "rank": "the rank correlation of values and truth over parts, signs kept",
    "rank of size": "the rank correlation of the sizes of values and truth over parts",
    "energy": "the share of the positive values that lies inside the cue",
    "precision": "the share of the largest values by size that lies inside the cue",
}
UNDEFINED = {
    "rank": "all its values are equal, or one is not finite",
    "rank of size": "all its values are of one size, or one is not finite",
    "energy": "no value is positive, or one is not finite",
}
"""Why a row may have no agreement, by measure."""


@dataclass(frozen=True)
class Scaled:
    """One method: how it stands, drawn, and in numbers."""

    name: str
    standing: Standing
    figure: Markup
    mean: str
    bounds: str


@dataclass(frozen=True)
class Scale:
    """One benchmark: its methods, best first, and what holds for all of them.

    ``first`` says who leads and who cannot be told from the leader by intervals; ``marks`` where chance and references
    lie; ``undefined`` which rows have no agreement; ``unsuited`` why methods were not asked, and which.
    """

    model: BenchmarkModel
    family: str
    measure: str
    open: bool
    axis: Markup
    lines: tuple[Scaled, ...]
    first: str
    marks: str
    undefined: tuple[str, ...]
    unsuited: tuple[tuple[str, str], ...]
    left: int


def scales(table: BenchmarkTable) -> tuple[Scale, ...]:
    """Every benchmark, family by family in the order of the table."""
    families: dict[str, list[BenchmarkModel]] = {}
    for model in table.models:
        families.setdefault(model.family, []).append(model)
    found = []
    for members in families.values():
        for place, model in enumerate(members):
            lines = [line for line in table.lines if line.benchmark == model.benchmark]
            found.append(_scale(model, lines, named(members) if len(members) > 1 else "", place < UNFOLDED))
    return tuple(found)


def known(value: float | None) -> float:
    """The number, NaN where there is none or it is not finite."""
    return value if value is not None and math.isfinite(value) else math.nan


def named(members: Sequence[BenchmarkModel]) -> str:
    """What the names of a family's benchmarks have in common, word by word."""
    words = [model.benchmark.split("-") for model in members]
    alike = [column[0] for column in zip(*words, strict=False) if len(set(column)) == 1]
    return " ".join(alike) or members[0].family


def leaders(lines: Sequence[BenchmarkLine]) -> tuple[str, ...]:
    """The method of the largest mean, then those whose interval reaches up to its own."""
    own = [line for line in lines if line.standing not in APART and math.isfinite(known(line.mean))]
    own.sort(key=lambda line: -known(line.mean))
    least = known(own[0].low) if own else math.nan
    return tuple(line.method for line in own if line is own[0] or not known(line.high) < least)


def _scale(model: BenchmarkModel, lines: Sequence[BenchmarkLine], family: str, unfolded: bool) -> Scale:
    shown = [line for line in lines if line.standing not in ("not applicable", "not judged")] if model.enough else []
    shown.sort(key=lambda line: -known(line.mean) if math.isfinite(known(line.mean)) else math.inf)
    references = [line for line in shown if line.standing in APART and math.isfinite(known(line.mean))]
    ticks = [known(line.mean) for line in references]
    values = [v for line in shown for v in (line.mean, line.low, line.high)]
    axis = Axis.of([*values, model.chance], 0.03)
    drawn = tuple(
        Scaled(
            line.method,
            line.standing,
            spread(line, axis, model.chance, ticks),
            number(known(line.mean), 2),
            _bounds(line),
        )
        for line in shown
    )
    unsuited: dict[str, list[str]] = {}
    for line in lines:
        if line.standing == "not applicable":
            unsuited.setdefault(line.why.removeprefix(f"explain.{line.method} "), []).append(breakable(line.method))
    return Scale(
        model,
        family,
        MEASURES.get(model.agreement, model.agreement),
        unfolded,
        _ends(axis, model.chance, max((v for v in map(known, values) if math.isfinite(v)), default=model.chance)),
        drawn,
        _first(shown),
        _marks(model, references),
        tuple(_lost(line, model) for line in shown if line.left_out),
        tuple((listed(names), why) for why, names in unsuited.items()),
        sum(map(len, unsuited.values())),
    )


def spread(line: BenchmarkLine, axis: Axis, chance: float, ticks: Sequence[float]) -> Markup:
    """A dot at the mean and a bar over its interval; chance dashed, the references' means as grey ticks."""
    mean, low, high = known(line.mean), known(line.low), known(line.high)
    if not math.isfinite(mean):
        return Markup("")
    reference = line.standing in APART
    parts = [Markup('<line class="rail" x1="0" x2="100%" y1="9" y2="9"/>')]
    fingerprint = Markup('<line class="{0}" x1="{1}" x2="{1}" y1="{2}" y2="{3}"/>')
    parts += [fingerprint.format("tick", axis.at(tick), 3, 15) for tick in ticks]
    parts.append(fingerprint.format("threshold", axis.at(chance), 0, 18))
    if math.isfinite(low) and math.isfinite(high):
        bar = Markup('<line class="interval" x1="{}" x2="{}" y1="9" y2="9"/>')
        parts.append(bar.format(axis.at(low), axis.at(high)))
    parts.append(
        Markup('<circle class="{}" cx="{}" cy="9" r="4"/>').format("base" if reference else "dot", axis.at(mean))
    )
    return Markup('<svg class="strip {}" width="100%" height="18" role="img"><title>{} {}</title>{}</svg>').format(
        TONES.get(line.standing, "skipped"), number(mean, 2), _bounds(line), Markup("").join(parts)
    )


def _bounds(line: BenchmarkLine) -> str:
    low, high = known(line.low), known(line.high)
    if math.isfinite(low) and math.isfinite(high):
        return f"[{number(low, 2)}, {number(high, 2)}]"
    return "no interval" if math.isfinite(known(line.mean)) else ""


def _ends(axis: Axis, chance: float, most: float) -> Markup:
    """Chance and the largest number, written where they lie."""
    middle = float(axis.at(chance)[:-1]) > 25
    text = Markup('<text x="{}" y="12" text-anchor="{}">{}</text>')
    told = text.format(axis.at(chance), "middle" if middle else "start", f"chance {number(chance, 2)}")
    if float(axis.at(most)[:-1]) - float(axis.at(chance)[:-1]) > 50:
        told += text.format(axis.at(most), "end", number(most, 2))
    return Markup('<svg class="plot" width="100%" height="16" aria-hidden="true">{}</svg>').format(told)


def _first(lines: Sequence[BenchmarkLine]) -> str:
    names = [breakable(name) for name in leaders(lines)]
    if len(names) < 2:
        alone = sum(line.standing not in APART for line in lines) < 2
        return f"First: {names[0]}{'' if alone else ', its interval apart from all others’'}." if names else ""
    tied = names[1:]
    shown = listed(tied) if len(tied) <= 4 else f"{', '.join(tied[:3])} and {len(tied) - 3} more"
    return f"First: {names[0]}; by intervals not told apart from {shown}."


def _marks(model: BenchmarkModel, references: Sequence[BenchmarkLine]) -> str:
    told = [f"{breakable(line.method)} {number(known(line.mean), 2)}" for line in references]
    ticks = f"; grey ticks: {', '.join(told)}" if told else "; the table holds no references"
    return f"Dashed: chance {number(model.chance, 2)}{ticks}."


def _lost(line: BenchmarkLine, model: BenchmarkModel) -> str:
    why = UNDEFINED.get(model.agreement, "a value is not finite")
    name = breakable(line.method)
    if line.left_out >= line.rows:
        return f"{name}: no agreement on any of {counted(line.rows, 'row')} ({why}); it counts as chance."
    rest = counted(line.rows - line.left_out, "other row")
    return (
        f"{name}: no agreement on {line.left_out} of {counted(line.rows, 'row')} ({why}). The mean is that of the "
        f"{rest}; beside chance and the references such a row counts as chance."
    )
