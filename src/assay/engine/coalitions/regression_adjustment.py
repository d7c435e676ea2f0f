# SPDX-License-Identifier: Apache-2.0
"""Leverage estimates of Shapley values with what can be predicted of the pairs taken off first."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import Literal, get_args

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats
from assay.engine.coalitions import tree_proxy
from assay.engine.coalitions.leverage import Pairs, paired, paired_leverage
from assay.engine.coalitions.summary import Design, Summary
from assay.engine.coalitions.third_order import FEATURES, Ridge, Screened, offered
from assay.nouns.results.result import Estimate, Note

Fit = Literal["auto", "linear", "odd", "sparse", "trees"]
FITS: tuple[Fit, ...] = ("linear", "odd", "sparse", "trees")


def adjusted(fit: Fit) -> Summary:
    """Paired leverage with this fit; all fits ask the same coalitions."""
    if fit not in get_args(Fit):
        raise InputError(f"fit={fit!r}; there are {', '.join(get_args(Fit))}.")
    if fit == "linear":
        return paired_leverage

    def estimate(design: Design, values: Floats) -> Estimate:
        if design.masks.shape[1] == 1:
            return paired_leverage.estimate(design, values)
        return _estimate(Pairs(design), values, fit)

    return Summary(paired_leverage.name, paired, estimate, partial=True)


def _estimate(pairs: Pairs, values: Floats, fit: Fit) -> Estimate:
    """Each row's fit: the one asked for, or the one whose estimated error is smallest."""
    difference = pairs.differences(values)
    phi, variance = pairs.shared_out(difference)
    plain = variance.mean(axis=1)
    chosen, setting = np.zeros(len(values)), np.full(len(values), np.nan)
    for name in _tried(pairs, fit):
        if name == "trees":
            taken, tuned = tree_proxy.predicted(pairs, values), np.full(len(values), np.nan)
        else:
            taken, tuned = (Ridge(pairs) if name == "odd" else Screened(pairs)).predicted(difference)
        other, spread = pairs.shared_out(difference - taken)
        better = spread.mean(axis=1) < variance.mean(axis=1)
        rows = np.flatnonzero(better | (fit == name))
        phi[rows], variance[rows] = other[rows], spread[rows]
        chosen[rows], setting[rows] = FITS.index(name), tuned[rows]
    equal = (values[:, 1] - values[:, 0])[:, None] / pairs.half.shape[1]
    left = np.divide(variance.mean(axis=1), plain, out=np.full(len(values), np.nan), where=plain > 0)
    extra = {"fit": chosen, "setting": setting, "variance_left": left}
    return Estimate(phi + equal, np.sqrt(variance), values[:, 0], extra=extra)


def _tried(pairs: Pairs, fit: Fit) -> tuple[Fit, ...]:
    """The fits to make beside the linear one."""
    if not offered(pairs):
        return ()
    if fit == "sparse" and comb(pairs.half.shape[1], 3) > FEATURES:
        raise InputError(f"fit='sparse' lists triples, of 39 parts at most; here are {pairs.half.shape[1]}. Use 'odd'.")
    if fit != "auto":
        return (fit,)
    return ("odd",)  # the others take about a second a row


def told(estimate: Estimate, ids: Sequence[str], fit: Fit) -> tuple[Note, ...]:
    """Which fit the rows got, where it was left to choose or could not be made."""
    if "fit" not in estimate.extra or fit == "linear":
        return ()
    chosen, left = estimate.extra["fit"], estimate.extra["variance_left"]
    lines = []
    for place in np.unique(chosen[np.isfinite(chosen)]).astype(int):
        rows = np.flatnonzero(chosen == place)
        ratio = np.nanmedian(left[rows]) if np.isfinite(left[rows]).any() else np.nan
        less = f", {ratio:.2g} of the linear fit's variance" if place and np.isfinite(ratio) else ""
        lines.append(f"{FITS[place]} for {len(rows)} row(s){less}")
    return (Note("fit", f"fit={fit!r}: {'; '.join(lines)}", tuple(ids)),) if lines else ()
