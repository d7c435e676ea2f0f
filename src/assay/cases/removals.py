# SPDX-License-Identifier: Apache-2.0
"""Removals: ways to replace the absent features of a row; every method reports the removal it uses."""

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
from assay.cases.fillings import EachBackgroundRow, Filling, FixedReplacement, ImputedPixels, NearestBackgroundRows
from assay.nouns.inputs.frames import Table, is_frame
from assay.nouns.inputs.input_layout import is_several_inputs, pack_inputs
from assay.nouns.inputs.native_columns import missing_kind
from assay.nouns.inputs.number_checks import require_count, require_number
from assay.nouns.inputs.rows import Rows, count_rows, dense_array, to_floats, to_numpy
from assay.nouns.inputs.sparse_rows import is_sparse


@runtime_checkable
class Removal(Protocol):
    """How absent features are filled; the game averages the target over ``fills`` filled versions of a row."""

    @property
    def fingerprint(self) -> str:
        """Hash of the removal and its data."""

    @property
    def fills(self) -> int:
        """Number of filled versions of a row to average over."""

    def bind(self, rows: Rows) -> Filling:
        """The filling for these rows; ``InputError`` if the removal is undefined for them."""


@dataclass(frozen=True)
class Constant:
    """Absent elements get a constant: a number, an array of a row's shape, or one per channel, column or dimension.

    Text or categorical columns need explicit values: ``Constant({"purpose": "car", "age": 35})`` names
    every column; None is missing, for models that take missing values.
    """

    value: Any = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.value, Mapping):
            _check_constant(self.value)

    @property
    def fills(self) -> int:
        """One."""
        return 1

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the value."""
        if isinstance(self.value, Mapping):
            known = {name: ("missing",) if missing_kind(value) else value for name, value in self.value.items()}
            return digest("constant", known)
        return digest("constant", to_floats(self.value))

    def bind(self, rows: Rows) -> Filling:
        """The constant as an array of the rows' type."""
        value, table = self.value, rows.table
        if isinstance(value, Mapping):
            if table is None or set(value) != set(table.names):
                raise InputError(
                    f"Constant has values for columns {sorted(value)[:8]}; it needs one for every column of the table."
                )
            value = np.array([table.encode_value(i, value[name]) for i, name in enumerate(table.names)])
        elif table is not None and table.coded.any():
            coded = [name for name, level in zip(table.names, table.levels) if level is not None]
            raise InputError(
                f"Constant({value!r}) is undefined for the text or categorical columns {coded[:5]}. Use "
                f"Marginal(background), or Constant with a value for every column."
            )
        number = to_floats(value)
        if np.isnan(number).any() and not rows.gaps:
            raise InputError("the constant is missing (NaN), which the model does not take. Give a number.")
        per_channel = rows.shape[:1] + (1,) * (len(rows.shape) - 1)
        per_token = rows.shape[1:] if len(rows.shape) == 2 else rows.shape
        if number.ndim and number.shape not in (rows.shape, per_channel, per_token):
            raise InputError(
                f"the constant has shape {number.shape}; rows have {rows.shape} (or one value per channel)."
            )
        number = np.broadcast_to(number, rows.shape).copy() if number.shape == per_token else number
        return FixedReplacement(rows.x, _like_rows(number, rows)[None])

    def __repr__(self) -> str:
        plain = np.ndim(self.value) == 0 and not isinstance(self.value, Mapping)
        return f"Constant({self.value!r})" if plain else f"Constant(<{self.fingerprint[:8]}>)"


