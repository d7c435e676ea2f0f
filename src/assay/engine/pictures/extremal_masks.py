# SPDX-License-Identifier: Apache-2.0
"""The mask of a given area that keeps the target highest (Fong et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints
from assay.engine.adam import Adam
from assay.engine.pictures.soft_masks import MaskSpace, SoftRemoval

TIE = 1e-6
"""The largest difference between cells that the derivative may overrule in their order."""


@dataclass(frozen=True)
class ExtremalOptions:
    """``areas`` of the picture, ``steps`` of Adam at ``rate``; the area's weight grows from ``weight`` by ``growth``.

    The target is measured in units of its change from nothing kept to everything kept.
    """

    areas: tuple[float, ...]
    steps: int
    rate: float
    weight: float
    growth: float

    def __post_init__(self) -> None:
        known = len(self.areas) and all(0 < one <= 1 for one in self.areas)
        if not known or any(a >= b for a, b in zip(self.areas, self.areas[1:])):
            raise InputError(
                f"areas={self.areas}; needed are shares of the picture above 0, at most 1, in rising order."
            )
        if self.steps < 1 or not self.rate > 0 or not self.weight > 0 or not self.growth >= 1:
            raise InputError(
                f"steps={self.steps}, rate={self.rate}, weight={self.weight}, growth={self.growth}; needed are steps ≥ "
                f"1, rate > 0, weight > 0 and growth ≥ 1."
            )


def extremal_masks(space: MaskSpace, removal: SoftRemoval, scale: Floats, options: ExtremalOptions) -> Floats:
    """Cells (row, area, cell) in 0 … 1 that hold each area exactly: 1 for the cells that the search ranks highest.

    Maximises h(m) / ``scale`` − λ Σ w (sort(m) − r_a)², r_a the template of area a, by projected Adam from ½, all areas
    of all rows at once; then m is replaced by the template in its own order. ``scale`` (row,) is the unit of h.
    """
    import torch

    rows, areas = len(space.case), len(options.areas)
    which = np.repeat(np.arange(rows), areas)
    wanted = torch.as_tensor(np.tile(options.areas, rows))[:, None]
    weights, unit = torch.as_tensor(space.weights(which)), torch.as_tensor(scale[which])[:, None]
    z = torch.full((len(which), space.cells), 0.5, dtype=torch.float64)
    adam = Adam()
    for number in range(options.steps):
        pull = options.weight * options.growth ** (number / max(1, options.steps - 1))
        with torch.enable_grad():
            variables = z.detach().requires_grad_(True)
            mask = space.decode(variables, which)
            given = removal.slope(mask, which)
            upward = torch.autograd.grad((mask * given).sum(), variables)[0] / unit
        ordered, order, template = _templates(z, upward, weights, wanted)
        distance = torch.zeros_like(z).scatter(1, order, ordered - template)
        slope = upward - 2 * pull * weights * distance
        z = (z + options.rate * adam.step(slope)).clamp(0, 1)
    _, order, template = _templates(z, upward, weights, wanted)
    held = torch.zeros_like(z).scatter(1, order, template)
    return np.asarray(held.reshape(rows, areas, space.cells).numpy())


def _templates(z: Any, upward: Any, weights: Any, wanted: Any) -> tuple[Any, Any, Any]:
    """The cells of each line from the highest, their order, and the template of its area in that order.

    Equal cells, of which there are many at 1, are ordered by the target's derivative.
    """
    import torch

    largest = upward.abs().amax(dim=1, keepdim=True).clamp(min=1e-300)
    order = torch.sort(z + TIE * upward / largest, dim=1, descending=True, stable=True)[1]
    share = torch.gather(weights, 1, order)
    before = torch.cumsum(share, dim=1) - share
    room = (wanted - before) / torch.where(share > 0, share, torch.ones_like(share))
    return torch.gather(z, 1, order), order, room.clamp(0, 1)


def smallest_area(targets: Floats, level: Floats, areas: tuple[float, ...]) -> tuple[Floats, Ints]:
    """The smallest area (row,) at which ``targets`` (row, area) reach ``level`` (row,), NaN where none does; its place.

    Where none does the place is that of the largest area.
    """
    enough = targets >= level[:, None]
    place = np.where(enough.any(axis=1), enough.argmax(axis=1), len(areas) - 1)
    return np.where(enough.any(axis=1), np.asarray(areas)[place], np.nan), place
