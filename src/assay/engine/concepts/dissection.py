# SPDX-License-Identifier: Apache-2.0
"""Overlap of strongly active units with masks of concepts, and the same for masks that belong to other rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.concepts.activations import position_matrix
from assay.engine.gradients.activation_maps import upsample
from assay.nouns.inputs.rows import to_numpy


@dataclass(frozen=True, eq=False)
class Overlap:
    """Intersection over union (unit, concept), the p-value of the largest of each unit, active shares (row, unit)."""

    iou: Floats
    p: Floats
    chance: Floats
    active: Floats


def read_masks(masks: Any, rows: int) -> tuple[tuple[str, ...], Masks]:
    """Names, and masks (concept, row, *positions) as truth values."""
    if not isinstance(masks, Mapping) or not masks:
        raise InputError("masks: give {concept: masks}, true where a row shows the concept.")
    found = {name: to_numpy(one) for name, one in masks.items()}
    shapes = {one.shape for one in found.values()}
    if len(shapes) > 1 or len(next(iter(shapes))) == 0 or next(iter(shapes))[0] != rows:
        raise InputError(f"masks have shapes {sorted(shapes)}; all need one shape ({rows} rows, *positions).")
    wrong = next((name for name, one in found.items() if not np.isin(one, (0, 1)).all()), None)
    if wrong is not None:
        raise InputError(f"the masks of {wrong!r} hold other values than 0 and 1.")
    return tuple(found), np.stack([one.astype(bool) for one in found.values()])


def overlap(inner: Case, limits: Floats, masks: Masks, shuffles: int, seed: Seed) -> Overlap:
    """Overlap of the units of a case cut at a layer, active above ``limits`` (unit,), with masks (concept, row, …).

    Maps are resized to the size of the masks. The null gives each row the masks of another row, all concepts together.
    """
    own = position_matrix(inner)
    rows, count = len(own), own.shape[2]
    size = masks.shape[2:]
    shape = _positions(inner)
    if shape and len(size) != len(shape):
        raise InputError(f"masks have positions {size}; the layer has positions {shape}, so masks need as many axes.")
    if not shape and int(np.prod(size, dtype=int)) != 1:
        raise InputError(f"masks have positions {size}; the layer has none: give one truth value a row.")
    flat = masks.reshape(len(masks), rows, -1).astype(np.float64)
    area = flat.sum(axis=2)
    orders = [np.arange(rows), *(seed.child("shuffle", one).generator().permutation(rows) for one in range(shuffles))]
    iou, active = np.empty((len(orders), count, len(masks))), np.empty((rows, count))
    for unit in range(count):
        maps = own[:, :, unit].reshape(rows, *(shape or (1,)))
        large = upsample(maps, size) if shape and shape != size else maps
        on = (large > limits[unit]).reshape(rows, -1).astype(np.float64)
        active[:, unit] = on.mean(axis=1)
        both = np.einsum("rp,csp->crs", on, flat)  # of every row's activity with every row's masks
        alone = on.sum()
        for number, order in enumerate(orders):
            shared = both[:, np.arange(rows), order].sum(axis=1)
            union = alone + area.sum(axis=1) - shared
            iou[number, unit] = np.divide(shared, union, out=np.zeros(len(masks)), where=union > 0)
    best = iou.max(axis=2)
    p = (1 + (best[1:] >= best[0] - 1e-12).sum(axis=0)) / len(orders)
    chance = best[1:].mean(axis=0) if shuffles else np.full(count, np.nan)
    return Overlap(iou[0], np.asarray(p, dtype=np.float64), chance, active)


def _positions(inner: Case) -> tuple[int, ...]:
    """The positions of the layer's maps; none where every element is a unit."""
    if inner.features.elementwise:
        return ()
    index = inner.features.index
    unit_axis = next(
        axis for axis in range(index.ndim) if (np.diff(index, axis=axis) != 0).any() or len(inner.features) == 1
    )
    return tuple(length for axis, length in enumerate(index.shape) if axis != unit_axis)
