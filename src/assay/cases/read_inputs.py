# SPDX-License-Identifier: Apache-2.0
"""Conversion of a caller's inputs (frames, arrays, tensors and texts) to rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Array, Ints
from assay.cases.model_checks import is_full
from assay.cases.removals import is_texts
from assay.model.model import Model
from assay.nouns.inputs.features import Features, elements
from assay.nouns.inputs.frames import (
    Table,
    check_columns,
    index_of,
    is_frame,
    list_first,
    open_frame,
    with_text_names,
)
from assay.nouns.inputs.input_layout import InputLayout, is_several_inputs, pack_inputs
from assay.nouns.inputs.rows import Rows, dense_array, refusal_reason, refuse_missing, to_floats, to_numpy
from assay.nouns.inputs.sparse_rows import is_sparse
from assay.nouns.results.result import Note

if TYPE_CHECKING:
    from assay.model.adapters.text import Encoder
    from assay.model.texts.words import TextRow

COLUMNS_TRIED = 8
"""Rows on which a model is tried with and without the columns that are not its own."""

MISSING_TRIED = 3
"""Rows with missing values on which a model is tried."""


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
        return _texts(model, model.encode, x, ids, carried, names, features)
    matrix = isinstance(x, np.ndarray) and x.ndim == 2 and model.accepts_missing  # an estimator's columns of text
    if not is_frame(x) and not matrix and is_texts(x):
        raise InputError(
            f"the rows are texts, and {model.name} is not known to read texts. For an estimator or a function of a "
            f"list of texts use assay.model.text_pipeline(estimator) or assay.model.text_function(call, gives=…); for "
            f"a net assay.model.transformers or assay.model.text; for a table a data frame."
        )
    rows, notes = _rows(model, x, ids, carried)
    named = tuple(names) if names is not None else rows.table.names if rows.table is not None else model.columns
    if named is None and rows.layout is not None:
        named = rows.layout.element_names()
    if named is not None and len(rows.shape) == 2 and len(named) == rows.shape[1] and rows.table is None:
        named = _window_names(named, rows.shape[0])
    return rows, features if features is not None else _elements(rows, named), notes


def _texts(
    model: Model,
    encode: Encoder,
    x: Any,
    ids: Sequence[Any] | None,
    carried: Mapping[str, Any],
    names: Sequence[str] | None,
    features: Features | None,
) -> tuple[Rows, Features, tuple[Note, ...]]:
    found = encode(texts(x))
    refuse_missing(found.x, "the embeddings")
    further = {name: _carry(name, value, found.x, model) for name, value in carried.items()}
    named_rows = _ids(index_of(x) if ids is None else ids, len(found.x))
    rows = Rows(found.x, named_rows, {**found.carried, **further}, text=found.text)
    if features is not None:
        return replace(rows, text=found.text.without_words), features, found.notes
    most = max(map(len, found.text.words))
    if names is not None and len(names) != most:
        raise InputError(f"{len(names)} names for texts of up to {most} features.")
    named = tuple(names) if names is not None else tuple(f"{found.part} {i + 1}" for i in range(most))
    index = found.index if len(rows.shape) == 1 else np.repeat(found.index[:, :, None], rows.shape[-1], axis=2)
    return rows, Features(index, named, per_row=True), found.notes


def texts(x: Any) -> list[TextRow]:
    """Texts, or pairs of texts, of a list, an array or a column of a frame; ``InputError`` names entries that are none.

    A pair is a tuple or list of two texts; an array or a frame of two columns of texts holds pairs too.
    """
    if isinstance(x, str):
        raise InputError("the rows are a single text; pass a list of texts. For one row use [text].")
    if is_frame(x):
        x = open_frame(x)
        if len(x.columns) in (1, 2):
            x = x.rows() if len(x.columns) == 2 else [row[0] for row in x.rows()]
    if is_frame(x) or getattr(x, "ndim", 1) not in (1, 2):
        raise InputError(
            f"a text model needs one text, or one pair of texts, per row; got {type(x).__name__}. Pass the column of "
            f"texts."
        )
    if isinstance(x, bytes | Mapping | set) or not hasattr(x, "__iter__"):
        raise InputError(f"a text model needs a list of texts; got {type(x).__name__}.")
    given = [tuple(map(_plain, row)) if isinstance(row, tuple | list | np.ndarray) else _plain(row) for row in x]
    wrong = [i for i, row in enumerate(given) if not isinstance(row, str) and not _is_pair(row)]
    if wrong:
        kind = type(list(x)[wrong[0]]).__name__
        raise InputError(f"row {list_first(wrong)}: {kind}, not text; pass a list of texts, or of pairs (text, text).")
    if not given:
        raise InputError("there are no rows to explain.")
    pairs = [i for i, row in enumerate(given) if isinstance(row, tuple)]
    if pairs and len(pairs) < len(given):
        raise InputError(f"row {list_first(pairs)}: a pair of texts among single texts. Pass one kind of rows.")
    return given


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value


def _is_pair(row: Any) -> bool:
    return isinstance(row, tuple) and len(row) == 2 and all(isinstance(text, str) for text in row)


def _window_names(named: Sequence[str], steps: int) -> tuple[str, ...]:
    """Names of the elements of a window (step, feature): the feature and how many steps before the last it lies."""
    return tuple(
        f"{name} (t−{steps - 1 - step})" if step < steps - 1 else f"{name} (t)"
        for step in range(steps)
        for name in named
    )


def _elements(rows: Rows, named: Sequence[str] | None) -> Features:
    if named is not None and len(named) != int(np.prod(rows.shape)):
        raise InputError(f"{len(named)} names for rows of shape {rows.shape} ({int(np.prod(rows.shape))} elements).")
    return elements(rows.shape, named)


def _rows(model: Model, x: Any, ids: Sequence[Any] | None, carried: Mapping[str, Any]) -> tuple[Rows, tuple[Note, ...]]:
    """The rows of a frame, array, sparse matrix or tensor, and a note where they are not handed on as they are."""
    table, layout, array, ids = _opened(model, x, ids)
    whole = layout is None and (_is_whole(array) if table is None else table.all_integers)
    given, array = array, _copy_for_model(array, model, double=layout is not None or whole)
    if len(array) == 0:
        raise InputError("there are no rows to explain.")
    further = {name: _carry(name, value, array, model) for name, value in carried.items()}
    if carried and model.namespace != "torch":
        raise CapabilityError(
            f"{model.name} takes rows alone; further inputs (carried={list(carried)}) are for torch nets. Make them "
            f"part of the function, or columns of the rows."
        )
    rows = Rows(array, _ids(ids, len(array)), further, table, gaps=True, layout=layout, whole=whole)
    rows, notes = _kept_sparse(model, rows, x)
    notes = (*notes, *_rounded_codes(given, array, model))
    if table is not None and table.unread:
        text = f"{model.name} does not read {', '.join(map(repr, sorted(table.unread)[:8]))}: left out"
        notes = (*notes, Note("unread-columns", text))
    tried = model.namespace != "torch" and rows.missing_cells.any()
    why = _missing_refused(model, rows) if tried else ""
    gaps = not why if tried else model.accepts_missing
    with refusal_reason(why):
        if not gaps and table is not None:
            table.encode(x, gaps=False)  # raises, naming the column
        refuse_missing(array, "the rows", missing=gaps)
    if isinstance(x, np.ma.MaskedArray) and np.ma.getmaskarray(x).any():
        text = "masked elements are missing values (NaN); most libraries read the numbers under the mask instead"
        notes = (*notes, Note("masked-elements", text))
    unknown = not gaps and model.namespace != "torch"
    return replace(rows, gaps=gaps, try_missing=partial(_missing_refused, model) if unknown else None), notes


def _opened(model: Model, x: Any, ids: Any) -> tuple[Table | None, InputLayout | None, Array, Any]:
    """The encoding of a frame or the layout of several inputs, the rows as one array, and their ids."""
    if is_frame(x):
        table, matrix, ids = _table(model, x, ids)
        return table, None, matrix, ids
    if model.namespace == "torch" and is_several_inputs(x):
        array, layout = pack_inputs(x)
        return None, layout, array, ids
    array = dense_array(x)
    if array.ndim < 2:
        raise InputError(f"rows have axes (row, …); got shape {tuple(array.shape)}. For one row use x[None].")
    if model.columns is not None and array.shape[1] != len(model.columns):
        raise InputError(f"{array.shape[1]} columns for a model of {len(model.columns)}: {list(model.columns)[:8]}.")
    if model.namespace != "torch" and array.ndim == 2 and not is_torch_array(array) and array.dtype.kind in "OU":
        table = Table.of_array(array)
        return table, None, table.encode(array, gaps=True), ids
    return None, None, array, ids


def _kept_sparse(model: Model, rows: Rows, x: Any) -> tuple[Rows, tuple[Note, ...]]:
    """The rows with the class of the caller's sparse matrix, or a note where the model takes dense rows only."""
    if model.namespace == "torch" or not is_sparse(x):
        return rows, ()
    kept = replace(rows, sparse=type(x))
    try:
        model.values(kept.take(np.arange(min(3, len(rows)))))
    except Exception as error:  # whatever else the library raises, it does not take sparse rows
        if is_full(error):
            raise
        told = " ".join(str(error).split())[:160]
        text = f"the rows are a sparse matrix, which the model does not take ({told}); it is given dense rows"
        return rows, (Note("dense-rows", text),)
    return kept, ()


