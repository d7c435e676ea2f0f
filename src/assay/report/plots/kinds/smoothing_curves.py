# SPDX-License-Identifier: Apache-2.0
"""Curves of the experiments on multiplicative smoothing: certified shares against the radius, accuracy against λ."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from assay.nouns.comparisons.mus_experiment import BY, AccuracyLine, By, MusExperiment, StabilityLine, step_shares
from assay.report.drawing.formatting import method_name
from assay.report.plots.panels import GREY, SERIES, CurvePanel, Line, axis_over
from assay.report.plots.plot import Plot

SEARCHED = ("shapley", "random")
"""Explanations whose search is drawn next to what is certified."""


def draw_certified_shares(experiment: MusExperiment, *, subject: str = "") -> Plot:
    """For each λ the share of rows that are consistent and certified to stay when r features are added, against r.

    Dashed: the share that a search leaves unchanged, an upper bound on the share that is stable. ``subject`` is by
    default the first one.
    """
    name = experiment.subject(subject or experiment.subjects[0].name).name
    lines = experiment.stability_of(name)
    panels: list[CurvePanel] = []
    data: dict[str, Any] = {}
    for smoothing in dict.fromkeys(line.smoothing for line in lines):
        drawn = [line for line in lines if line.smoothing == smoothing]
        curves = [_certified(line, place) for place, line in enumerate(drawn)]
        curves += [
            _unchanged(line, place)
            for place, line in enumerate(drawn)
            if line.explanation in SEARCHED and line.attacked
        ]
        data |= {f"λ = {_text(smoothing)}: {curve.name}": (curve.x, curve.y) for curve in curves}
        panels.append(_panel(f"λ = {_text(smoothing)}", curves))
    caption = (
        "Solid: consistent and certified, the inequality strict. Dashed: left unchanged by a search.",
        "Both are shares of all rows; features are added to the explained ones, a quarter of each row's.",
    )
    return Plot("radius curve", f"Certified share of rows, {name}", tuple(panels), caption, data)


def draw_accuracy_curves(experiment: MusExperiment, *, subject: str = "") -> Plot:
    """The accuracy of the smoothed model against λ, by votes and by mean probabilities, with 95 % Wilson limits.

    Where labels are unknown the agreement with the model itself is drawn. ``subject`` is by default every one.
    """
    names = [experiment.subject(subject).name] if subject else [one.name for one in experiment.subjects]
    panels: list[CurvePanel] = []
    data: dict[str, Any] = {}
    for name in names:
        lines = experiment.accuracy_of(name)
        known: list[By] = [by for by in BY if any(getattr(line, by) is not None for line in lines)]
        curves = [_accuracy(lines, by, place) for place, by in enumerate(known)] or [_agreement(lines)]
        data |= {f"{name}: {curve.name}": (curve.x, curve.y) for curve in curves}
        marks = tuple(_text(line.smoothing) for line in lines)
        axis = axis_over((), 0.0, max(1.0, len(lines) - 1.0))
        share = axis_over((0.0, 1.0))
        panels.append(CurvePanel(name, tuple(curves), "λ, share of features kept", "share of rows", axis, share, marks))
    caption = ("Bands are 95 % limits over rows.",)
    return Plot("accuracy curve", "Accuracy of the smoothed model", tuple(panels), caption, data)


def _panel(title: str, curves: Sequence[Line]) -> CurvePanel:
    x = axis_over([value for curve in curves for value in curve.x.tolist()], 0.0, 1.0)
    return CurvePanel(title, tuple(curves), "features added, r", "share of rows", x, axis_over((0.0, 1.0)))


def _certified(line: StabilityLine, place: int) -> Line:
    radii, shares = step_shares(line, "incremental")
    return _line(_name(line), radii, shares, _colour(line, place), marks=True)


def _unchanged(line: StabilityLine, place: int) -> Line:
    radii, _ = step_shares(line, "incremental")
    shares = np.array([line.unchanged(float(r)) for r in radii])
    return _line(f"{_name(line)}, search", radii, shares, _colour(line, place), dashed=True)


def _accuracy(lines: Sequence[AccuracyLine], by: By, place: int) -> Line:
    limits = [line.interval(by) for line in lines]
    band = np.array([one.low for one in limits]), np.array([one.high for one in limits])
    rates = np.array([line.accuracy(by) for line in lines])
    return _line(by, np.arange(len(lines), dtype=float), rates, SERIES[place], marks=True, band=band)


def _agreement(lines: Sequence[AccuracyLine]) -> Line:
    rates = np.array([line.agreement for line in lines])
    return _line("agreement with the model", np.arange(len(lines), dtype=float), rates, SERIES[2], marks=True)


def _line(name: str, x: Any, y: Any, colour: str, **style: Any) -> Line:
    titles = tuple(f"{name}: {100 * share:.0f} % at {at:g}" for at, share in zip(x, y))
    return Line(name, x, y, colour, titles=titles, **style)


def _colour(line: StabilityLine, place: int) -> str:
    return GREY if line.explanation == "random" else SERIES[place % (len(SERIES) - 1)]


def _name(line: StabilityLine) -> str:
    return "random" if line.explanation == "random" else method_name(line.explanation)


def _text(smoothing: float) -> str:
    return str(Fraction(smoothing).limit_denominator(1000))
