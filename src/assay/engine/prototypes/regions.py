# SPDX-License-Identifier: Apache-2.0
"""The smallest window of a picture that keeps its similarity to a prototype."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.engine.concepts.activations import position_matrix
from assay.engine.pictures.thumbnails import is_shape_of_picture
from assay.engine.prototypes.similarity import best_matches

ROUNDING = 1e-6
"""Share of a similarity that is no loss, but rounding."""


def window_steps(shape: tuple[int, ...]) -> int:
    """Passes for each row and prototype: with all removed, the doublings, and as many halvings."""
    return 1 + 2 * math.ceil(math.log2(max(shape[-2:])))


@dataclass(frozen=True, eq=False)
class WindowSearch:
    """Windows of rows at a layer: the rest of the picture is removed, and the similarity is measured again."""

    case: Case
    layer: str
    remove: Removal
    prototypes: Floats

    def similarity(self, row: int, prototype: int, window: tuple[int, int, int, int]) -> float:
        """s of a row (its best cell) with only the window (top, left, bottom, right) present; mean over fillings."""
        keep = np.zeros((1, *self.case.rows.shape), dtype=bool)
        top, left, bottom, right = window
        keep[..., top:bottom, left:right] = True
        found = []
        for x in self.case.game(self.remove).filling.fill(np.array([row]), keep):
            inner = self.case.take([row]).at(x).from_layer(self.layer)
            s, _ = best_matches(position_matrix(inner), self.prototypes[prototype : prototype + 1])
            found.append(float(s[0, 0]))
        return float(np.mean(found))

    def smallest(self, row: int, prototype: int, s: float, centre: Floats, share: float) -> tuple[Floats, float]:
        """The smallest square around ``centre`` that keeps ``share`` of what ``s`` loses when all is removed.

        By doubling, then bisection: (top, left, bottom, right) and s in it over ``s``, at least ``share``. The whole
        picture, which keeps 1, where no smaller one of those tried does. NaN, and the similarity with all removed over
        ``s``, where that is no smaller than ``s``. The number of passes does not depend on what is found.
        """
        size = self.case.rows.shape[-2:]
        doublings = (window_steps(self.case.rows.shape) - 1) // 2
        high, kept = max(size), 1.0
        window = np.array([0.0, 0.0, *size])
        low, nothing = 0, self.similarity(row, prototype, (0, 0, 0, 0))
        for step in range(2 * doublings):
            side = 2**step if step < doublings else (low + high) // 2
            tried = place_window(centre, max(side, 1), size)
            part = self.similarity(row, prototype, tried)
            if side < high and side > low and part - nothing >= share * (s - nothing):
                high, kept, window = side, part / s, np.array(tried, dtype=np.float64)
            elif low < side < high:
                low = side
        return (window, kept) if nothing < (1 - ROUNDING) * s else (np.full(4, np.nan), nothing / s)


def place_window(centre: Floats, side: int, size: tuple[int, ...]) -> tuple[int, int, int, int]:
    """A square (top, left, bottom, right) around a point, moved inside the picture and cut where it is larger."""
    top, left = (int(np.clip(round(float(c) - side / 2), 0, max(0, n - side))) for c, n in zip(centre, size))
    return top, left, min(top + side, size[0]), min(left + side, size[1])


def cell_centres(positions: Ints, grid: tuple[int, ...], size: tuple[int, ...]) -> Floats:
    """The middle (…, 2) of cells of a grid in pixels."""
    row, column = np.divmod(positions, grid[1])
    return np.stack([(row + 0.5) * size[0] / grid[0], (column + 0.5) * size[1] / grid[1]], axis=-1)


def is_picture(case: Case, inner: Case) -> bool:
    """Whether rows are pictures and the layer gives maps (unit, height, width)."""
    return is_shape_of_picture(case.rows.shape) and len(inner.rows.shape) == 3


def evidence_rows(values: Floats, label: Ints, classes: Ints, most: int) -> Ints:
    """The ``most`` prototypes (row, place) with the most points, those of the row's class before all others."""
    order = [np.lexsort((-values[row], classes != one))[:most] for row, one in enumerate(label)]
    return np.array(order, dtype=np.int64).reshape(len(values), -1)
