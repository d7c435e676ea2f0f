# SPDX-License-Identifier: Apache-2.0
"""Conversion of a caller's inputs (frames, arrays, tensors and texts) to rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import InputError
from assay.basics.types import Array
from assay.model.model import Model
from assay.nouns.inputs.features import Features, elements
from assay.nouns.inputs.frames import Table, check_columns, is_frame, list_first
from assay.nouns.inputs.rows import Rows, refuse_missing, to_numpy
from assay.nouns.results.result import Note

if TYPE_CHECKING:
    from assay.model.adapters.text import Encoder


def read(
    model: Model,
    x: Any,
    ids: Sequence[Any] | None,
    carried: Mapping[str, Any],
    names: Sequence[str] | None,
    features: Features | None,
) -> tuple[Rows, Features, tuple[Note, ...]]:
    """The model's rows, their features (``features``, if given), and notes on the conversion."""
    if model.encode is not None:
        return _texts(model.encode, x, ids, carried, names, features)
    rows = _rows(model, x, ids, carried)
    named = tuple(names) if names is not None else rows.table.names if rows.table is not None else model.columns
    return rows, features if features is not None else _elements(rows, named), ()


def _texts(
    encode: Encoder,
    x: Any,
    ids: Sequence[Any] | None,
    carried: Mapping[str, Any],
    names: Sequence[str] | None,
    features: Features | None,
) -> tuple[Rows, Features, tuple[Note, ...]]:
    found = encode(texts(x))
    refuse_missing(found.x, "the embeddings")
    further = {name: _carry(value, found.x) for name, value in carried.items()}
    rows = Rows(found.x, _ids(ids, len(found.x)), {**found.carried, **further}, text=found.text)
    if features is not None:
        return replace(rows, text=found.text.without_words), features, found.notes
    most = max(map(len, found.text.words))
    if names is not None and len(names) != most:
        raise InputError(f"{len(names)} names for texts of up to {most} features.")
    named = tuple(names) if names is not None else tuple(f"{found.part} {i + 1}" for i in range(most))
    index = np.repeat(found.index[:, :, None], rows.shape[-1], axis=2)
    return rows, Features(index, named, per_row=True), found.notes


def texts(x: Any) -> list[str]:
    """Texts from a list, a tuple, an array or a column of a frame; ``InputError`` names entries that are not text."""
    if isinstance(x, str):
        raise InputError("the rows are a single text; pass a list of texts. For one row use [text].")
    if is_frame(x) or getattr(x, "ndim", 1) != 1:
        raise InputError(f"a text model needs one text per row; got {type(x).__name__}. Pass the column of texts.")
    if isinstance(x, bytes | Mapping | set) or not hasattr(x, "__iter__"):
        raise InputError(f"a text model needs a list of texts; got {type(x).__name__}.")
    given = list(x)
    wrong = [i for i, text in enumerate(given) if not isinstance(text, str)]
    if wrong:
        raise InputError(f"row {list_first(wrong)}: {type(given[wrong[0]]).__name__}, not text; pass a list of texts.")
    if not given:
        raise InputError("there are no rows to explain.")
    return [str(text) for text in given]


def _elements(rows: Rows, named: Sequence[str] | None) -> Features:
    if named is not None and len(named) != int(np.prod(rows.shape)):
        raise InputError(f"{len(named)} names for rows of shape {rows.shape} ({int(np.prod(rows.shape))} elements).")
    return elements(rows.shape, named)


def _rows(model: Model, x: Any, ids: Sequence[Any] | None, carried: Mapping[str, Any]) -> Rows:
    table = None
    if is_frame(x):
        table = Table.of(x)
        if model.columns is not None:
            check_columns(table.names, model.columns)
            places = [table.names.index(name) for name in model.columns]
            import narwhals as nw

            x = nw.from_native(x, eager_only=True)[:, places].to_native()
            table = Table.of(x)
        if model.namespace == "torch" and table.coded.any():
            not_numeric = [name for name, coded in zip(table.names, table.coded) if coded]
            raise InputError(
                f"a net needs numbers; column(s) {not_numeric[:5]} are not numeric. Encode them, or wrap a Pipeline."
            )
        array = table.encode(x, gaps=model.accepts_missing)
    else:
        array = x.detach() if is_torch_array(x) else np.asarray(x)
        if array.ndim < 2:
            raise InputError(f"rows have axes (row, …); got shape {tuple(array.shape)}. For one row use x[None].")
        if model.columns is not None and array.shape[1] != len(model.columns):
            raise InputError(
                f"{array.shape[1]} columns for a model of {len(model.columns)}: {list(model.columns)[:8]}."
            )
    array = _copy_for_model(array, model)
    if len(array) == 0:
        raise InputError("there are no rows to explain.")
    refuse_missing(array, "the rows", missing=model.accepts_missing)
    further = {name: _carry(value, array) for name, value in carried.items()}
    return Rows(array, _ids(ids, len(array)), further, table, gaps=model.accepts_missing)


def _ids(ids: Sequence[Any] | None, rows: int) -> tuple[str, ...]:
    labels = tuple(map(str, ids)) if ids is not None else tuple(map(str, range(rows)))
    if len(labels) != rows:
        raise InputError(f"{len(labels)} ids for {rows} rows.")
    if len(set(labels)) != len(labels):
        raise InputError("ids repeat; each row needs a unique id, which keys its random stream.")
    return labels


def _copy_for_model(array: Array, model: Model) -> Array:
    """A copy of the caller's array in the model's namespace, number type and device."""
    if not is_torch_array(array) and array.dtype.kind not in "biuf":
        raise InputError(f"rows of {array.dtype} are not numbers; pass text and categories as a data frame.")
    if model.namespace == "torch":
        import torch

        given = array if is_torch_array(array) else np.array(array, order="C")
        return torch.as_tensor(given).to(device=model.device, dtype=getattr(torch, model.dtype)).clone()
    array = np.array(to_numpy(array), dtype=np.float64)
    array.flags.writeable = False
    return array


def _carry(value: Any, like: Array) -> Array:
    if len(value) != len(like):
        raise InputError(f"an additional input has {len(value)} rows; there are {len(like)} rows to explain.")
    return array_namespace(like).asarray(value)
