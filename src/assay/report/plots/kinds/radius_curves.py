# SPDX-License-Identifier: Apache-2.0
"""Radius curves: what is certified when r features are added, of several certificates on one axis."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from assay.basics.stats import clopper_pearson
from assay.basics.types import Floats
from assay.nouns.results.result import Certificate
from assay.report.drawing.formatting import format_count, method_name
from assay.report.plots.panels import GREY, SERIES, CurvePanel, Line, axis_over
from assay.report.plots.plot import Plot

HARD, SOFT = "incremental", "rate_low"
"""Bounds that count added features: a radius for every set of features, and the share of the sets at one radius."""


def has_radius_curve(certificate: Certificate) -> bool:
    """Whether the certificate is about features that are added."""
    return HARD in certificate.bounds or (SOFT in certificate.bounds and _radius(certificate) > 0)


def draw_radius_curves(certificates: Mapping[str, Certificate]) -> Plot:
    """What is certified when r features are added to the explained ones, against r.

    Of a hard certificate (MuS) the share of all rows with a radius of at least r; rows that abstain count as not
    certified. The band is the 95 % interval of the share by Clopper and Pearson. Of a soft one (soft stability) the
    mean over rows of the lower limit of the stability rate at r, at every r that was computed; unconnected where some
    were not. Grey: the same for random features.
    """
    lines: list[Line] = []
    for place, (name, certificate) in enumerate(certificates.items()):
        label = method_name(name)
        if HARD in certificate.bounds:
            lines.append(_hard(f"{label}: share of rows", certificate.bounds[HARD], SERIES[place]))
            if HARD in certificate.control:
                lines.append(_hard(f"{label}, random", certificate.control[HARD], GREY, is_control=True))
        elif SOFT in certificate.bounds:
            lines += _soft(label, certificate, SERIES[place])
    widest = [value for line in lines for value in line.x.tolist()]
    panel = CurvePanel(
        "", tuple(lines), "features added, r", "certified at r", axis_over(widest, 0.0), axis_over((0.0, 1.0))
    )
    caption = tuple(_caption(name, certificate) for name, certificate in certificates.items())
    rows = format_count(max((len(c.ids) for c in certificates.values()), default=0), "row")
    data = {line.name: (line.x, line.y) for line in lines}
    return Plot("radius curves", f"Certified when features are added, {rows}", (panel,), caption, data)


def _hard(name: str, values: Floats, colour: str, *, is_control: bool = False) -> Line:
    """The share of all rows with a radius of at least r, for r = 0, 1, … up to the largest and one more."""
    known, count = values[np.isfinite(values)], len(values)
    x = np.arange(0.0, np.floor(known.max(initial=0.0)) + 2)
    hits = [int((known >= r).sum()) for r in x]
    limits = [clopper_pearson(hit, count) for hit in hits]
    band = None if is_control else (np.array([one.low for one in limits]), np.array([one.high for one in limits]))
    shares = np.array(hits) / max(count, 1)
    titles = tuple(f"{name}: {share:.0%} with a radius of at least {r:.0f}" for r, share in zip(x, shares))
    return Line(name, x, shares, colour, band, dashed=is_control, marks=True, titles=titles)


def _soft(label: str, certificate: Certificate, colour: str) -> list[Line]:
    """The mean lower limit of the rate at each radius that was computed, and that of random features.

    At 0 it is 1: nothing is added.
    """
    radius = _radius(certificate)
    table = certificate.extra.get("curve_low", certificate.bounds[SOFT][:, None])
    x = np.arange(radius - table.shape[1] + 1, radius + 1, dtype=np.float64)
    lines = [_means(f"{label}: mean rate", x, table, colour)]
    control = certificate.control.get(SOFT)
    if control is not None:
        lines.append(_means(f"{label}, random", np.array([float(radius)]), control[:, None], GREY))
    return lines


def _means(name: str, x: Floats, table: Floats, colour: str) -> Line:
    """The means over the defined rows, from 1 at radius 0; joined where every radius was computed."""
    known = [column[np.isfinite(column)] for column in table.T]
    means = np.array([1.0, *(column.mean() if len(column) else np.nan for column in known)])
    radii = np.array([0.0, *x])
    titles = tuple(f"{name}: {mean:.1%} at {r:.0f}" for r, mean in zip(radii, means))
    is_joined = bool((np.diff(radii) == 1).all())
    return Line(name, radii, means, colour, dashed=colour == GREY, marks=True, joined=is_joined, titles=titles)


def _radius(certificate: Certificate) -> int:
    """The largest number of features that a soft certificate adds, 0 where it is unknown."""
    given = certificate.provenance.options.get("radius")
    if isinstance(given, int):
        return given
    found = re.search(r"(\d+) features", certificate.unit)
    return int(found.group(1)) if found else 0


def _caption(name: str, certificate: Certificate) -> str:
    kind = {"exact": "proved", "probabilistic": f"with probability {certificate.confidence:.4g} a row"}
    how = kind.get(certificate.guarantee, "an estimate only")
    return f"{method_name(name)}: {how}, for {certificate.certified}."
