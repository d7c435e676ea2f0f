# SPDX-License-Identifier: Apache-2.0
"""How good the model is: the metrics of the performance findings, with those of a constant prediction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from assay.nouns.records.record import Record
from assay.nouns.results.finding import Finding
from assay.report.drawing.formatting import (
    VERDICTS,
    decimals_for,
    finding_numbers,
    format_interval,
    format_number,
    join_names,
    metric_label,
    shorten,
)
from assay.report.plots.kinds.calibration import audited_curves, draw_calibration

METRICS, CLASSES, CONFUSION = "metrics", "by class", "confusion matrix"
CUT = "classes with fewer rows, not listed"
"""Keys of the evidence of a performance finding."""

MAX_CLASSES = 6
"""Classes that are listed, those with the lowest recall first."""


MAX_CONFUSION = 12
"""Classes of a confusion matrix that is drawn."""

FEW, LARGE = 5, 1000
"""Classes up to which the names above the columns are written across, and the count from which the cells of more
classes are percentages of the true class, so that they fit next to each other."""


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
    in_percent: bool = False
    calibration: Markup | str = ""
    calibration_text: str = ""
    generalisation: str = ""


def performance(record: Record) -> Performance:
    """The performance of the model of a record."""
    measured: Mapping[str, Any] = next((f.evidence for f in record.findings if METRICS in f.evidence), {})
    if not measured:
        return Performance()
    classes = measured.get(CLASSES, {})
    worst = sorted(classes, key=lambda name: _recall(classes[name]))[:MAX_CLASSES]
    confusion = measured.get(CONFUSION, {}) if len(classes) <= MAX_CONFUSION else {}
    largest = max((int(count) for line in confusion.values() for count in line.values()), default=0)
    in_percent = len(confusion) > FEW and largest >= LARGE
    curves = audited_curves(record)
    return Performance(
        metrics=tuple(_metric(name, line) for name, line in measured[METRICS].items()),
        classes=tuple(_class(name, classes[name]) for name in worst),
        more_classes=len(classes) - len(worst),
        unlisted=int(measured.get(CUT, 0)),
        confusion=tuple(
            (shorten(true.removeprefix("true ")), _cells(line, in_percent=in_percent))
            for true, line in confusion.items()
        ),
        in_percent=in_percent,
        decided=tuple(shorten(name.removeprefix("decided ")) for name in next(iter(confusion.values()), {})),
        calibration=Markup(draw_calibration(curves[0])._repr_html_()) if curves else "",
        calibration_text=describe_calibration(record),
        generalisation=describe_generalisation(record),
    )


RANKING, VALUES, DECISIONS, GENERALISATION = "PER101", "PER102", "PER103", "PRV103"
"""Checks of the ranking of classes, of a regression's values and of decisions; the gap to the training rows."""

SQUARED = "mean squared error"
"""The metric of the gap of a regression; the page prints its root on both sides."""


def describe_quality(record: Record) -> str:
    """The main metrics against those of a constant prediction, and whether the model is shown to be better.

    Accuracy and AUC, or R² and MAE. Where nothing was measured, the reason, and what would enable it.
    """
    found = {f.code: f for f in record.findings if f.code.startswith("PER1")}
    metrics: Mapping[str, Any] = next((f.evidence[METRICS] for f in found.values() if METRICS in f.evidence), {})
    names = [name for name in (("R²", "MAE") if "R²" in metrics else ("accuracy", "AUC")) if name in metrics]
    if names:
        lines = [_metric(name, metrics[name]) for name in names]
        measured = join_names([f"{line.name} {line.value} {line.bounds}".rstrip() for line in lines])
        constant = join_names([line.constant for line in lines])
        weakest = _weakest_class(found.values())
        return f"Model quality: {measured} (constant prediction: {constant}); {_shown_better(found)}{weakest}."
    answered = [f for f in found.values() if f.verdict in ANSWERED]
    if answered:
        return f"Model quality: {answered[0].claim.rstrip('.')}."
    if found:
        return f"The quality of the model was not measured: {next(iter(found.values())).claim.rstrip('.')}."
    missing = next((item for item in record.not_run if item.what == "diagnose.performance"), None)
    if missing is None:
        return "The quality of the model was not checked in this audit."
    return f"The quality of the model was not checked: {missing.why.rstrip('.')}. {_enable(missing.enable)}"


def _weakest_class(found: Iterable[Finding]) -> str:
    """The class with the lowest recall, where it is below one half."""
    classes: Mapping[str, Any] = next((f.evidence[CLASSES] for f in found if CLASSES in f.evidence), {})
    name = min(classes, key=lambda one: _recall(classes[one]), default="")
    if not name or not _recall(classes[name]) < 0.5:
        return ""
    return f"; lowest recall: {shorten(name)} {_recall(classes[name]):.2f}"


ANSWERED = ("pass", "fail", "undecided", "informative")
"""Verdicts of checks that measured something."""


