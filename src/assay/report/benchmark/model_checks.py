# SPDX-License-Identifier: Apache-2.0
"""Whether the models of the planted-truth suite use what was planted: asked before any method is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from assay.basics.bibliography import SOURCES
from assay.basics.stats import Interval
from assay.nouns.comparisons.benchmark_table import BenchmarkModel, BenchmarkTable
from assay.nouns.results.result import Finding, Verdict
from assay.report.drawing.formatting import counted, figures_of, number
from assay.report.drawing.svg import strip


@dataclass(frozen=True)
class Competent:
    """One model: what was measured, drawn and in numbers, and what lies behind it."""

    model: BenchmarkModel
    figure: Markup
    figures: tuple[str, str, str]
    beside: str
    size: str
    sources: tuple[str, ...]


def competences(table: BenchmarkTable) -> tuple[Competent, ...]:
    """Every benchmark's model, those left out first; all are drawn along one axis."""
    models = sorted(table.models, key=lambda model: model.enough)
    ends = [v for m in models for v in (m.share, m.low, m.high, m.needed) if math.isfinite(v)]
    whole = Interval(min(ends, default=0.0), max(ends, default=1.0), 0.95, "ends of all")
    axis = Finding("", "informative", "", "", interval=whole)
    return tuple(_competent(model, axis) for model in models)


def _competent(model: BenchmarkModel, axis: Finding) -> Competent:
    verdict: Verdict = "pass" if model.enough else "undecided"
    finding = Finding(
        model.benchmark,
        verdict,
        model.what,
        model.benchmark,
        estimate=model.share,
        interval=Interval(model.low, model.high, 0.95, "of the share"),
        threshold=model.needed,
        direction="at least",
    )
    return Competent(
        model,
        strip(finding, axis),
        figures_of(finding),
        _told(model.beside),
        f"{counted(model.rows, 'row')} of {counted(model.parts, 'part')}",
        tuple(SOURCES.get(source, source) for source in model.sources),
    )


def _told(beside: Mapping[str, float]) -> str:
    return "; ".join(f"{what} {number(value, 2)}" for what, value in beside.items())
