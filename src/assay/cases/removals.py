# SPDX-License-Identifier: Apache-2.0
"""Ways to take parts of a row away. Each is a visible, reported argument of what it is used by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.basics.seed import Seed
from assay.basics.types import Array
from assay.cases.fillings import Filling, FromEach, FromNearest, Imputed, Painted
from assay.nouns.inputs.frames import Table, is_frame
from assay.nouns.inputs.rows import Rows, refuse_gaps, to_floats, to_numpy


@runtime_checkable
class Removal(Protocol):
    """How absent parts are filled; the game averages the target over ``fills`` filled versions of a row."""

    @property
    def fingerprint(self) -> str:
        """Stands for the removal and its data."""

    @property
    def fills(self) -> int:
        """How many versions of a row are averaged."""

    def bind(self, rows: Rows) -> Filling:
        """Its data written the way the rows are; raises ``InputError`` where it has no meaning for them."""


@dataclass(frozen=True)
class Constant:
    """Absent elements get a constant: a number, an array of a row's shape, one a channel, a column or a dimension.

    Columns of text or categories need a value of their own: ``Constant({"purpose": "car", "age": 35})`` names
    every column.
    """

    value: Any = 0.0

    @property
    def fills(self) -> int:
        """One."""
        return 1

    @cached_property
    def fingerprint(self) -> str:
        """Stands for the value."""
        return digest("constant", self.value if isinstance(self.value, Mapping) else to_floats(self.value))

    def bind(self, rows: Rows) -> Filling:
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
        number = to_floats(value)
        if not np.isfinite(number).all():
            raise InputError("the constant is NaN or infinite; a finite stand-in is needed.")
        a_channel = rows.shape[:1] + (1,) * (len(rows.shape) - 1)
        a_token = rows.shape[1:] if len(rows.shape) == 2 else rows.shape
        if number.ndim and number.shape not in (rows.shape, a_channel, a_token):
            raise InputError(f"the constant has shape {number.shape}; rows have {rows.shape} (or one value a channel).")
        number = np.broadcast_to(number, rows.shape).copy() if number.shape == a_token else number
        return Painted(rows.x, _written(number, rows)[None])

    def __repr__(self) -> str:
        plain = np.ndim(self.value) == 0 and not isinstance(self.value, Mapping)
        return f"Constant({self.value!r})" if plain else f"Constant(<{self.fingerprint[:8]}>)"


@dataclass(frozen=True, repr=False)
class Mean:
    """Absent elements get their mean over a background. Undefined for text and categories: refused."""

    background: Any

    @property
    def fills(self) -> int:
        """One."""
        return 1

    @cached_property
    def fingerprint(self) -> str:
        """Stands for the background."""
        return digest("mean", content_fingerprint(self.background))

    def bind(self, rows: Rows) -> Filling:
        """The mean of the background, in float64."""
        if rows.table is not None and rows.table.coded.any():
            raise InputError("Mean has no meaning for columns of text or categories. Use Marginal(background).")
        background = rows.like(self.background)
        refuse_gaps(background, "the rows whose mean is asked for")
        return Painted(rows.x, _written(to_floats(background).mean(axis=0), rows)[None])

    def __repr__(self) -> str:
        return f"Mean(<{len(self.background)} rows, {self.fingerprint[:8]}>)"


@dataclass(frozen=True)
class Blur:
    """Absent elements of an image get the image under a Gaussian blur of standard deviation ``sigma`` pixels."""

    sigma: float = 10.0

    @property
    def fills(self) -> int:
        """One."""
        return 1

    @property
    def fingerprint(self) -> str:
        """Stands for the width."""
        return digest("blur", self.sigma)

    def bind(self, rows: Rows) -> Filling:
        """Every row blurred, once; needs images (channel, height, width)."""
        if len(rows.shape) != 3:
            raise InputError(f"Blur needs images (channel, height, width); the rows have shape {rows.shape}.")
        return Painted(rows.x, blurred(rows.x, self.sigma))


@dataclass(frozen=True)
class NoisyLinear:
    """Absent pixels of an image get the weighted mean of their neighbours, absent ones too, and a little noise.

    One linear system a row, channel and mask: weights 1/6 for direct neighbours, 1/12 for diagonal ones, over those
    inside the image, solved to 1e-6 of the channel's largest value; normal noise of standard deviation ``noise``, in
    the units of the rows, covers up that the guess is smooth. A row's noise follows its id and ``seed``, and is the
    same for all masks. With nothing of a channel left the guess is the channel's mean.
    """

    noise: float = 0.01
    seed: int = 0

    @property
    def fills(self) -> int:
        """One."""
        return 1

    @property
    def fingerprint(self) -> str:
        """Stands for the noise."""
        return digest("noisy linear", self.noise, self.seed)

    def bind(self, rows: Rows) -> Filling:
        """The noise of each row; needs images (channel, height, width)."""
        if len(rows.shape) != 3:
            raise InputError(f"NoisyLinear needs images (channel, height, width); the rows have shape {rows.shape}.")
        if not 0 <= self.noise < np.inf:
            raise InputError(f"noise={self.noise}; a standard deviation, 0 or more, in the units of the rows.")
        streams = (Seed(self.seed).child("noisy linear", name).generator() for name in rows.ids)
        return Imputed(rows.x, np.stack([self.noise * stream.normal(size=rows.shape) for stream in streams]))


@dataclass(frozen=True, repr=False)
class Marginal:
    """Absent parts are replaced, jointly, by those of each row of a background; the target is averaged over them.

    The background doubles as the comparison group of quantitative input influence. Every row of it is used: give
    fewer rows to pay less.
    """

    background: Any

    @property
    def fills(self) -> int:
        """One for each row of the background."""
        return len(self.background)

    @cached_property
    def fingerprint(self) -> str:
        """Stands for the background."""
        return digest("marginal", content_fingerprint(self.background))

    def bind(self, rows: Rows) -> Filling:
        """The background written as the rows are."""
        return FromEach(rows.x, rows.like(self.background))

    def __repr__(self) -> str:
        return f"Marginal(<{len(self.background)} rows, {self.fingerprint[:8]}>)"


@dataclass(frozen=True, repr=False)
class Conditional:
    """Absent parts come from the ``k`` rows of a background that are nearest in the parts kept.

    Distance: squared difference over the background's variance for numbers, 0 or 1 for text and categories, summed
    over kept elements; ties fall in background order. With nothing kept the first ``k`` rows serve. An estimate
    of the conditional law, with a bias of its own that shrinks as the background grows.
    """

    background: Any
    k: int = 10

    @property
    def fills(self) -> int:
        """One for each neighbour."""
        return self.k

    @cached_property
    def fingerprint(self) -> str:
        """Stands for the background and k."""
        return digest("conditional", content_fingerprint(self.background), self.k)

    def bind(self, rows: Rows) -> Filling:
        """The background written as the rows are, with the scale of each element."""
        if not 1 <= self.k <= len(self.background):
            raise InputError(
                f"k={self.k} neighbours of a background of {len(self.background)} rows; needed is 1 … its size."
            )
        background = rows.like(self.background)
        refuse_gaps(background, "the rows to look for neighbours in")
        refuse_gaps(rows.x, "the rows whose neighbours are looked for")
        spread = to_floats(background).reshape(len(background), -1).std(axis=0)
        coded = rows.table.coded if rows.table is not None else np.zeros(len(spread), dtype=bool)
        return FromNearest(rows.x, background, self.k, coded, np.where(spread > 0, spread, 1.0))

    def __repr__(self) -> str:
        return f"Conditional(<{len(self.background)} rows, {self.fingerprint[:8]}>, k={self.k})"


def blurred(x: Array, sigma: float) -> Array:
    """Images (row, channel, height, width) under a Gaussian blur, edges reflected; not differentiable."""
    from scipy.ndimage import gaussian_filter

    pictures = gaussian_filter(to_numpy(x), sigma=(0, 0, sigma, sigma), mode="reflect")
    xp = array_namespace(x)
    return xp.asarray(pictures, dtype=x.dtype, device=x.device) if is_torch_array(x) else pictures


def content_fingerprint(data: Any) -> str:
    """Stands for the contents of an array, a tensor or a frame."""
    if is_frame(data):
        table = Table.of(data)
        return digest(table.names, table.content(table.encode(data, gaps=True)))
    return digest(to_floats(data))


def _written(number: Any, rows: Rows) -> Array:
    x = rows.x
    where = {"device": x.device} if is_torch_array(x) else {}
    return array_namespace(x).asarray(number, dtype=x.dtype, **where)
