# SPDX-License-Identifier: Apache-2.0
"""Noise on the features of training data: a planted data shift."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints


def feature_noise(x: Any, y: Any, size: float, seed: Seed) -> tuple[Any, Any]:
    """Rows ``x`` with noise on every column, and labels ``y`` unchanged: a shift for ``assay.shift_study``.

    A column of numbers gets Gaussian noise with standard deviation ``size`` times its own, as in Meyer et al. (2023),
    whose columns have standard deviation 1. In a column of two values each cell becomes the other value with
    probability ``size``; in a column of other categories it becomes, with that probability, the cell of a row drawn
    uniformly. Missing cells of numbers stay missing. ``x`` is a matrix (row, column) or a frame; columns of whole
    numbers become floating-point.
    """
    if not size >= 0:
        raise InputError(f"size={size}; a size of at least 0 is needed, for example 0.1.")
    generator = seed.generator()
    if isinstance(x, np.ndarray):
        if x.ndim != 2:
            raise InputError(f"feature_noise needs rows of columns; got an array of shape {x.shape}.")
        columns = [_noisy(column, size, generator) for column in x.T]
        kind = x.dtype if x.dtype.kind in "fO" else np.float64
        return np.stack(columns, axis=1).astype(kind), y
    import narwhals as nw

    try:
        frame = nw.from_native(x, eager_only=True)
    except TypeError as error:
        raise InputError(f"feature_noise needs a matrix or a frame; got {type(x).__name__}.") from error
    for name in frame.columns:
        column = frame[name]
        values = column.to_numpy().astype(np.float64) if column.dtype.is_numeric() else column.to_numpy()
        if _is_measured(values):
            moved = _with_gaussian(values, size, generator)
            frame = frame.with_columns(nw.new_series(name, moved, backend=frame.implementation))
        else:
            frame = frame.with_columns(column[_sources(values, size, generator)].alias(name))
    return frame.to_native(), y


def _noisy(values: Any, size: float, generator: np.random.Generator) -> Any:
    if _is_measured(values):
        return _with_gaussian(values, size, generator)
    return values[_sources(values, size, generator)]


def _is_measured(values: Any) -> bool:
    """Whether a column holds numbers of more than two values."""
    return values.dtype.kind in "fiu" and len(np.unique(values[~np.isnan(values)])) > 2


def _with_gaussian(values: Floats, size: float, generator: np.random.Generator) -> Floats:
    return np.asarray(values + size * np.nanstd(values) * generator.normal(size=len(values)))


def _sources(values: Any, size: float, generator: np.random.Generator) -> Ints:
    """The row from which each cell is taken: its own, or with probability ``size`` one of another value."""
    if size > 1:
        raise InputError(f"size={size}; of columns of two values or categories it is a probability, at most 1.")
    own = np.arange(len(values))
    codes = np.unique(values.astype(str), return_inverse=True)[1]
    changed = generator.random(len(values)) < size
    other = generator.integers(len(values), size=len(values))
    if codes.max(initial=0) == 1:
        other = np.array([np.argmax(codes == 1), np.argmax(codes == 0)])[codes]
    return np.where(changed, other, own)
