# SPDX-License-Identifier: Apache-2.0
"""Rows of a net that reads text without their padding."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

import numpy as np

from assay.basics.types import Array, Ints, Masks
from assay.model.model import Model
from assay.nouns.inputs.rows import Rows, Text


def real_tokens(rows: Rows) -> Masks | None:
    """Which tokens (row, token) are no padding; ``None`` where that is unknown."""
    return None if rows.text is None else rows.text.real


def trim(rows: Rows, group: Ints, places: Ints) -> Rows:
    """The rows of a group with the tokens at ``places`` only."""
    some = rows.take(group)
    if rows.text is None:
        return some
    carried = {name: trim_values(array, rows, group, places) for name, array in rows.carried.items()}
    words = some.text.words if some.text is not None else ()
    text = Text(words, np.ones((len(group), len(places)), dtype=bool))
    return replace(some, x=trim_values(rows.x, rows, group, places), carried=carried, text=text)


def trim_values(array: Array, rows: Rows, group: Ints, places: Ints) -> Array:
    """The entries of a group's rows; those of padding are left out where the array has one entry a token."""
    real = real_tokens(rows)
    own = array[group]
    return own[:, places] if real is not None and own.ndim >= 2 and own.shape[1] == real.shape[1] else own


def trim_common(rows: Rows, per_token: Set[str]) -> Rows:
    """The rows without the tokens that are padding in all of them; ``per_token`` names what is carried a token."""
    real = real_tokens(rows)
    if real is None or real.any(axis=0).all():
        return rows
    places = np.flatnonzero(real.any(axis=0))
    carried = {name: array[:, places] if name in per_token else array for name, array in rows.carried.items()}
    return replace(rows, x=rows.x[:, places], carried=carried, text=None)


def keep_padding(model: Model, rows: Rows) -> Rows:
    """The rows such that no padding is left out, for what reads the tokens of a pass by their place."""
    return rows if getattr(model.forward, "layout", None) is None else replace(rows, text=None)
