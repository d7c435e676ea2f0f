# SPDX-License-Identifier: Apache-2.0
"""The rows of a case, and conversions between array libraries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.basics.types import Array, Floats, Ints, Masks
from assay.nouns.inputs.frames import Table, is_frame, list_first


@dataclass(frozen=True, eq=False)
class Text:
    """The text of rows of tokens: the words (row, part), and which positions hold a token, not padding (row, token).

    ``words`` is empty where the parts are not words of the text.
    """

    words: tuple[tuple[str, ...], ...]
    real: Masks

    @property
    def without_words(self) -> Text:
        """The same without the words, for parts that are not words."""
        return Text((), self.real)

    def take(self, which: Ints) -> Text:
        """The text of the rows ``which``."""
        return Text(tuple(self.words[i] for i in which) if self.words else (), self.real[which])


@dataclass(frozen=True, eq=False)
class Rows:
    """Inputs of one shape, with additional inputs and identifiers.

    ``x`` has axes (row, *shape) in the model's own namespace: a float64 matrix for tables, a tensor for nets.
    ``carried`` holds additional inputs (masks, say) that no method perturbs. ``ids`` name the rows and key their
    random streams. ``table`` is the encoding of a data frame, ``None`` for arrays; ``text`` holds the words of rows
    that were texts. With ``gaps`` numbers may be missing (NaN), for models that accept missing values.
    """

    x: Array
    ids: tuple[str, ...]
    carried: Mapping[str, Array] = field(default_factory=dict)
    table: Table | None = None
    text: Text | None = None
    gaps: bool = False

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row."""
        return tuple(int(n) for n in self.x.shape[1:])

    def take(self, which: Ints) -> Rows:
        """The rows at these positions, in this order; repeats are allowed."""
        return replace(
            self,
            x=self.x[which],
            ids=tuple(map(self.ids.__getitem__, np.asarray(which).tolist())),
            carried={name: array[which] for name, array in self.carried.items()},
            text=None if self.text is None else self.text.take(which),
        )

    def with_inputs(self, x: Array, which: Ints) -> Rows:
        """The rows ``which`` with ``x`` as their contents; the additional inputs stay."""
        return replace(
            self,
            x=x,
            ids=tuple(map(self.ids.__getitem__, np.asarray(which).tolist())),
            carried={name: array[which] for name, array in self.carried.items()},
            text=None if self.text is None else self.text.take(which),
        )

    def convert(self, data: Any) -> Array:
        """Other data (a background, a baseline) converted to the columns, type and device of these rows.

        Raises ``InputError`` if columns, shape or values do not fit.
        """
        array = self._to_array(data)
        if is_torch_array(self.x):
            array = array_namespace(self.x).as_tensor(array, dtype=self.x.dtype, device=self.x.device)
        else:
            array = np.asarray(to_numpy(array), dtype=self.x.dtype)
        if array.ndim == 0 or len(array) == 0:
            raise InputError(f"the other rows have shape {tuple(array.shape)}; at least one row is needed.")
        if tuple(array.shape[1:]) != self.shape:
            raise InputError(f"other rows have shape {tuple(array.shape[1:])}; the rows explained have {self.shape}.")
        refuse_missing(array, "the other rows", missing=self.gaps)
        return array

    def _to_array(self, data: Any) -> Array:
        """The data as an array; the columns of a frame are matched by name."""
        if is_frame(data):
            if self.table is None:
                raise InputError(
                    "the rows explained are an array; pass the other rows as an array too, not as a frame."
                )
            return self.table.encode(data, gaps=self.gaps)
        if self.table is not None and self.table.coded.any():
            raise InputError("this table has text or categorical columns; pass the other rows as a data frame too.")
        array = data.detach() if is_torch_array(data) else np.array(data, order="C")
        if not is_torch_array(array) and array.dtype.kind not in "biuf":
            raise InputError(f"the other rows are of type {array.dtype}; numbers are needed.")
        return array

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the contents; it does not depend on the codes of levels."""
        matrix = to_numpy(self.x)
        content = self.table.cell_values(matrix) if self.table is not None else matrix
        return digest(self.shape, content, {k: to_numpy(v) for k, v in self.carried.items()}, self.ids)


def to_numpy(array: Array) -> Any:
    """The array as numpy, detached and on the CPU; the number type stays."""
    if is_torch_array(array):
        array = array.detach().cpu()
        return (array.float() if str(array.dtype) == "torch.bfloat16" else array).numpy()
    return np.asarray(array)


def to_floats(array: Array) -> Floats:
    """The array as numpy float64."""
    return np.asarray(to_numpy(array), dtype=np.float64)


def to_double(array: Array) -> Array:
    """The array in float64, on its device."""
    return array.double() if is_torch_array(array) else np.asarray(array, dtype=np.float64)


def concatenate(arrays: Sequence[Array]) -> Array:
    """The arrays concatenated along the rows; a single array is returned unchanged."""
    return arrays[0] if len(arrays) == 1 else array_namespace(arrays[0]).concat(arrays)


def refuse_missing(array: Array, what: str, *, missing: bool = False) -> None:
    """Raise ``InputError`` naming rows that hold NaN or infinite values; with ``missing`` NaN is allowed."""
    xp = array_namespace(array)
    if not xp.isdtype(array.dtype, ("real floating", "complex floating")):
        return
    valid = xp.isfinite(array) | xp.isnan(array) if missing else xp.isfinite(array)
    complete = to_numpy(valid).reshape(len(array), -1).all(axis=1)
    if not complete.all():
        values = "infinite values" if missing else "NaN or infinite values"
        raise InputError(
            f"{what} hold {values} in row(s) {list_first(np.flatnonzero(~complete))}. "
            f"Rows must {'hold finite numbers' if missing else 'be complete'}; drop or impute these rows."
        )
