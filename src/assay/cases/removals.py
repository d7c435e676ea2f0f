# SPDX-License-Identifier: Apache-2.0
"""Ways to take parts of a row away. Each is a visible, reported argument of what it is used by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.nouns.frames import is_frame
from assay.nouns.rows import Rows, to_floats, to_numpy
from assay.words.digest import digest
from assay.words.errors import CapabilityError, InputError
from assay.words.types import Array, Masks


@runtime_checkable
class Removal(Protocol):
    """How absent parts are filled.

    ``bind(rows)`` writes whatever data the removal holds the way the rows are written. ``fill(x, keep)`` then
    yields ``fills`` versions of the rows ``x`` (query, *shape) whose elements with ``keep`` False are replaced; the
    game averages the target over the versions. ``mark`` stands for the removal and its data.
    """

    @property
    def mark(self) -> str:
        """Stands for the removal and its data."""

    @property
    def fills(self) -> int:
        """How many versions of a row are averaged."""

    def bind(self, rows: Rows) -> Removal:
        """The removal with its data written as the rows are."""

    def fill(self, x: Array, keep: Masks) -> Iterator[Array]:
        """The versions of ``x``."""


def chosen(keep: Masks, x: Array, other: Array) -> Array:
    """``x`` where kept, else ``other``."""
    xp = array_namespace(x)
    mask = xp.asarray(keep, device=x.device) if is_torch_array(x) else keep
    return xp.where(mask, x, other)


@dataclass(frozen=True)
class Constant:
    """Absent elements get a constant: a number, an array of a row's shape, or a value a column.

    Columns of text or categories need a value of their own: ``Constant({"purpose": "car", "age": 35})`` names
    every column.
    """

    value: Any = 0.0
    fills: int = field(default=1, init=False)

    @cached_property
    def mark(self) -> str:
        value = self.value if isinstance(self.value, Mapping) else to_floats(self.value)
        return digest("constant", value)

    def bind(self, rows: Rows) -> Constant:
        """The constant as an array of the rows' type."""
        value, table = self.value, rows.table
        if isinstance(value, Mapping):
            if table is None or set(value) != set(table.names):
                raise InputError(f"Constant names columns {sorted(value)[:8]}; it must name every column of the table.")
            value = np.array([table.code(i, value[name]) for i, name in enumerate(table.names)])
        elif table is not None and table.coded.any():
            coded = [name for name, level in zip(table.names, table.levels) if level is not None]
            raise InputError(
                f"Constant({value!r}) has no meaning for the columns {coded[:5]} of text or categories. Use "
                f"Marginal(background), or Constant with a value for every column."
            )
        xp = array_namespace(rows.x)
        array = xp.asarray(value, dtype=rows.x.dtype, **({"device": rows.x.device} if is_torch_array(rows.x) else {}))
        if array.ndim and tuple(array.shape) not in (rows.shape, rows.shape[:1] + (1,) * (len(rows.shape) - 1)):
            raise InputError(f"the constant has shape {tuple(array.shape)}; rows have {rows.shape} (or one value a channel).")
        return _Bound(replace(self), array, self.mark)  # type: ignore[return-value]  # a bound removal is a Removal too

    def fill(self, x: Array, keep: Masks) -> Iterator[Array]:
        """Yield one version."""
        yield chosen(keep, x, array_namespace(x).asarray(self.value, dtype=x.dtype))

    def __repr__(self) -> str:
        plain = np.ndim(self.value) == 0 and not isinstance(self.value, Mapping)
        return f"Constant({self.value!r})" if plain else f"Constant(<{self.mark[:8]}>)"


@dataclass(frozen=True)
class _Bound:
    """A removal that fills with one array, the same for every row."""

    origin: Any
    array: Array
    mark: str
    fills: int = 1

    def bind(self, rows: Rows) -> Any:
        return self.origin.bind(rows)

    def fill(self, x: Array, keep: Masks) -> Iterator[Array]:
        yield chosen(keep, x, self.array)

    def __repr__(self) -> str:
        return repr(self.origin)


@dataclass(frozen=True, repr=False)
class Mean:
    """Absent elements get their mean over a background. Undefined for text and categories: refused."""

    background: Any
    fills: int = field(default=1, init=False)

    @cached_property
    def mark(self) -> str:
        return digest("mean", content_mark(self.background))

    def bind(self, rows: Rows) -> Any:
        """The mean of the background, once."""
        if rows.table is not None and rows.table.coded.any():
            raise InputError("Mean has no meaning for columns of text or categories. Use Marginal(background).")
        return _Bound(self, rows.like(self.background).mean(0), self.mark)

    def fill(self, x: Array, keep: Masks) -> Iterator[Array]:
        """Only a bound mean can fill."""
        raise CapabilityError("Mean fills only inside a game: case.game(Mean(background)).")

    def __repr__(self) -> str:
        return f"Mean(<{len(self.background)} rows, {self.mark[:8]}>)"


