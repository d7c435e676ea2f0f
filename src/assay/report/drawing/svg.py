# SPDX-License-Identifier: Apache-2.0
"""Charts in SVG. Positions along the axis are percentages, so that a chart fits any width without scaling.

Sizes and vertical positions of strips and bars are in ``style.css``: the vertical middle is 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from assay.nouns.comparisons.audit_comparison import Drift
from assay.nouns.results.finding import Finding
from assay.report.drawing.formatting import VERDICTS, finding_numbers, format_number


@dataclass(frozen=True)
class Axis:
    """A linear axis from ``low`` (0 %) to ``high`` (100 %)."""

    low: float
    high: float

    @staticmethod
    def of(values: Iterable[float | None], margin: float = 0.08) -> Axis:
        """The axis over all finite values with a relative margin on both sides."""
        known = [v for v in values if v is not None and math.isfinite(v)]
        low, high = min(known, default=0.0), max(known, default=0.0)
        pad = margin * (high - low) or 0.5 * abs(high) or 1.0
        return Axis(low - pad, high + pad)

    def share(self, value: float) -> float:
        """The position of a value, 0 … 1; values outside the axis, also infinite ones, are at its end."""
        return (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)

    def at(self, value: float) -> str:
        """The position of a value as a percentage."""
        return percent_text(self.share(value))

    def span(self, low: float, high: float) -> str:
        """The distance between two values."""
        return percent_text((float(self.at(high)[:-1]) - float(self.at(low)[:-1])) / 100)


def percent_text(share: float) -> str:
    """A share as percentage with at most one decimal: a tenth of a per cent of a chart is less than a pixel."""
    return f"{100 * share:.1f}".removesuffix(".0") + "%"


def draw_strip(finding: Finding, sibling: Finding | None = None) -> Markup:
    """Dot, interval bar, dashed threshold, shaded passing side and grey null tick; empty where nothing is defined.

    ``sibling`` is a finding on the same axis.
    """
    interval, threshold = finding.interval, finding.threshold
    ends = (interval.low, interval.high) if interval is not None else (math.nan, math.nan)
    if not any(math.isfinite(v) for v in (finding.estimate, *ends)):
        return Markup("")
    axis = Axis.of([v for f in (finding, sibling) if f is not None for v in _numbers(f)], 0.12)
    shapes = [RAIL]
    if threshold is not None and finding.direction:
        most = finding.direction == "at most"
        x, width = (
            ("0%", axis.span(axis.low, threshold)) if most else (axis.at(threshold), axis.span(threshold, axis.high))
        )
        shapes.insert(0, Markup('<rect class="passing" x="{}" width="{}"/>').format(x, width))
    if finding.null is not None and math.isfinite(finding.null):
        shapes.append(draw_tick("null", axis.at(finding.null), 8))
    if not any(map(math.isnan, ends)):
        shapes.append(draw_span("interval", axis.at(ends[0]), axis.at(ends[1])))
    if threshold is not None:
        shapes.append(draw_tick("threshold", axis.at(threshold), 13))
    if math.isfinite(finding.estimate):
        shapes.append(draw_dot("dot", axis.at(finding.estimate)))
    estimate, bounds, need = finding_numbers(finding)
    title = " ".join(filter(None, (estimate, bounds, need)))
    return draw_shapes(VERDICTS[finding.verdict].tone, title, shapes)


def _numbers(finding: Finding) -> tuple[float | None, ...]:
    ends = (finding.interval.low, finding.interval.high) if finding.interval is not None else ()
    return finding.estimate, *ends, finding.threshold, finding.null


RAIL = Markup('<line class="rail" x2="100%"/>')
"""The axis of a strip."""


def draw_tick(kind: str, x: str, half: int) -> Markup:
    """A vertical line from ``half`` above the middle to as much below."""
    return Markup('<line class="{0}" x1="{1}" x2="{1}" y1="-{2}" y2="{2}"/>').format(kind, x, half)


def draw_span(kind: str, low: str, high: str) -> Markup:
    """A horizontal line."""
    return Markup('<line class="{}" x1="{}" x2="{}"/>').format(kind, low, high)


def draw_dot(kind: str, x: str) -> Markup:
    """A circle."""
    return Markup('<circle class="{}" cx="{}"/>').format(kind, x)


def draw_shapes(kind: str, title: str, shapes: Iterable[Markup]) -> Markup:
    """A strip of shapes; ``kind`` has its tone and, for a lower strip, "low" or "thin"."""
    name = f"strip {kind}".strip()
    return Markup('<svg class="{}" role="img"><title>{}</title>{}</svg>').format(name, title, Markup("").join(shapes))


def draw_bar(value: float, low: float, high: float, axis: Axis) -> Markup:
    """A bar from 0 with its interval as whisker; pale where the interval covers 0; empty where it is undefined."""
    if not math.isfinite(value):
        return Markup("")
    left, right = min(value, 0.0), max(value, 0.0)
    has_whisker = math.isfinite(low) and math.isfinite(high) and high > low
    kind = ("up" if value >= 0 else "down") + (" pale" if has_whisker and low <= 0 <= high else "")
    body = Markup('<rect class="{}" x="{}" width="{}"/>').format(kind, axis.at(left), axis.span(left, right))
    if has_whisker:
        body += draw_span("whisker", axis.at(low), axis.at(high))
    return Markup('<svg class="bar" aria-hidden="true">{}</svg>').format(body)


def draw_balance(base: float, total: float, output: float) -> Markup:
    """Base value (hollow), base value plus all attributions (line), output (full); the residual is dashed."""
    axis = Axis.of((base, total, output), 0.06)
    return Markup(
        '<svg class="balance" width="100%" height="18" role="img">'
        "<title>base value {}, output {}, residual {}</title>"
        '<line class="sum" x1="{b}" x2="{r}" y1="9" y2="9"/><line class="residual" x1="{r}" x2="{o}" y1="9" y2="9"/>'
        '<circle class="base" cx="{b}" cy="9" r="4"/><circle class="output" cx="{o}" cy="9" r="4.5"/></svg>'
    ).format(
        format_number(base),
        format_number(output),
        format_number(output - total),
        b=axis.at(base),
        r=axis.at(total),
        o=axis.at(output),
    )


def draw_attack(before: float, after: float, random: float) -> Markup:
    """The attacked quantity before (hollow), after (full), and after a random perturbation of the same size (grey)."""
    axis = Axis.of((before, after, random, 0.0))
    parts = [RAIL]
    if math.isfinite(random):
        parts.append(draw_tick("null", axis.at(random), 8))
    if math.isfinite(before) and math.isfinite(after):
        parts.append(draw_span("change", axis.at(before), axis.at(after)))
    parts += [draw_dot(k, axis.at(value)) for k, value in (("base", before), ("dot", after)) if math.isfinite(value)]
    numbers = (format_number(before), format_number(after), format_number(random))
    return draw_shapes("attack", "before {}, after {}, after a random perturbation {}".format(*numbers), parts)


def draw_similarity(drift: Drift) -> Markup:
    """Similarity of two explanations: mean (dot), interval (bar), and the range under re-running alone (grey)."""
    interval, (low, high) = drift.interval, drift.band
    if not math.isfinite(drift.mean):
        return Markup("")
    axis = Axis.of((drift.mean, interval.low, interval.high, low, high, 0.0, 1.0), 0.03)
    parts = [RAIL]
    if math.isfinite(low) and math.isfinite(high):
        parts.append(
            draw_tick("null", axis.at(low), 10)
            if high == low
            else Markup('<rect class="rerun" x="{}" width="{}"/>').format(axis.at(low), axis.span(low, high))
        )
    if math.isfinite(interval.low) and math.isfinite(interval.high):
        parts.append(draw_span("interval", axis.at(interval.low), axis.at(interval.high)))
    parts.append(draw_dot("dot", axis.at(drift.mean)))
    numbers = (format_number(value) for value in (drift.mean, interval.low, interval.high, low, high))
    title = "mean {}, interval {} to {}; re-running alone {} to {}".format(*numbers)
    return draw_shapes("attack" if drift.drifted else "info", title, parts)


SIDE = 150
"""Side of a square plot in pixels."""


def draw_roc(points: Sequence[tuple[float, float]], across: str, up: str, title: str) -> Markup:
    """A receiver operating characteristic: rates in [0, 1] on both axes, with the diagonal of chance."""
    path = "M" + "L".join(f"{30 + SIDE * x:.0f} {6 + SIDE * (1 - y):.0f}" for x, y in points)
    return Markup(
        '<svg class="plot" width="{w}" height="{h}" role="img"><title>{}</title>'
        '<rect class="frame" x="30" y="6" width="{s}" height="{s}"/>'
        '<path class="chance" d="M30 {b}L{e} 6"/><path class="line" d="{}"/>'
        '<text x="24" y="14" text-anchor="end">1</text>'
        '<text x="24" y="{b}" text-anchor="end">0</text><text x="{m}" y="{t}" text-anchor="middle">{}</text>'
        '<text transform="translate(12 {v}) rotate(-90)" text-anchor="middle">{}</text></svg>'
    ).format(
        title,
        path,
        across,
        up,
        w=SIDE + 46,
        h=SIDE + 30,
        s=SIDE,
        b=SIDE + 6,
        e=SIDE + 30,
        m=30 + SIDE / 2,
        t=SIDE + 24,
        v=6 + SIDE / 2,
    )


def draw_coverage(values: Sequence[float], title: str, control: Sequence[float] = ()) -> Markup:
    """Share of rows certified at ≥ x against x, a decreasing step function; dashed for a random explanation.

    Rows without a bound (NaN) count as below every x. Empty where no bound is above 0.
    """
    most = max((v for v in (*values, *control) if math.isfinite(v)), default=0.0)
    if most <= 0:
        return Markup("")
    lines = [("line", values), *([("chance", control)] if control else [])]
    paths = Markup("").join(
        Markup('<path class="{}" d="{}"/>').format(kind, _steps_down(numbers, most))
        for kind, numbers in reversed(lines)
    )
    return Markup(
        '<svg class="plot" width="220" height="84" role="img"><title>{}</title><path class="frame" d="M0 4V64H180"/>'
        '{}<text x="0" y="80">0</text><text x="180" y="80" text-anchor="middle">{}</text></svg>'
    ).format(title, paths, format_number(most))


def _steps_down(values: Sequence[float], most: float) -> str:
    """The path of a coverage curve, from 0 to ``most``."""
    known, width, height, count = sorted(v for v in values if math.isfinite(v)), 180, 60, len(values)
    steps = [f"M0 {height * (1 - len(known) / count) + 4:.1f}"]
    for below, value in enumerate(known, 1):
        if below == len(known) or known[below] > value:  # equal values are one step
            x = width * max(0.0, value) / most
            steps.append(f"H{x:.0f}V{height * (1 - (len(known) - below) / count) + 4:.1f}")
    return "".join(steps)