@dataclass(frozen=True, repr=False)
class Mean:
    """Absent elements get their mean over a background, of the rows where it is not missing.

    A column that is missing in all of them is missing. Text and categorical columns are refused.
    """

    background: Any

    def __post_init__(self) -> None:
        _check_background("Mean", self.background)

    @property
    def fills(self) -> int:
        """One."""
        return 1

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the background."""
        return digest("mean", content_fingerprint(self.background))

    def bind(self, rows: Rows) -> Filling:
        """The mean of the background, in float64."""
        if rows.table is not None and rows.table.coded.any():
            raise InputError("Mean is undefined for text or categorical columns. Use Marginal(background).")
        background = to_floats(rows.convert(self.background))
        known = ~np.isnan(background)
        mean = np.where(known, background, 0.0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)
        return FixedReplacement(rows.x, _like_rows(mean, rows)[None])

    def __repr__(self) -> str:
        return f"Mean(<{count_rows(self.background)} rows, {self.fingerprint[:8]}>)"


@dataclass(frozen=True)
class Blur:
    """Absent elements of an image get the image under a Gaussian blur of standard deviation ``sigma`` pixels."""

    sigma: float = 10.0

    def __post_init__(self) -> None:
        require_number("sigma", self.sigma, above=0, meaning="the standard deviation of Blur in pixels")

    @property
    def fills(self) -> int:
        """One."""
        return 1

    @property
    def fingerprint(self) -> str:
        """Hash of the standard deviation."""
        return digest("blur", self.sigma)

    def bind(self, rows: Rows) -> Filling:
        """All rows blurred once; needs images (channel, height, width)."""
        if len(rows.shape) != 3:
            raise InputError(f"Blur needs images (channel, height, width); the rows have shape {rows.shape}.")
        return FixedReplacement(rows.x, blurred(rows.x, self.sigma))


@dataclass(frozen=True)
class NoisyLinear:
    """Noisy linear imputation: absent pixels get the weighted mean of all their neighbours, plus noise.

    One linear system per row, channel and mask: weights 1/6 for direct neighbours, 1/12 for diagonal ones, over those
    inside the image, solved to 1e-6 of the channel's largest value. Normal noise of standard deviation ``noise``, in
    the units of the rows, hides that imputed pixels are smooth. The noise of a row depends on its id and ``seed``, and
    is the same for all masks. If all pixels of a channel are absent they get the channel's mean.
    """

    noise: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        meaning = "the standard deviation of NoisyLinear in the units of the rows"
        require_number("noise", self.noise, least=0, meaning=meaning)
        require_count("seed", self.seed, least=0, meaning="the root of the noise of NoisyLinear")

    @property
    def fills(self) -> int:
        """One."""
        return 1

    @property
    def fingerprint(self) -> str:
        """Hash of the noise and the seed."""
        return digest("noisy linear", self.noise, self.seed)

    def bind(self, rows: Rows) -> Filling:
        """The noise of each row; needs images (channel, height, width)."""
        if len(rows.shape) != 3:
            raise InputError(f"NoisyLinear needs images (channel, height, width); the rows have shape {rows.shape}.")
        streams = (Seed(self.seed).child("noisy linear", name).generator() for name in rows.ids)
        return ImputedPixels(rows.x, np.stack([self.noise * stream.normal(size=rows.shape) for stream in streams]))


@dataclass(frozen=True, repr=False)
class Marginal:
    """Absent features are replaced, jointly, by those of each background row; the target is averaged over them.

    The background is also the comparison group of quantitative input influence. Every background row is used: the cost
    is proportional to their number.
    """

    background: Any

    def __post_init__(self) -> None:
        _check_background("Marginal", self.background)

    @property
    def fills(self) -> int:
        """The number of background rows."""
        return count_rows(self.background)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the background."""
        return digest("marginal", content_fingerprint(self.background))

    def bind(self, rows: Rows) -> Filling:
        """The background converted to the type of the rows."""
        return EachBackgroundRow(rows.x, rows.convert(self.background))

    def __repr__(self) -> str:
        return f"Marginal(<{count_rows(self.background)} rows, {self.fingerprint[:8]}>)"


