# SPDX-License-Identifier: Apache-2.0
"""Radius curve: the share of rows that are certified at least so far."""

from __future__ import annotations

import numpy as np

from assay.basics.stats import clopper_pearson
from assay.basics.types import Floats
from assay.nouns.results.result import Certificate
from assay.report.drawing.formatting import format_number, method_name
from assay.report.plots.panels import SERIES, CurvePanel, Line, axis_over
from assay.report.plots.plot import Plot


def draw_radius_curve(certificate: Certificate) -> Plot:
    """For each certified bound the share of all rows with a bound ≥ x, a decreasing step function, against x.

    Rows without a bound (abstained, NaN) count as below every x. The band is the 95 % interval of the share at each x
    by Clopper and Pearson.
    """
    lines = [_steps(name, values, n) for n, (name, values) in enumerate(certificate.bounds.items())]
    widest = [v for line in lines for v in line.x.tolist()]
    abstained = int(certificate.abstained.sum())
    caption = [
        certificate.theorem,
        f"Abstained on {abstained} of {len(certificate.ids)} rows." if abstained else "",
        "Bands are 95 % intervals of the share over rows.",
    ]
    panel = CurvePanel(
        "", tuple(lines), "certified bound", "share of rows", axis_over(widest, 0.0), axis_over((0.0, 1.0))
    )
    data = {line.name: (line.x, line.y) for line in lines}
    target = certificate.provenance.target
    title = f"{method_name(certificate.method)} of {target}, {len(certificate.ids)} rows"
    return Plot("radius curve", title, (panel,), tuple(filter(None, caption)), data)


def _steps(name: str, values: Floats, place: int) -> Line:
    """The step function: level until each distinct bound, then down to the share of larger bounds."""
    known, count = np.sort(values[np.isfinite(values)]), len(values)
    points = np.unique(known)
    start = min(0.0, float(points[0])) if len(points) else 0.0
    at_least = [int((known >= p).sum()) for p in points]
    x, hits = [start], [len(known)]
    for n, point in enumerate(points):
        after = at_least[n + 1] if n + 1 < len(points) else 0
        x += [float(point), float(point)]
        hits += [at_least[n], after]
    limits = [clopper_pearson(h, count) for h in hits]
    shares = np.array(hits) / max(count, 1)
    band = np.array([limit.low for limit in limits]), np.array([limit.high for limit in limits])
    titles = tuple(f"{name}: {100 * s:.0f} % of rows at {format_number(v)}" for v, s in zip(x, shares))
    return Line(
        name.replace("_", " "),
        np.array(x),
        shares,
        SERIES[place % len(SERIES)],
        band,
        dashed=place % 2 == 1,
        titles=titles,
    )
