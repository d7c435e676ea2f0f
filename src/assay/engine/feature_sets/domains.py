# SPDX-License-Identifier: Apache-2.0
"""What the features of a row that are not fixed may be: ranges and levels of reference rows, or a ball around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.basics.types import Floats, Masks
from assay.engine.search.ball import Ball
from assay.nouns.inputs.rows import Rows


@dataclass(frozen=True, eq=False)
class Domain:
    """What each element of one row may be.

    Numbers lie between ``low`` and ``high`` (element,), which include the row's own; those of ``whole`` (element,)
    columns are whole. ``gaps`` (element,) may also be missing. ``coded`` columns have one of ``levels`` (a list for
    each element), and so have numbers whose cells are no intervals. ``x`` (element,) is the row.
    """

    x: Floats
    low: Floats
    high: Floats
    whole: Masks
    gaps: Masks
    coded: Masks
    levels: tuple[Floats, ...]

    def nearest_in(self, element: int, low: Floats, high: Floats) -> Floats:
        """The allowed value nearest to the row's in each interval from ``low`` to ``high`` (interval,); NaN if none."""
        low, high = np.maximum(low, self.low[element]), np.minimum(high, self.high[element])
        own = self.x[element]
        start = own if not np.isnan(own) else 0.5 * (self.low[element] + self.high[element])
        if self.whole[element]:
            low, high = np.ceil(low), np.floor(high)
            start = own if not np.isnan(own) else np.round(start)
        return np.where(low <= high, np.clip(start, low, np.maximum(low, high)), np.nan)

    def listed_values(self, element: int, values: Floats) -> Floats:
        """Those of ``values`` that the element may have, in their order."""
        gap = np.isnan(values) & (self.gaps[element] | np.isnan(self.x[element]))
        return values[np.isin(values, self.levels[element]) | gap]


@dataclass(frozen=True, eq=False)
class Reference:
    """Ranges, levels and gaps of reference rows."""

    low: Floats
    high: Floats
    whole: Masks
    gaps: Masks
    coded: Masks
    levels: tuple[Floats, ...]

    @classmethod
    def of(cls, rows: Rows, reference: Floats) -> Reference:
        """Of reference rows (row, element), in the codes of ``rows``."""
        table = rows.table
        size = reference.shape[1]
        coded = np.zeros(size, dtype=bool) if table is None else np.asarray(table.coded)
        gaps = np.isnan(reference).any(axis=0) & ~coded
        seen = tuple(np.unique(column[~np.isnan(column)]) for column in reference.T)
        low = np.array([one.min(initial=np.inf) for one in seen])
        high = np.array([one.max(initial=-np.inf) for one in seen])
        whole = np.array([bool(len(one)) and bool((one == np.round(one)).all()) for one in seen]) & ~coded
        return cls(low, high, whole, gaps, coded, seen)

    def around(self, x: Floats) -> Domain:
        """What the elements of a row may be: the range or the levels of the reference rows and the row's own value."""
        known = ~np.isnan(x)
        low = np.where(known, np.fmin(self.low, x), self.low)
        high = np.where(known, np.fmax(self.high, x), self.high)
        whole = self.whole & (~known | (x == np.round(x)))
        levels = tuple(one if np.isnan(value) else np.union1d(one, [value]) for one, value in zip(self.levels, x))
        return Domain(x, low, high, whole, self.gaps, self.coded, levels)


def ball_domain(rows: Rows, x: Floats, ball: Ball) -> Domain:
    """The numbers within a ball of norm linf around a row; levels, missing cells and elements of scale 0 stay."""
    table = rows.table
    coded = np.zeros(len(x), dtype=bool) if table is None else np.asarray(table.coded)
    reach = ball.radius * np.broadcast_to(np.array(ball.scale or 1.0), x.shape)
    low, high = np.maximum(x - reach, ball.low), np.minimum(x + reach, ball.high)
    none = np.zeros(len(x), dtype=bool)
    return Domain(x, low, high, none, none, coded, tuple(x[:, None]))


def drawn_completions(domain: Domain, fixed: Masks, draws: int, generator: np.random.Generator) -> Floats:
    """Random completions (draw, element): numbers uniform in their range, levels uniform, gaps in one of ten draws."""
    found = np.repeat(domain.x[None], draws, axis=0)
    for element in np.flatnonzero(~fixed).tolist():
        if domain.coded[element]:
            found[:, element] = generator.choice(domain.levels[element], draws)
            continue
        low, high = domain.low[element], domain.high[element]
        if low <= high:
            found[:, element] = generator.uniform(low, high, draws)
            if domain.whole[element]:
                found[:, element] = generator.integers(int(low), int(high) + 1, draws)
        if domain.gaps[element]:
            found[generator.random(draws) < 0.1, element] = np.nan
    return found