def _missing_refused(model: Model, rows: Rows) -> str:
    """Why the model does not take missing values, tried on up to three rows that have some; empty if it gives numbers.

    An error is taken for a refusal only where the same rows pass once their missing cells are filled. Any other error
    is raised as it is.
    """
    missing = rows.missing_cells.reshape(len(rows), -1)
    few = np.flatnonzero(missing.any(axis=1))[:MISSING_TRIED]
    if len(few) == 0:
        return ""
    try:
        outputs = to_floats(model.values(rows.take(few)))
    except Exception as error:
        if is_full(error):
            raise
        filled = _filled(rows, few)
        if filled is not None:
            model.values(filled)  # raises what is no matter of missing values
        source = error.__cause__ or error  # what the library itself raised
        told = " ".join(str(source).split())[:200]
        return f"{type(source).__name__}: {told}" if told else type(source).__name__
    return "its outputs are NaN" if np.isnan(outputs).any() else ""


def _filled(rows: Rows, few: Ints) -> Rows | None:
    """These rows with values of other rows in place of missing ones; ``None`` where a column has no other."""
    values = to_floats(rows.x).reshape(len(rows), -1)
    absent = rows.missing_cells.reshape(len(rows), -1) | np.isinf(values)
    filled, levels = values[few], rows.table.levels if rows.table is not None else ()
    for place in np.flatnonzero(absent[few].any(axis=0)):
        known, level = values[~absent[:, place], place], levels[place] if levels else None
        codes = range(0) if level is None else [code for code in range(len(level.values)) if code not in level.missing]
        if len(known) == 0 and level is not None and not codes:
            return None
        value = known[0] if len(known) else codes[0] if level is not None else 0.0
        filled[absent[few, place], place] = value
    return rows.with_inputs(filled.reshape(len(few), *rows.shape), few)