@dataclass(frozen=True, repr=False)
class Conditional:
    """Absent features come from the ``k`` background rows that are nearest in the present features.

    Distance: squared difference over the background's variance for numbers, 0 or 1 for text and categories, summed
    over present elements; a missing number is at distance 0 from a missing one and 1 from any other. Ties in background
    order. With no feature present the first ``k`` rows are used. It
    estimates the conditional distribution, with a bias that shrinks as the background grows.
    """

    background: Any
    k: int = 10

    def __post_init__(self) -> None:
        _check_background("Conditional", self.background)
        require_count("k", self.k, meaning="the number of neighbours of Conditional")
        size = count_rows(self.background)
        if self.k > size:
            raise InputError(f"k={self.k} neighbours in a background of {size} rows; k is at most their number.")

    @property
    def fills(self) -> int:
        """The number of neighbours."""
        return self.k

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the background and k."""
        return digest("conditional", content_fingerprint(self.background), self.k)

    def bind(self, rows: Rows) -> Filling:
        """The background converted to the type of the rows, with the scale of each element."""
        background = rows.convert(self.background)
        spread = np.ma.filled(np.ma.masked_invalid(to_floats(background).reshape(len(background), -1)).std(axis=0), 0.0)
        coded = rows.table.coded if rows.table is not None else np.zeros(len(spread), dtype=bool)
        return NearestBackgroundRows(rows.x, background, self.k, coded, np.where(spread > 0, spread, 1.0))

    def __repr__(self) -> str:
        return f"Conditional(<{count_rows(self.background)} rows, {self.fingerprint[:8]}>, k={self.k})"


def _check_constant(value: Any) -> None:
    """Raise ``InputError`` unless the value is a finite number or an array of finite numbers."""
    try:
        number = to_floats(value)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Constant({str(value)[:60]!r}): a number, an array of numbers or a mapping from column to value is needed."
        ) from error
    if not np.isfinite(number).all():
        raise InputError(
            "the constant is NaN or infinite; it must be finite. For missing, name the column: "
            "Constant({'age': None, …})."
        )


def _check_background(name: str, background: Any) -> None:
    """Raise ``InputError`` unless there is at least one background row."""
    if isinstance(background, str | bytes) or not (hasattr(background, "__len__") or hasattr(background, "shape")):
        raise InputError(f"{name}: found {type(background).__name__}; rows to fill from are needed.")
    shape = getattr(background, "shape", None)
    if shape is not None and len(shape) == 0:
        raise InputError(f"{name}: the background is a single number; rows to fill from are needed.")
    if count_rows(background) < 1:
        raise InputError(f"{name}: the background has no rows; at least one is needed.")


def blurred(x: Array, sigma: float) -> Array:
    """Images (row, channel, height, width) under a Gaussian blur, edges reflected; not differentiable."""
    from scipy.ndimage import gaussian_filter

    pictures = gaussian_filter(to_numpy(x), sigma=(0, 0, sigma, sigma), mode="reflect")
    xp = array_namespace(x)
    return xp.asarray(pictures, dtype=x.dtype, device=x.device) if is_torch_array(x) else pictures


def content_fingerprint(data: Any) -> str:
    """Hash of the contents of an array, a tensor, a frame, or a list of texts."""
    matrix = isinstance(data, np.ndarray) and data.ndim == 2 and data.dtype.kind in "OU"  # of texts or objects
    if is_frame(data) or matrix:
        table = Table.of_array(data) if matrix else Table.of(data)
        return digest(table.names, table.cell_values(table.encode(data, gaps=True)))
    if is_several_inputs(data):
        packed, layout = pack_inputs(data)
        return digest(layout.names, layout.shapes, to_floats(packed))
    if is_texts(data):
        return digest("texts", [str(text) if isinstance(text, str) else list(map(str, text)) for text in data])
    return digest(to_floats(dense_array(data)))


def is_texts(data: Any) -> bool:
    """Whether the first of several rows is a text or a pair of texts."""
    if (
        isinstance(data, str | Mapping)
        or is_sparse(data)
        or not hasattr(data, "__iter__")
        or getattr(data, "ndim", 1) > 2
    ):
        return False
    first = next(iter(data), None)
    pair = isinstance(first, tuple | list | np.ndarray) and len(first) == 2 and isinstance(first[0], str)
    return isinstance(first, str) or bool(pair)


def _like_rows(number: Any, rows: Rows) -> Array:
    x = rows.x
    where = {"device": x.device} if is_torch_array(x) else {}
    return array_namespace(x).asarray(number, dtype=x.dtype, **where)
