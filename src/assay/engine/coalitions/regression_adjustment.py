# SPDX-License-Identifier: Apache-2.0
"""Regression-adjusted Leverage SHAP: predictable parts of the game are subtracted before the least squares."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import Literal, get_args

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats
from assay.engine.coalitions import tree_proxy
from assay.engine.coalitions.estimator import Design, Estimator
from assay.engine.coalitions.leverage import PairRegression, draw_pairs, paired_leverage
from assay.engine.coalitions.third_order import MAX_TRIPLES, RidgeFit, ScreenedFit, is_applicable
from assay.nouns.results.result import Estimate, Note

Fit = Literal["auto", "linear", "odd", "sparse", "trees"]
FITS: tuple[Fit, ...] = ("linear", "odd", "sparse", "trees")


def regression_adjusted(fit: Fit) -> Estimator:
    """Paired leverage sampling with this adjustment; all adjustments evaluate the same coalitions."""
    if fit not in get_args(Fit):
        raise InputError(f"fit={fit!r}; there are {', '.join(get_args(Fit))}.")
    if fit == "linear":
        return paired_leverage

    def estimate(design: Design, values: Floats) -> Estimate:
        if design.masks.shape[1] == 1:
            return paired_leverage.estimate(design, values)
        return _estimate(PairRegression(design), values, fit)

    return Estimator(paired_leverage.name, draw_pairs, estimate, allows_absent_parts=True)


def _estimate(pairs: PairRegression, values: Floats, fit: Fit) -> Estimate:
    """The estimate with the requested adjustment, or for each row with that of the smallest estimated variance."""
    difference = pairs.differences(values)
    phi, variance = pairs.solve(difference)
    unadjusted = variance.mean(axis=1)
    chosen, setting = np.zeros(len(values)), np.full(len(values), np.nan)
    for name in _candidates(pairs, fit):
        if name == "trees":
            prediction, tuned = tree_proxy.predict(pairs, values), np.full(len(values), np.nan)
        else:
            prediction, tuned = (RidgeFit(pairs) if name == "odd" else ScreenedFit(pairs)).predict(difference)
        adjusted_phi, adjusted_variance = pairs.solve(difference - prediction)
        better = adjusted_variance.mean(axis=1) < variance.mean(axis=1)
        rows = np.flatnonzero(better | (fit == name))
        phi[rows], variance[rows] = adjusted_phi[rows], adjusted_variance[rows]
        chosen[rows], setting[rows] = FITS.index(name), tuned[rows]
    equal = (values[:, 1] - values[:, 0])[:, None] / pairs.half.shape[1]
    left = np.divide(variance.mean(axis=1), unadjusted, out=np.full(len(values), np.nan), where=unadjusted > 0)
    extra = {"fit": chosen, "setting": setting, "variance_left": left}
    return Estimate(phi + equal, np.sqrt(variance), values[:, 0], extra=extra)


def _candidates(pairs: PairRegression, fit: Fit) -> tuple[Fit, ...]:
    """The adjustments to try in addition to none ("linear")."""
    if not is_applicable(pairs):
        return ()
    if fit == "sparse" and comb(pairs.half.shape[1], 3) > MAX_TRIPLES:
        raise InputError(
            f"fit='sparse' enumerates triples of up to 39 features; there are {pairs.half.shape[1]}. Use fit='odd'."
        )
    if fit != "auto":
        return (fit,)
    return ("odd",)  # the others take about a second per row


def describe_fit(estimate: Estimate, ids: Sequence[str], fit: Fit) -> tuple[Note, ...]:
    """A note with the adjustment that each row's values were estimated with; none for ``fit="linear"``."""
    if "fit" not in estimate.extra or fit == "linear":
        return ()
    chosen, left = estimate.extra["fit"], estimate.extra["variance_left"]
    lines = []
    for number in np.unique(chosen[np.isfinite(chosen)]).astype(int):
        rows = np.flatnonzero(chosen == number)
        ratio = np.nanmedian(left[rows]) if np.isfinite(left[rows]).any() else np.nan
        variance = (
            f" (median variance {ratio:.2g} times that without adjustment)" if number and np.isfinite(ratio) else ""
        )
        lines.append(f"{len(rows)} row(s) with fit {FITS[number]!r}{variance}")
    return (
        (Note("fit", f"regression adjustment of the Shapley estimate, fit={fit!r}: {'; '.join(lines)}", tuple(ids)),)
        if lines
        else ()
    )
