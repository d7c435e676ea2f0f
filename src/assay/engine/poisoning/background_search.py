# SPDX-License-Identifier: Apache-2.0
"""Backgrounds moved within limits so that an explanation follows a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assay.basics.seed import Seed
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.changes.column_rules import Column
from assay.engine.poisoning.explained_curves import Curve

DRAWS = 2.0
"""Cells that a mutation changes in a background row, on average."""


@dataclass(frozen=True, eq=False)
class Movable:
    """A background and how far its cells may move: ``low`` and ``high`` (row, column), whole numbers stay whole.

    Levels (``codes``, by column) change freely among those listed.
    """

    background: Floats
    low: Floats
    high: Floats
    whole: tuple[int, ...]
    codes: dict[int, Floats]

    @classmethod
    def of(cls, background: Floats, columns: Sequence[Column], cap: float) -> Movable:
        """Each number moves by at most ``cap`` standard deviations of its column, within its range; gaps stay."""
        low, high = background.copy(), background.copy()
        for one in columns:
            own = background[:, one.place]
            if not one.is_coded:
                reach = cap * float(np.nanstd(own)) if np.isfinite(own).any() else 0.0
                low[:, one.place] = np.minimum(own, np.maximum(own - reach, one.low))
                high[:, one.place] = np.maximum(own, np.minimum(own + reach, one.high))
        whole = tuple(one.place for one in columns if one.whole and not one.is_coded)
        codes = {one.place: one.allowed for one in columns if one.is_coded and one.allowed is not None}
        return cls(background, low, high, whole, codes)

    def settled(self, x: Floats) -> Floats:
        """The points within the limits, whole numbers rounded toward where they are allowed."""
        found = np.clip(x, self.low, self.high)
        for place in self.whole:
            rounded = np.round(found[:, place])
            inside = (rounded >= self.low[:, place]) & (rounded <= self.high[:, place])
            found[:, place] = np.where(inside, rounded, self.background[:, place])
        for place in self.codes:
            found[:, place] = x[:, place]
        return found

    def drawn(self, seed: Seed, x: Floats | None = None, share: float = 1.0) -> Floats:
        """Uniform draws within the limits for the share ``share`` of the cells; the others stay as in ``x``."""
        generator = seed.generator()
        found = self.low + generator.random(self.low.shape) * (self.high - self.low)
        for place, codes in self.codes.items():
            found[:, place] = generator.choice(codes, len(found))
        start = self.background if x is None else x
        return self.settled(np.where(generator.random(found.shape) < share, found, start))

    @property
    def free(self) -> int:
        """How many columns can move."""
        return int((self.high > self.low).any(axis=0).sum()) + len(self.codes)


def descend(case: Case, curve: Curve, aim: Floats, movable: Movable, steps: int) -> Floats:
    """Signed gradient steps on the mean squared distance from ``aim`` (number,), a share of the limits at a time."""
    x, reach = movable.background.copy(), (movable.high - movable.low) / 2
    best, least = x, np.inf
    for step in range(steps):
        values = curve.values(case, movable.settled(x))
        distance = float(((values - aim) ** 2).mean())
        if distance < least:
            best, least = movable.settled(x), distance
        slope = curve.slope(case, x, 2 * (values - aim) / len(aim))
        size = np.abs(slope).max(axis=0, keepdims=True)
        direction = np.divide(slope, size, out=np.zeros_like(slope), where=size > 0)
        rate = 0.2 * (1 - step / steps)
        x = np.clip(x - rate * reach * np.sign(direction) * np.sqrt(np.abs(direction)), movable.low, movable.high)
    return best


def mutate(case: Case, curve: Curve, aim: Floats, movable: Movable, start: Floats, steps: int, seed: Seed) -> Floats:
    """A genetic search in which every background row is an individual: its mutation stays where the curve comes nearer.

    The numbers are sums over background rows, so the part of each is known, and the mutations of a generation are
    accepted one after another, each judged with those accepted before.
    """
    x, rows = start.copy(), len(start)
    parts = curve.parts(curve.outputs(case, x), rows)
    total = parts.sum(axis=0)
    share = min(1.0, DRAWS / max(movable.free, 1))
    for step in range(steps):
        proposed = movable.drawn(seed.child("generation", step), x, share)
        new = curve.parts(curve.outputs(case, proposed), rows)
        for row in range(rows):
            moved = total + new[row] - parts[row]
            if ((moved - aim) ** 2).sum() < ((total - aim) ** 2).sum():
                total, parts[row], x[row] = moved, new[row], proposed[row]
    return x
