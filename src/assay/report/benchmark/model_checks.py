# SPDX-License-Identifier: Apache-2.0
"""Whether the models of the planted-truth benchmark use the planted feature, tested before any method is judged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from assay.basics.bibliography import SOURCES
from assay.basics.stats import Interval
from assay.nouns.comparisons.benchmark_table import BenchmarkModel, BenchmarkTable
from assay.nouns.results.finding import Finding, Verdict
from assay.report.drawing.formatting import finding_numbers, format_count, format_number
from assay.report.drawing.svg import draw_strip


@dataclass(frozen=True)
class ModelCheck:
    """One model: the share measured as drawing and numbers, other measurements, the rows explained, and sources."""

    model: BenchmarkModel
    figure: Markup
    numbers: tuple[str, str, str]
    other: str
    size: str
    sources: tuple[str, ...]


def model_checks(table: BenchmarkTable) -> tuple[ModelCheck, ...]:
    """The check of each benchmark's model, failed ones first; all are drawn on one axis."""
    models = sorted(table.models, key=lambda model: model.is_sufficient)
    ends = [v for m in models for v in (m.share, m.low, m.high, m.needed) if math.isfinite(v)]
    span = Interval(min(ends, default=0.0), max(ends, default=1.0), 0.95, "range of all models")
    axis = Finding("", "informative", "", "", interval=span)
    return tuple(_model_check(model, axis) for model in models)


def _model_check(model: BenchmarkModel, axis: Finding) -> ModelCheck:
    verdict: Verdict = "pass" if model.is_sufficient else "undecided"
    finding = Finding(
        model.benchmark,
        verdict,
        model.what,
        model.benchmark,
        estimate=model.share,
        interval=Interval(model.low, model.high, 0.95, "interval of the share"),
        threshold=model.needed,
        direction="at least",
    )
    return ModelCheck(
        model,
        draw_strip(finding, axis),
        finding_numbers(finding),
        _values(model.other_measures),
        f"{format_count(model.rows, 'row')} of {format_count(model.parts, 'feature')}",
        tuple(SOURCES.get(source, source) for source in model.sources),
    )


def _values(values: Mapping[str, float]) -> str:
    return "; ".join(f"{name} {format_number(value, 2)}" for name, value in values.items())