@dataclass(frozen=True)
class Blur:
    """Absent elements of an image get the image under a Gaussian blur of standard deviation ``sigma`` pixels."""

    sigma: float = 10.0
    fills: int = field(default=1, init=False)

    @property
    def mark(self) -> str:
        return digest("blur", self.sigma)

    def bind(self, rows: Rows) -> Blur:
        """Needs images (channel, height, width)."""
        if len(rows.shape) != 3:
            raise InputError(f"Blur needs images (channel, height, width); the rows have shape {rows.shape}.")
        return self

    def fill(self, x: Array, keep: Masks) -> Iterator[Array]:
        """Yield one version."""
        yield chosen(keep, x, blurred(x, self.sigma))


@dataclass(frozen=True, repr=False)
class Marginal:
    """Absent parts are replaced, jointly, by those of each row of a background; the target is averaged over them.

    The background doubles as the comparison group of quantitative input influence. Every row of it is used: give
    fewer rows to pay less.
    """

    background: Any
    bound: bool = field(default=False, repr=False)

    @property
    def fills(self) -> int:
        return len(self.background)

    @cached_property
    def mark(self) -> str:
        return digest("marginal", content_mark(self.background))

    def bind(self, rows: Rows) -> Marginal:
        """The background written as the rows are."""
        return _keeping_mark(replace(self, background=rows.like(self.background), bound=True), self.mark)

    def fill(self, x: Array, keep: Masks) -> Iterator[Array]:
        """Yield one version for each row of the background."""
        for other in self.background:
            yield chosen(keep, x, other)

    def __repr__(self) -> str:
        return f"Marginal(<{len(self.background)} rows, {self.mark[:8]}>)"


@dataclass(frozen=True, repr=False)
class Conditional:
    """Absent parts come from the ``k`` rows of a background that are nearest in the parts kept.

    Distance: squared difference over the background's variance for numbers, 0 or 1 for text and categories, summed
    over kept elements; ties fall in background order. With nothing kept the first ``k`` rows serve. An estimate
    of the conditional law, with a bias of its own that shrinks as the background grows.
    """

    background: Any
    k: int = 10
    coded: Any = None
    scale: Any = None

    @property
    def fills(self) -> int:
        return self.k

    @cached_property
    def mark(self) -> str:
        return digest("conditional", content_mark(self.background), self.k)

    def bind(self, rows: Rows) -> Conditional:
        """The background written as the rows are, with the scale of each element."""
        if not 1 <= self.k <= len(self.background):
            raise InputError(f"k={self.k} neighbours of a background of {len(self.background)} rows; needed is 1 … its size.")
        background = rows.like(self.background)
        flat = to_floats(background).reshape(len(background), -1)
        coded = rows.table.coded if rows.table is not None else np.zeros(flat.shape[1], dtype=bool)
        scale = np.where(flat.std(axis=0) > 0, flat.std(axis=0), 1.0)
        return _keeping_mark(replace(self, background=background, coded=coded, scale=scale), self.mark)

    def fill(self, x: Array, keep: Masks) -> Iterator[Array]:
        """Yield one version for each of the k neighbours."""
        flat, other = to_floats(x).reshape(len(x), -1), to_floats(self.background).reshape(len(self.background), -1)
        kept = keep.reshape(len(x), -1)
        nearest = np.empty((len(x), self.k), dtype=np.int64)
        for i in range(len(x)):
            where = kept[i]
            gap = (other[:, where] - flat[i, where]) / self.scale[where]
            far = np.where(self.coded[where], gap != 0, gap**2).sum(axis=1)
            nearest[i] = np.argsort(far, kind="stable")[: self.k]
        for rank in range(self.k):
            yield chosen(keep, x, self.background[nearest[:, rank]])

    def __repr__(self) -> str:
        return f"Conditional(<{len(self.background)} rows, {self.mark[:8]}>, k={self.k})"


def blurred(x: Array, sigma: float) -> Array:
    """Images (row, channel, height, width) under a Gaussian blur, edges reflected; not differentiable."""
    from scipy.ndimage import gaussian_filter

    pictures = gaussian_filter(to_numpy(x), sigma=(0, 0, sigma, sigma), mode="reflect")
    xp = array_namespace(x)
    return xp.asarray(pictures, dtype=x.dtype, device=x.device) if is_torch_array(x) else pictures


def content_mark(data: Any) -> str:
    """Stands for the contents of an array, a tensor or a frame."""
    if is_frame(data):
        from assay.nouns.frames import Table

        table = Table.of(data)
        return digest(table.names, table.content(table.encode(data)))
    return digest(to_floats(data))


def _keeping_mark(removal: Any, mark: str) -> Any:
    removal.__dict__["mark"] = mark
    return removal
