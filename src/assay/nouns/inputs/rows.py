# SPDX-License-Identifier: Apache-2.0
"""The rows of a case, and conversions between array libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.basics.types import Array, Floats, Ints, Masks
from assay.nouns.inputs.frames import Table, is_frame, list_first
from assay.nouns.inputs.input_layout import InputLayout, is_several_inputs, pack_inputs
from assay.nouns.inputs.sparse_rows import is_sparse, sparse_to_dense


@dataclass(frozen=True, eq=False)
class Text:
    """The text of rows of tokens: the words (row, part), and which positions hold a token, not padding (row, token).

    ``words`` is empty where the parts are not words of the text. ``source`` are the texts, or pairs of texts, as given.
    """

    words: tuple[tuple[str, ...], ...]
    real: Masks
    source: tuple[str | tuple[str, str], ...] = ()

    @property
    def without_words(self) -> Text:
        """The same without the words, for parts that are not words."""
        return Text((), self.real, self.source)

    def take(self, which: Ints) -> Text:
        """The text of the rows ``which``."""
        return Text(
            tuple(self.words[i] for i in which) if self.words else (),
            self.real[which],
            tuple(self.source[i] for i in which) if self.source else (),
        )


@dataclass(frozen=True, eq=False)
class Rows:
    """Inputs of one shape, with additional inputs and identifiers.

    ``x`` has axes (row, *shape) in the model's own namespace: a float64 matrix for tables, a tensor for nets.
    ``carried`` holds additional inputs (masks, say) that no method perturbs. ``ids`` name the rows and key their
    random streams. ``table`` is the encoding of a data frame, ``None`` for arrays; ``text`` holds the words of rows
    that were texts. With ``gaps`` numbers may be missing (NaN), for models that accept missing values. ``layout`` says
    how a row is split into several inputs of a net; ``whole`` that the caller gave whole numbers; ``sparse`` the class
    of the caller's sparse matrix, in which the model gets them. ``try_missing`` says of other rows why the model does
    not take their missing values (empty if it does), where these rows have none and that is not known.
    """

    x: Array
    ids: tuple[str, ...]
    carried: Mapping[str, Array] = field(default_factory=dict)
    table: Table | None = None
    text: Text | None = None
    gaps: bool = False
    layout: InputLayout | None = None
    whole: bool = False
    sparse: Any = None
    try_missing: Callable[[Rows], str] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row."""
        return tuple(int(n) for n in self.x.shape[1:])

    @property
    def missing_cells(self) -> Any:
        """Which elements (row, *shape) are missing: NaN, or the level of missing values of a coded column."""
        values = to_numpy(self.x)
        if values.dtype.kind != "f":
            return np.zeros(values.shape, dtype=bool)
        found = np.isnan(values)
        for place, level in enumerate(self.table.levels if self.table is not None else ()):
            if level is not None:
                found[:, place] = np.isin(values[:, place], level.missing)
        return found

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
        why = None if self.gaps else self._gaps_refused(array)
        with refusal_reason(why):
            refuse_missing(array, "the other rows", missing=why is None)
        return array

    def _gaps_refused(self, array: Array) -> str | None:
        """Why the missing values of other rows are refused; ``None`` if the model takes them, empty if not tried."""
        if self.try_missing is None:
            return ""
        other = Rows(array, tuple(map(str, range(len(array)))), {}, self.table, None, True, self.layout, self.whole)
        return self.try_missing(replace(other, sparse=self.sparse)) or None

    def in_callers_form(self, x: Array) -> Any:
        """Other rows ``x`` as a frame like the caller's, where these rows were one; else unchanged."""
        return x if self.table is None else self.table.decode(to_floats(x))

    def _encode(self, table: Table, data: Any) -> Array:
        """A frame as a matrix; its missing values pass if the model takes them."""
        if self.gaps or self.try_missing is None:
            return table.encode(data, gaps=self.gaps)
        trial = table.encode(data, gaps=True, new_categories=False)
        why = self._gaps_refused(trial)
        if why is None:
            return trial
        with refusal_reason(why):
            return table.encode(data, gaps=False)

    def _to_array(self, data: Any) -> Array:
        """The data as an array; the columns of a frame are matched by name."""
        if self.layout is not None and not self.layout.single and is_several_inputs(data):
            packed, layout = pack_inputs(self.layout.in_order(data))
            if (layout.names, layout.shapes) != (self.layout.names, self.layout.shapes):
                raise InputError(
                    f"the other rows have inputs {layout.input_names} of shapes {layout.shapes}; the rows explained "
                    f"have {self.layout.input_names} of {self.layout.shapes}."
                )
            return packed
        if self.table is not None and self.table.is_of_array and isinstance(data, np.ndarray):
            return self._encode(self.table, data)
        if is_frame(data):
            if self.table is None:
                raise InputError(
                    "the rows explained are an array; pass the other rows as an array too, not as a frame."
                )
            return self._encode(self.table, data)
        if self.table is not None and self.table.coded.any():
            raise InputError("this table has text or categorical columns; pass the other rows as a data frame too.")
        array = data.detach() if is_torch_array(data) else np.array(dense_array(data), order="C")
        if not is_torch_array(array) and array.dtype.kind not in "biuf":
            if self.text is not None:
                raise InputError(
                    "the rows explained are texts, whose words other texts cannot fill. Remove words with "
                    "assay.Constant(0.0), or replace them by one token: Constant(assay.model.token_embedding(model, "
                    "…))."
                )
            raise InputError(f"the other rows are of type {array.dtype}; numbers are needed.")
        return array

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the contents; it does not depend on the codes of levels."""
        matrix = to_numpy(self.x)
        content = self.table.cell_values(matrix) if self.table is not None else matrix
        return digest(self.shape, content, {k: to_numpy(v) for k, v in self.carried.items()}, self.ids)


def dense_array(x: Any) -> Array:
    """An array or tensor; sparse matrices, masked arrays and arrays of Python numbers are converted.

    Raises ``InputError`` for arrays with named fields, and for rows of different lengths.
    """
    if is_torch_array(x):
        return x.detach().to_dense() if x.layout.__str__() != "torch.strided" else x.detach()
    if is_sparse(x):
        return sparse_to_dense(x)
    if isinstance(x, np.ma.MaskedArray) and x.dtype.names is None:
        return np.ma.filled(x.astype(np.float64), np.nan)
    try:
        array = np.asarray(x)
        if array.dtype.kind == "O":
            array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        if isinstance(x, np.ndarray):
            return x  # of texts: refused, or read as a table, where it is known what for
        listed = list(x)[:1] if isinstance(x, list | tuple) else []
        if isinstance(x, Mapping) or hasattr(x, "iloc") or any(isinstance(row, Mapping) for row in listed):
            raise InputError(
                f"the rows are no matrix of numbers, but a {type(x).__name__} of cells by name; give a data frame, "
                f"which pandas.DataFrame(rows) makes of it. One row of a frame is frame.iloc[[0]], not frame.iloc[0]."
            ) from error
        raise InputError(
            f"the rows are no matrix of numbers ({error}). Give rows of equal length; several inputs of a net are a "
            f"tuple "
            f"or a mapping of arrays."
        ) from error
    if array.dtype.names is not None:
        raise InputError(
            f"the rows are an array with named fields {list(array.dtype.names)[:5]}; a matrix or a data frame is "
            f"needed. "
            f"Convert it: pandas.DataFrame(rows), or numpy.lib.recfunctions.structured_to_unstructured(rows)."
        )
    return array


def count_rows(data: Any) -> int:
    """The number of rows of an array, a sparse matrix, a frame, a list, or of the inputs of a net of several."""
    if is_several_inputs(data):
        data = next(iter(data.values() if isinstance(data, Mapping) else data))
    return int(data.shape[0]) if hasattr(data, "shape") else len(data)


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


@contextmanager
def refusal_reason(why: str | None) -> Iterator[None]:
    """Add to an ``InputError`` about missing values what the model itself says of them, where it was asked."""
    try:
        yield
    except InputError as error:
        if not why:
            raise
        raise InputError(f"{error} The model was tried with the missing values: {why}.") from error


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
