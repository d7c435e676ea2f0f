# SPDX-License-Identifier: Apache-2.0
"""Soft masks of pictures: shares 0 … 1 of what is kept, and the target with and without what a mask keeps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.cases.fillings import fill_softly
from assay.cases.removals import Blur, Constant, Removal
from assay.nouns.inputs.rows import to_floats

CELLS = 16
"""Cells along the shorter side of a picture whose parts are its elements."""

REPORT_PASSES = 4
"""Passes of a row in ``mask_report``."""


@dataclass(frozen=True, eq=False)
class MaskSpace:
    """Masks (line, *shape) of a case's rows as a function of numbers (line, cell) in 0 … 1, differentiable in torch.

    Cells are the parts of the case; where these are single elements they are squares of ``cell`` pixels, between whose
    middles the mask is linear, the same for all channels. Padding is always kept.
    """

    case: Case
    cell: int | None = None

    def __post_init__(self) -> None:
        if self.cell is not None and self.cell < 1:
            raise InputError(f"cell={self.cell}; the side of a cell is at least 1 pixel.")

    @property
    def is_smooth(self) -> bool:
        """Whether cells are squares of pixels and not the parts of the case."""
        return self.case.features.elementwise

    @cached_property
    def grid(self) -> tuple[int, int]:
        """Cells down and across."""
        height, width = self.case.rows.shape[1:]
        side = max(1, round(min(height, width) / CELLS)) if self.cell is None else self.cell
        return -(-height // side), -(-width // side)

    @property
    def cells(self) -> int:
        """The number of cells."""
        return self.grid[0] * self.grid[1] if self.is_smooth else len(self.case.features)

    def weights(self, which: Ints) -> Floats:
        """The share of the picture (line, cell) that each cell takes of rows ``which``; 0 for parts a row lacks."""
        if self.is_smooth:
            return np.full((len(which), self.cells), 1 / self.cells)
        sizes = np.broadcast_to(self.case.features.sizes, (len(self.case), self.cells))[which]
        return np.asarray(sizes / sizes.sum(axis=1, keepdims=True))

    def decode(self, z: Any, which: Ints) -> Any:
        """The masks (line, *shape) as a torch tensor."""
        import torch

        shape, features = self.case.rows.shape, self.case.features
        if self.is_smooth:
            small = z.reshape(-1, 1, *self.grid)
            large = torch.nn.functional.interpolate(small, size=shape[1:], mode="bilinear", align_corners=False)
            return large.expand(-1, shape[0], -1, -1)
        padded = torch.cat([z, torch.ones_like(z[:, :1])], dim=1)
        index = features.index[which] if features.per_row else np.broadcast_to(features.index, (len(which), *shape))
        places = torch.as_tensor(np.where(index < 0, self.cells, index).reshape(len(which), -1))
        return torch.gather(padded, 1, places).reshape(len(which), *shape)

    def values(self, z: Floats) -> Floats:
        """Numbers (row, cell) as values of an explanation: one a part, or (row, *shape), split over the channels."""
        import torch

        if not self.is_smooth:
            return np.where(self.weights(np.arange(len(z))) > 0, z, 0.0)
        mask = to_floats(self.decode(torch.as_tensor(z), np.arange(len(z))))
        return mask / self.case.rows.shape[0]


@dataclass(frozen=True, eq=False)
class SoftRemoval:
    """The rows of a case mixed with what replaces them: m · x + (1 − m) · filling."""

    case: Case
    remove: Removal

    @cached_property
    def _filling(self) -> Any:
        return self.case.game(self.remove).filling

    @cached_property
    def ends(self) -> tuple[Floats, Floats]:
        """The rows, and the rows with everything replaced, both (row, *shape) in float64."""
        rows = np.arange(len(self.case))
        x = to_floats(self.case.rows.x)
        other = np.broadcast_to(to_floats(fill_softly(self._filling, rows, np.zeros(x.shape))), x.shape)
        return x, np.asarray(other)

    def value(self, keep: Floats, which: Ints) -> Floats:
        """The target (line,) with the share ``keep`` (line, *shape) of rows ``which`` kept."""
        return to_floats(self.case.value(fill_softly(self._filling, which, np.asarray(keep, np.float64)), which))

    def slope(self, mask: Any, which: Ints) -> Any:
        """The target's derivative by a torch mask (line, *shape)."""
        import torch

        x, other = (end[which] for end in self.ends)
        mixed = other + to_floats(mask.detach()) * (x - other)
        gradient = to_floats(self.case.gradient(self.case.rows.convert(mixed), which))
        return torch.as_tensor(gradient * (x - other))


def other_removal(case: Case, remove: Removal, second: Removal | None) -> Removal:
    """The removal by which a mask is judged: ``second``, by default grey for blur, and blur for anything else.

    Grey is the mean of each channel over the rows of the case.
    """
    if second is not None:
        return second
    if not isinstance(remove, Blur):
        return Blur()
    return Constant(to_floats(case.rows.x).mean(axis=(0, 2, 3), keepdims=True)[0])


def mask_report(first: SoftRemoval, second: SoftRemoval, keep: Floats, which: Ints) -> dict[str, Floats]:
    """The target (line,) with what the mask keeps, and without it, under the removal of the search and another one."""
    return {
        "kept": first.value(keep, which),
        "removed": first.value(1 - keep, which),
        "kept_second": second.value(keep, which),
        "removed_second": second.value(1 - keep, which),
    }


def top_area(values: Floats, area: float) -> Floats:
    """Masks (row, *shape), the same for all channels, that keep the highest ``area`` of values (row, height, width)."""
    flat = values.reshape(len(values), -1)
    count = int(np.ceil(area * flat.shape[1] - 1e-9))
    keep = np.zeros(flat.shape)
    np.put_along_axis(keep, np.argsort(-flat, axis=1, kind="stable")[:, :count], 1.0, axis=1)
    return keep.reshape(values.shape)


def require_area(area: float) -> None:
    """Raise ``InputError`` unless this is a share of the picture."""
    if not 0 < area <= 1:
        raise InputError(f"area={area}; needed is a share of the picture, above 0 and at most 1.")
