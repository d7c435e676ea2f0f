# SPDX-License-Identifier: Apache-2.0
"""The certificates of an audit: their bounds in numbers, and the share of rows that is certified at each radius."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from assay.nouns.records.record import Record
from assay.nouns.results.result import Certificate
from assay.report.drawing.formatting import format_number, method_name
from assay.report.drawing.svg import draw_coverage
from assay.report.plots.kinds.radius_curves import draw_radius_curves, has_radius_curve
from assay.report.robustness.certified_rows import certified_accuracy

NAMESPACE = ' xmlns="http://www.w3.org/2000/svg"'
"""The attribute that a picture needs as a file, and not on a page."""

BOUNDS = {
    "rate_low": "lower limit of the stability rate",
    "size": "number of features that fix the class",
    "incremental": "radius for added features",
    "decremental": "radius for removed features",
    "drop": "decrease of the target",
    "share_low": "lower limit of the share of the ball",
    "overlap": "share of the top features that stays",
    "margin": "lower limit of the margin",
    "change": "largest change of the values",
}
"""Bounds of certificates as text on the page."""


@dataclass(frozen=True)
class Bound:
    """A bound over rows as text; ``random`` is the median for a random explanation, empty where there is none."""

    name: str
    median: str
    smallest: str
    largest: str
    random: str
    figure: Markup


@dataclass(frozen=True)
class CertificateView:
    """One certificate: the explanation that it is about (empty: predictions), its bounds, and its accuracy as text."""

    name: str
    certificate: Certificate
    about: str
    bounds: tuple[Bound, ...]
    accuracy: str


@dataclass(frozen=True)
class Certificates:
    """All certificates of an audit, and the curves of those that count added features; empty where there are none."""

    views: tuple[CertificateView, ...] = ()
    curves: Markup | str = ""


def view_certificates(record: Record) -> Certificates:
    """The certificates of a record."""
    named = {name: c for name, c in record.certificates.items() if has_radius_curve(c)}
    curves = Markup(draw_radius_curves(named)._repr_html_().replace(NAMESPACE, "")) if named else ""
    return Certificates(tuple(_view(record, name, c) for name, c in record.certificates.items()), curves)


def _view(record: Record, name: str, certificate: Certificate) -> CertificateView:
    return CertificateView(
        name, certificate, _about(record, name), _bounds(certificate), _accuracy(record, certificate)
    )


def _about(record: Record, name: str) -> str:
    one = record.certified.get(name)
    if one is None:
        return ""
    what = f"the top {one.share:.0%} of the features by" if one.share else "the values of"
    return f"{what} {method_name(one.explanation)}"


def _accuracy(record: Record, certificate: Certificate) -> str:
    value = certified_accuracy(record, certificate)
    return f"{value:.2f}" if math.isfinite(value) else ""


def _bounds(certificate: Certificate) -> tuple[Bound, ...]:
    found = []
    for quantity, values in certificate.bounds.items():
        known = values[~np.isnan(values)]
        quantiles = np.quantile(known, (0.5, 0.0, 1.0)) if len(known) else np.full(3, np.nan)
        median, smallest, largest = (format_number(v) if len(known) else "abstained" for v in quantiles.tolist())
        label = BOUNDS.get(quantity, quantity.replace("_", " "))
        control = np.asarray(certificate.control.get(quantity, ()), dtype=np.float64)
        other = control[~np.isnan(control)]
        random = format_number(float(np.median(other))) if len(other) else "abstained" if len(control) else ""
        figure = draw_coverage(values.tolist(), f"share of rows certified at {label} ≥ x", control.tolist())
        found.append(Bound(label, median, smallest, largest, random, figure))
    return tuple(found)
