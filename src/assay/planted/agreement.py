# SPDX-License-Identifier: Apache-2.0
"""How far an explanation agrees with what was planted: one number a row."""

from __future__ import annotations

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import auc, spearman
from assay.basics.types import Floats, Masks, PerPart, PerRow
from assay.planted.planted import Planted


def agreement(values: PerPart, planted: Planted) -> PerRow:
    """The benchmark's own measure, (row,); 1 is perfect, NaN where undefined.

    - ``auc``: chance that a part of the cue is given more than another part, ties half.
    - ``rank``: Spearman's correlation of values and truth over parts, signs kept; ``rank of size``: of their sizes.
    - ``energy``: share of the positive values that lies inside the mask; NaN where nothing is positive.
    - ``precision``: share of the k parts largest by size that lies inside the mask of k parts; ties are drawn evenly.
    """
    if values.shape != planted.truth.shape:
        raise InputError(f"values {values.shape} for a truth of {planted.truth.shape} (row, part).")
    answer = np.full(len(values), np.nan)
    rows = np.isfinite(values).all(axis=1)
    if planted.agreement == "rank":
        answer[rows] = spearman(values[rows], planted.truth[rows]) if rows.any() else np.nan
        return answer
    if planted.agreement == "rank of size":
        answer[rows] = spearman(np.abs(values[rows]), np.abs(planted.truth[rows])) if rows.any() else np.nan
        return answer
    if planted.mask is None:
        raise InputError(f"{planted.name} has no mask to hold values to; agreement {planted.agreement!r} needs one.")
    read = {"auc": _auc, "energy": _energy, "precision": _precision}[planted.agreement]
    for row in np.flatnonzero(rows):
        answer[row] = read(values[row], planted.mask[row])
    return answer


def _auc(said: Floats, inside: Masks) -> float:
    return auc(said[~inside], said[inside])


def _energy(said: Floats, inside: Masks) -> float:
    mass = np.maximum(said, 0.0)
    whole = mass.sum()
    return float(mass[inside].sum() / whole) if whole > 0 else float("nan")


def _precision(said: Floats, inside: Masks) -> float:
    size, count = np.abs(said), int(inside.sum())
    least = np.partition(size, -count)[-count]
    above, level = size > least, size == least
    drawn = (count - above.sum()) / level.sum()
    return float(((above & inside).sum() + drawn * (level & inside).sum()) / count)