def _table(model: Model, x: Any, ids: Sequence[Any] | None) -> tuple[Table, Array, Sequence[Any] | None]:
    """The encoding of a frame, its matrix with the model's columns in their order, and the ids of its rows."""
    import narwhals as nw

    table = Table.of(x)  # the model gets the caller's own column names
    if model.columns is not None or model.namespace == "torch":
        x = with_text_names(x)
    if model.columns is not None:
        every, unread = table, _unread_columns(model, table.names)
        check_columns([name for name in table.names if name not in unread], model.columns)
        given, places = x, [table.names.index(name) for name in model.columns]
        x = open_frame(x)[:, places].to_native()
        table = replace(Table.of(x), unread=frozenset(unread))
        if unread and not _same_outputs(model, (every, given), (table, x)):
            check_columns(every.names, model.columns)  # raises, naming the columns
    if model.namespace == "torch" and table.coded.any():
        kinds = open_frame(x).schema
        not_numeric = [name for name, coded in zip(table.names, table.coded) if coded and kinds[name] != nw.Boolean]
        if not_numeric:
            raise InputError(
                f"a net needs numbers; column(s) {not_numeric[:5]} are not numeric. Encode them, or wrap a Pipeline."
            )
        x = open_frame(x).with_columns(nw.col(*[n for n in table.names if kinds[n] == nw.Boolean]).cast(nw.Float64))
        x = x.to_native()
        table = Table.of(x)
    return table, table.encode(x, gaps=True), index_of(x) if ids is None else ids