def _enable(argument: str) -> str:
    if argument.startswith("y="):
        return "Give the true labels: assay.audit(model, x, y), or --target COLUMN on the command line."
    return f"Enable it with {argument}."


def _shown_better(found: Mapping[str, Finding]) -> str:
    """Which of ranking, values and decisions are shown to be better than those of a constant prediction."""
    named = ((RANKING, "ranking of rows"), (VALUES, "predictions"), (DECISIONS, "decisions"))
    states = {name: _state(found[code]) for code, name in named if code in found and found[code].verdict in ANSWERED}
    by_state = {
        state: [f"its {n}" for n, s in states.items() if s == state] for state in dict.fromkeys(states.values())
    }
    texts = [
        f"{join_names(names)} {'is' if names == ['its ranking of rows'] else 'are'} {state}"
        for state, names in by_state.items()
    ]
    return "; ".join(texts) or "whether it is better was not tested"


def _state(finding: Finding) -> str:
    low, high = (math.nan, math.nan) if finding.interval is None else (finding.interval.low, finding.interval.high)
    if low > 0 and finding.verdict != "fail":
        return "shown to be better"
    return "shown to be worse" if high < 0 else "not shown to be better"


def describe_generalisation(record: Record) -> str:
    """The metric on training rows against unseen rows, and whether the model is shown to fit its training rows better.

    Empty where it was not measured.
    """
    found = next((f for f in record.findings if f.code == GENERALISATION and f.interval is not None), None)
    if found is None or found.interval is None:
        return ""
    sides = {key.removesuffix(" inside"): key for key in found.evidence if key.endswith(" inside")}
    what = next(iter(sides), "")
    values: list[Any] = [found.evidence.get(f"{what} {side}") for side in ("inside", "outside")]
    low, high = found.interval.low, found.interval.high
    is_squared = what == SQUARED
    decimals = decimals_for(found.estimate, low, high)
    bounds = f"{format_number(found.estimate, decimals)} {format_interval(low, high, decimals)}".rstrip()
    gap = f"gap{' of the squared errors' * is_squared} {bounds}"
    start = ""
    if what and all(isinstance(value, float) for value in values):
        shown = [math.sqrt(value) for value in values] if is_squared else values
        inside, outside = (format_number(value, decimals_for(*shown)) for value in shown)
        start = f"{'RMSE' if is_squared else what} {inside} on training rows against {outside} on unseen rows, "
    if low > 0:
        end = "the model fits its training rows better than unseen ones"
    elif high < 0:
        end = "the model fits unseen rows better than its training rows: check the split"
    else:
        end = "it is not shown that the model fits its training rows better than unseen ones"
    return f"Overfitting: {start}{gap}: {end} ({found.code})."


def describe_calibration(record: Record) -> str:
    """The calibration error with interval, threshold and verdict, and apart from them the null band."""
    found = next((f for f in record.findings if "reliability curve" in f.evidence), None)
    if found is None:
        return ""
    numbers = ", ".join(filter(None, (" ".join(filter(None, finding_numbers(found)[:2])), finding_numbers(found)[2])))
    text = f"Calibration error {numbers}: {VERDICTS[found.verdict].one} ({found.code})."
    if found.null is None:
        return text
    band = f"[0, {format_number(found.null, decimals_for(found.estimate, found.null))}]"
    return f"{text} Null band {band}: 95 % of the errors of calibrated models on samples of this size."


def _metric(name: str, line: Mapping[str, Any]) -> MetricLine:
    value, low, high = (line.get(key, float("nan")) for key in ("value", "low", "high"))
    constant = line.get("constant prediction", float("nan"))
    decimals = decimals_for(value, low, high)
    return MetricLine(
        metric_label(name), format_number(value, decimals), format_interval(low, high, decimals),
        format_number(constant, decimals), {"higher": "↑", "lower": "↓"}.get(str(line.get("better")), ""),
    )  # fmt: skip


def _cells(line: Mapping[str, int], *, in_percent: bool) -> tuple[str, ...]:
    """The cells of one true class: counts, or percentages of its rows."""
    total = sum(line.values())
    if in_percent and total:
        return tuple(
            "0" if not count else f"{100 * count / total:.0f}" if 200 * count >= total else "<1"
            for count in line.values()
        )
    return tuple(f"{count:,}" for count in line.values())


def _class(name: str, line: Mapping[str, Any]) -> ClassLine:
    def text(metric: str) -> str:
        value, low, high = (line.get(f"{metric}{end}", float("nan")) for end in ("", " low", " high"))
        return f"{format_number(value, 2)} {format_interval(low, high, 2)}"

    return ClassLine(shorten(name), f"{line.get('rows', 0):,}", text("recall"), text("precision"))


def _recall(line: Mapping[str, Any]) -> float:
    value = line.get("recall")
    return float(value) if isinstance(value, float) and value == value else 2.0
