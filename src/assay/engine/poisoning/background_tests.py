# SPDX-License-Identifier: Apache-2.0
"""Whether background rows are drawn like fresh rows: column by column, and in the curves that they give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.seed import Seed
from assay.basics.stats import holm
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.retraining.split_statistics import SplitData
from assay.engine.surrogates.feature_profiles import as_rows, build_grids, substitute
from assay.nouns.inputs.rows import to_floats

FEW = 5.0
"""Expected count below which levels are counted as one."""


def column_p_values(split: SplitData) -> Floats:
    """p of each column (column,), corrected by Holm: Kolmogorov–Smirnov's of numbers, Pearson's χ² of levels.

    Numbers of at most 20 values are levels to the test, since ties make Kolmogorov's too large.
    """
    found = []
    for place, is_coded in enumerate(split.is_coded):
        one, other = split.held_out[:, place], split.train[:, place]
        few = len(np.unique(np.concatenate([one, other]))) <= 20
        found.append(
            level_p_value(one, other)
            if is_coded or few
            else float(scipy_stats.ks_2samp(one, other, method="asymp").pvalue)
        )
    return holm(np.array(found))


def level_p_value(one: Floats, other: Floats) -> float:
    """p of Pearson's χ² for two samples of levels, those expected less than ``FEW`` times counted as one; 1 for one."""
    codes, which = np.unique(np.concatenate([one, other]), return_inverse=True)
    counts = np.stack([np.bincount(side, minlength=len(codes)) for side in np.split(which.ravel(), [len(one)])])
    expected = counts.sum(axis=0) * min(len(one), len(other)) / (len(one) + len(other))
    rare = expected < FEW
    both = np.concatenate([counts[:, ~rare], counts[:, rare].sum(axis=1, keepdims=True)], axis=1)
    both = both[:, both.any(axis=0)]
    return 1.0 if both.shape[1] < 2 else float(scipy_stats.chi2_contingency(both, correction=False).pvalue)


@dataclass(frozen=True, eq=False)
class CurveGap:
    """How far a column's partial dependence on the background is from that on fresh rows.

    ``gap`` is the root mean square difference of the centred curves as a share of the root mean square of the fresh
    one's, ``p`` the share of random splits of all rows in which some column differs more, each in units of its mean
    over the splits. ``curves`` (2, point): background, fresh.
    """

    gap: float
    p: float
    curves: Floats


def curve_gaps(case: Case, background: Floats, fresh: Floats, points: int, splits: int, seed: Seed) -> list[CurveGap]:
    """The gap of every column; each row's curve is evaluated once, and random splits only average them again."""
    rows = np.concatenate([background, fresh])
    generator, count = seed.generator(), len(background)
    orders = np.argsort(generator.random((splits, len(rows))), axis=1)[:, :count]
    member = np.zeros((splits, len(rows)))
    np.put_along_axis(member, orders, 1.0, axis=1)
    own = (np.arange(len(rows)) < count)[None].astype(np.float64)
    shown, sizes = [], []
    for grid in build_grids(case, rows, points):
        x = as_rows(case, substitute(rows, (grid.columns, grid.contents)))
        lines = to_floats(case.value(x, np.zeros(len(x), dtype=np.int64))).reshape(len(grid), len(rows)).T
        lines = lines - lines.mean(axis=1, keepdims=True)
        curves = [weight @ lines / weight.sum(axis=1, keepdims=True) for weight in (own, 1 - own, member, 1 - member)]
        shown.append(np.concatenate(curves[:2]))
        sizes.append(np.concatenate([np.sqrt(((a - b) ** 2).mean(axis=1)) for a, b in (curves[:2], curves[2:])]))
    size = np.stack(sizes, axis=1)
    mean = size[1:].mean(axis=0)
    scaled = np.divide(size, mean, out=np.zeros_like(size), where=mean > 1e-12)
    p = (1 + (scaled[1:].max(axis=1)[:, None] >= scaled[0] - 1e-9).sum(axis=0)) / (1 + splits)
    fresh_size = [float(np.sqrt((one[1] ** 2).mean())) for one in shown]
    shares = [one / scale if scale > 0 else 0.0 for one, scale in zip(size[0].tolist(), fresh_size)]
    return [CurveGap(share, float(one), lines) for share, one, lines in zip(shares, p, shown)]
