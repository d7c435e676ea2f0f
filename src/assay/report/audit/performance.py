# SPDX-License-Identifier: Apache-2.0
"""How good the model is: the metrics of the performance findings, with those of a constant prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from assay.nouns.records.record import Record
from assay.report.drawing.formatting import decimals_for, format_interval, format_number, shorten
from assay.report.plots.kinds.calibration import audited_curves, draw_calibration

METRICS, CLASSES, CONFUSION = "metrics", "by class", "confusion matrix"
CUT = "classes with fewer rows, not listed"
"""Keys of the evidence of a performance finding."""

MAX_CLASSES = 6
"""Classes that are listed, those with the lowest recall first."""


@dataclass(frozen=True)
class MetricLine:
    """A metric as text: value, interval and the value of a constant prediction."""

    name: str
    value: str
    bounds: str
    constant: str
    better: str


@dataclass(frozen=True)
class ClassLine:
    """A class as text: its rows, recall and precision with their intervals."""

    name: str
    rows: str
    recall: str
    precision: str


@dataclass(frozen=True)
class Performance:
    """What the section prints; empty where no performance was measured."""

    metrics: tuple[MetricLine, ...] = ()
    classes: tuple[ClassLine, ...] = ()
    more_classes: int = 0
    unlisted: int = 0
    confusion: tuple[tuple[str, tuple[str, ...]], ...] = ()
    decided: tuple[str, ...] = ()
    calibration: Markup | str = ""
    calibration_text: str = ""


def performance(record: Record) -> Performance:
    """The performance of the model of a record."""
    measured: Mapping[str, Any] = next((f.evidence for f in record.findings if METRICS in f.evidence), {})
    if not measured:
        return Performance()
    classes = measured.get(CLASSES, {})
    worst = sorted(classes, key=lambda name: _recall(classes[name]))[:MAX_CLASSES]
    confusion = measured.get(CONFUSION, {}) if len(classes) <= MAX_CLASSES else {}
    curves = audited_curves(record)
    return Performance(
        metrics=tuple(_metric(name, line) for name, line in measured[METRICS].items()),
        classes=tuple(_class(name, classes[name]) for name in classes if name in worst),
        more_classes=len(classes) - len(worst),
        unlisted=int(measured.get(CUT, 0)),
        confusion=tuple(
            (shorten(true.removeprefix("true ")), tuple(f"{count:,}" for count in line.values()))
            for true, line in confusion.items()
        ),
        decided=tuple(shorten(name.removeprefix("decided ")) for name in next(iter(confusion.values()), {})),
        calibration=Markup(draw_calibration(curves[0])._repr_html_()) if curves else "",
        calibration_text=next((f.claim for f in record.findings if "reliability curve" in f.evidence), ""),
    )


def _metric(name: str, line: Mapping[str, Any]) -> MetricLine:
    value, low, high = (line.get(key, float("nan")) for key in ("value", "low", "high"))
    constant = line.get("constant prediction", float("nan"))
    decimals = decimals_for(value, low, high)
    return MetricLine(
        name, format_number(value, decimals), format_interval(low, high, decimals), format_number(constant, decimals),
        {"higher": "↑", "lower": "↓"}.get(str(line.get("better")), ""),
    )  # fmt: skip


def _class(name: str, line: Mapping[str, Any]) -> ClassLine:
    def text(metric: str) -> str:
        value, low, high = (line.get(f"{metric}{end}", float("nan")) for end in ("", " low", " high"))
        return f"{format_number(value, 2)} {format_interval(low, high, 2)}"

    return ClassLine(shorten(name), f"{line.get('rows', 0):,}", text("recall"), text("precision"))


def _recall(line: Mapping[str, Any]) -> float:
    value = line.get("recall")
    return float(value) if isinstance(value, float) and value == value else 2.0
