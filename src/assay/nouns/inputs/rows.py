# SPDX-License-Identifier: Apache-2.0
"""The rows a question is asked about."""

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
from assay.nouns.inputs.frames import Table, is_frame, some


@dataclass(frozen=True, eq=False)
class Text:
    """The text behind rows of tokens: the words (row, part), and which positions hold a token (row, token), no padding.

    ``words`` is empty where the parts are not words of the text.
    """

    words: tuple[tuple[str, ...], ...]
    real: Masks

    @property
    def bare(self) -> Text:
        """Without the words: for parts that are something else."""
        return Text((), self.real)

    def take(self, which: Ints) -> Text:
        """Of these rows."""
        return Text(tuple(self.words[i] for i in which) if self.words else (), self.real[which])


@dataclass(frozen=True, eq=False)
class Rows:
    """Inputs of one shape, with what is carried along and who they are.

    ``x`` has axes (row, *shape) in the model's own namespace: a float64 matrix for tables, a tensor for nets.
    ``carried`` holds further inputs (masks, say) that no method ever perturbs. ``ids`` name the rows; random
    streams follow them. ``table`` says how a data frame was written as numbers, ``None`` for arrays; ``text`` holds the
    words of rows that were texts. With ``gaps`` numbers may be missing (NaN): the model says what it makes of them.
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
        """These rows, in this order, by position; repeats allowed."""
        return replace(
            self,
            x=self.x[which],
            ids=tuple(map(self.ids.__getitem__, np.asarray(which).tolist())),
            carried={name: array[which] for name, array in self.carried.items()},
            text=None if self.text is None else self.text.take(which),
        )

    def holding(self, x: Array, which: Ints) -> Rows:
        """Rows ``which`` with other contents; everything carried stays."""
        return replace(
            self,
            x=x,
            ids=tuple(map(self.ids.__getitem__, np.asarray(which).tolist())),
            carried={name: array[which] for name, array in self.carried.items()},
            text=None if self.text is None else self.text.take(which),
        )

    def like(self, data: Any) -> Array:
        """Other data (a background, a start) written exactly as these rows are: columns, type, device.

        Raises ``InputError`` where columns, shape or values do not fit.
        """
        array = self._written(data)
        if is_torch_array(self.x):
            array = array_namespace(self.x).as_tensor(array, dtype=self.x.dtype, device=self.x.device)
        else:
            array = np.asarray(to_numpy(array), dtype=self.x.dtype)
        if array.ndim == 0 or len(array) == 0:
            raise InputError(f"the other rows have shape {tuple(array.shape)}; at least one row is needed.")
        if tuple(array.shape[1:]) != self.shape:
            raise InputError(f"other rows have shape {tuple(array.shape[1:])}; the rows explained have {self.shape}.")
        refuse_gaps(array, "the other rows", missing=self.gaps)
        return array

    def _written(self, data: Any) -> Array:
        """The data as an array, its columns found by name if it is a frame."""
        if is_frame(data):
            if self.table is None:
                raise InputError("the rows explained are an array; give other rows as an array too, not as a frame.")
            return self.table.encode(data, gaps=self.gaps)
        if self.table is not None and self.table.coded.any():
            raise InputError("this table has columns of text or categories; give other rows as a data frame too.")
        array = data.detach() if is_torch_array(data) else np.array(data, order="C")
        if not is_torch_array(array) and array.dtype.kind not in "biuf":
            raise InputError(f"the other rows are of type {array.dtype}; numbers are needed.")
        return array

    @cached_property
    def fingerprint(self) -> str:
        """Stands for the contents, whatever codes they are written with."""
        matrix = to_numpy(self.x)
        content = self.table.content(matrix) if self.table is not None else matrix
        return digest(self.shape, content, {k: to_numpy(v) for k, v in self.carried.items()}, self.ids)


def to_numpy(array: Array) -> Any:
    """The array as numpy, detached and on the processor; its number type is kept."""
    if is_torch_array(array):
        array = array.detach().cpu()
        return (array.float() if str(array.dtype) == "torch.bfloat16" else array).numpy()
    return np.asarray(array)


def to_floats(array: Array) -> Floats:
    """The array as numpy float64."""
    return np.asarray(to_numpy(array), dtype=np.float64)


def double(array: Array) -> Array:
    """The array in float64, where it is."""
    return array.double() if is_torch_array(array) else np.asarray(array, dtype=np.float64)


def joined(arrays: Sequence[Array]) -> Array:
    """The arrays one after another, row by row; one alone is handed on as it is."""
    return arrays[0] if len(arrays) == 1 else array_namespace(arrays[0]).concat(arrays)


def refuse_gaps(array: Array, what: str, *, missing: bool = False) -> None:
    """Raise ``InputError`` naming rows that hold NaN or infinite values; with ``missing`` NaN passes."""
    xp = array_namespace(array)
    if not xp.isdtype(array.dtype, ("real floating", "complex floating")):
        return
    fine = xp.isfinite(array) | xp.isnan(array) if missing else xp.isfinite(array)
    whole = to_numpy(fine).reshape(len(array), -1).all(axis=1)
    if not whole.all():
        what_is = "infinite values" if missing else "NaN or infinite values"
        raise InputError(
            f"{what} hold {what_is} in row(s) {some(np.flatnonzero(~whole))}. "
            f"assay explains complete rows{' of finite numbers' if missing else ''}; drop or impute these first."
        )