def _unread_columns(model: Model, names: Sequence[str]) -> list[str]:
    """Columns beyond those of a model that is no net, where it has all of its own."""
    known = set(model.columns or ())
    further = [name for name in names if name not in known]
    return further if model.namespace != "torch" and known <= set(names) else []


def _same_outputs(model: Model, one: tuple[Table, Any], other: tuple[Table, Any]) -> bool:
    """Whether the model gives the same numbers for the first rows of both frames."""
    outputs = []
    for table, frame in (one, other):
        few = open_frame(frame)[:COLUMNS_TRIED].to_native()
        rows = Rows(table.encode(few, gaps=True), tuple(map(str, range(len(few)))), {}, table, gaps=True)
        try:
            outputs.append(to_floats(model.values(rows)))
        except Exception as error:
            if is_full(error):
                raise
            return False
    return np.array_equal(outputs[0], outputs[1], equal_nan=True)


def _is_whole(array: Array) -> bool:
    """Whether the caller gave whole numbers, which a net may take as ids."""
    if is_torch_array(array):
        return not array.dtype.is_floating_point and not array.dtype.is_complex and "bool" not in str(array.dtype)
    return array.dtype.kind in "iu"


def _ids(ids: Sequence[Any] | None, rows: int) -> tuple[str, ...]:
    labels = tuple(map(str, ids)) if ids is not None else tuple(map(str, range(rows)))
    if len(labels) != rows:
        raise InputError(f"{len(labels)} ids for {rows} rows.")
    if len(set(labels)) != len(labels):
        raise InputError("ids repeat; each row needs a unique id, which keys its random stream.")
    return labels


def _copy_for_model(array: Array, model: Model, *, double: bool = False) -> Array:
    """A copy of the caller's array in the model's namespace, number type (float64 if ``double``) and device."""
    if not is_torch_array(array) and array.dtype.kind not in "biuf":
        raise InputError(f"rows of {array.dtype} are not numbers; pass text and categories as a data frame.")
    if model.namespace == "torch":
        import torch

        given = array if is_torch_array(array) else np.array(array, order="C")
        dtype = torch.float64 if double else getattr(torch, model.dtype)
        return torch.as_tensor(given).to(device=model.device, dtype=dtype).clone()
    array = np.array(to_numpy(array), dtype=np.float64)
    array.flags.writeable = False
    return array


def _rounded_codes(given: Array, array: Array, model: Model) -> tuple[Note, ...]:
    """A note where the number type of the net rounds whole numbers, which may be codes."""
    if model.namespace != "torch" or model.dtype not in ("float16", "bfloat16") or "64" in str(array.dtype):
        return ()
    before, after = to_floats(given), to_floats(array)
    rounded = (before == np.round(before)) & (before != after)
    if not rounded.any():
        return ()
    text = f"whole numbers are rounded to {model.dtype} (such as {before[rounded][0]:g} to {after[rounded][0]:g})"
    return (Note("rounded-codes", f"{text}; pass codes as an input of their own, of an integer type"),)


def _carry(name: str, value: Any, like: Array, model: Model) -> Array:
    """An additional input in the model's namespace, on its device; numbers that are no tensors in its number type."""
    if not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0:
        raise InputError(
            f"carried={{{name!r}: …}} is {type(value).__name__}, not one entry a row. Set what is the same for all "
            f"rows in the net itself, or repeat it for each row."
        )
    if len(value) != len(like):
        raise InputError(f"an additional input has {len(value)} rows; there are {len(like)} rows to explain.")
    if not is_torch_array(like):
        return array_namespace(like).asarray(value)
    if is_torch_array(value):
        return value.detach().to(like.device)
    import torch

    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise InputError(f"the additional input {name!r} is of type {array.dtype}; numbers are needed.")
    dtype = getattr(torch, model.dtype) if array.dtype.kind == "f" else None
    return torch.as_tensor(np.array(array, order="C"), dtype=dtype, device=like.device)
