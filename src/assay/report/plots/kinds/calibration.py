# SPDX-License-Identifier: Apache-2.0
"""Calibration: the reliability curve, how often an outcome happens where it is predicted with a probability."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import clopper_pearson
from assay.basics.types import Floats
from assay.nouns.records.record import Record
from assay.report.drawing.colours import UP
from assay.report.drawing.formatting import format_number
from assay.report.drawing.svg import Axis
from assay.report.plots.panels import GREY, CurvePanel, Line
from assay.report.plots.plot import Plot

FIELDS = ("predicted", "observed", "count", "low", "high")
"""Arrays (bin,) of a reliability curve; the first two are needed."""


EVIDENCE = "reliability curve"

BINS = {"mean probability": "predicted", "share of events": "observed", "rows": "count", "low": "low", "high": "high"}
"""Names in a bin of the evidence of a finding on calibration, and the arrays that they fill."""


def is_reliability_curve(thing: Any) -> bool:
    """Whether ``thing`` has the mean predictions and observed rates of bins: arrays by name, or a list of bins."""
    if isinstance(thing, Mapping):
        return {"predicted", "observed"} <= set(thing)
    is_list = isinstance(thing, list | tuple) and len(thing) > 0
    return is_list and all(isinstance(part, Mapping) and set(BINS) <= set(part) for part in thing)


def audited_curves(record: Record) -> list[Any]:
    """The reliability curves among the evidence of a record's findings."""
    found = [finding.evidence.get(EVIDENCE) for finding in record.findings]
    return [curve for curve in found if is_reliability_curve(curve)]


def draw_calibration(curve: Any, *, title: str = "Calibration") -> Plot:
    """The observed rate of each bin against its mean predicted probability, with the diagonal of perfect calibration.

    ``curve`` maps "predicted" and "observed" to arrays (bin,) in [0, 1], and may have "count", the rows of each bin,
    and "low" and "high", limits of the observed rate. Without limits and with counts these are Clopper and Pearson's at
    95 %. NaN bins are left out. Counts are columns under the curve. The evidence of an audit, a list of bins, is taken
    as well. ``InputError`` for other shapes or values.
    """
    is_audited = not isinstance(curve, Mapping)
    if is_audited:
        curve = {array: [part[name] for part in curve] for name, array in BINS.items()}
    unknown = sorted(set(curve) - set(FIELDS))
    if unknown or not is_reliability_curve(curve):
        raise InputError(f"a reliability curve has arrays {', '.join(FIELDS)}; got {', '.join(map(str, curve))}.")
    given = {name: _array(name, curve[name]) for name in FIELDS if curve.get(name) is not None}
    sizes = {name: array.shape for name, array in given.items()}
    if len(set(sizes.values())) > 1 or given["predicted"].ndim != 1 or ("low" in given) != ("high" in given):
        raise InputError(f"arrays of a reliability curve are (bin,), low and high together; got shapes {sizes}.")
    band, source = _limits(given, is_audited)
    counts = given.get("count")
    predicted, observed = given["predicted"], given["observed"]
    titles = tuple(
        f"predicted {format_number(p)}, observed {format_number(o)}"
        + (f", {int(counts[i]):,} rows" if counts is not None and np.isfinite(counts[i]) else "")
        for i, (p, o) in enumerate(zip(predicted, observed))
    )
    diagonal = Line("perfect calibration", np.array([0.0, 1.0]), np.array([0.0, 1.0]), GREY, dashed=True)
    line = Line("observed", predicted, observed, UP, band, marks=True, titles=titles)
    most = float(np.nanmax(counts)) if counts is not None and np.nansum(counts) > 0 else 0.0
    columns = (
        ()
        if counts is None or not most
        else tuple((float(p), float(n) / most) for p, n in zip(predicted, counts) if np.isfinite(p) and n > 0)
    )
    unit = Axis(0.0, 1.0)
    panel = CurvePanel("", (diagonal, line), "mean predicted probability", "observed rate", unit, unit, (), columns)
    caption = [
        f"The band is {source}." if source else "",
        f"Columns are rows of each bin, at most {most:,.0f}." if columns else "",
    ]
    return Plot("calibration", title, (panel,), tuple(filter(None, caption)), {**given, "band": band})


def _array(name: str, values: Any) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    known = array[np.isfinite(array)]
    if len(known) and (known.min() < 0 or (name != "count" and known.max() > 1)):
        raise InputError(
            f"{name} lies in {'0 …' if name == 'count' else '[0, 1]'}; got {known.min():g} … {known.max():g}."
        )
    return array


def _limits(given: Mapping[str, Floats], is_audited: bool) -> tuple[tuple[Floats, Floats] | None, str]:
    """Limits of the observed rates, and what they are."""
    if "low" in given:
        what = (
            "the interval of the observed rate (Wilson)" if is_audited else "the interval given with the observed rate"
        )
        return (given["low"], given["high"]), what
    if "count" not in given:
        return None, ""
    pairs = [
        clopper_pearson(round(float(n * rate)), int(n)) if np.isfinite(n * rate) and n > 0 else None
        for n, rate in zip(given["count"], given["observed"])
    ]
    low, high = (np.array([np.nan if p is None else getattr(p, end) for p in pairs]) for end in ("low", "high"))
    return (low, high), "the 95 % interval of the observed rate (Clopper and Pearson)"
