# SPDX-License-Identifier: Apache-2.0
"""The removal that is used where the caller names none: never zero for a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.basics.seed import Seed
from assay.basics.types import Array, Ints
from assay.cases.fillings import EachBackgroundRow, Filling
from assay.cases.removals import Constant, Removal
from assay.model.layer_slices import ROWS
from assay.nouns.inputs.rows import Rows, to_numpy
from assay.nouns.results.result import Note

MOST_ROWS = 50
"""The most rows explained that serve as the background of a table."""


@dataclass(frozen=True)
class DefaultRemoval:
    """Chosen by the kind of rows: a table's absent columns get those of the rows explained (``Marginal``), anything
    else zero (a deleted word, a black pixel, a silent unit).
    """

    @property
    def fills(self) -> int:
        """Unknown before there are rows; ``default_removal`` gives the one that is used."""
        raise InputError("the default removal depends on the rows; call default_removal(rows, seed) first.")

    @property
    def fingerprint(self) -> str:
        """Hash of its name."""
        return digest("default removal")

    def bind(self, rows: Rows) -> Filling:
        """The filling of the removal that is used for these rows."""
        removal: Removal = OwnBackground.of(rows, np.arange(len(rows))) if is_table(rows) else Constant(0.0)
        return removal.bind(rows)

    def __repr__(self) -> str:
        return "default"


DEFAULT = DefaultRemoval()


@dataclass(frozen=True, repr=False)
class OwnBackground:
    """``Marginal`` with rows of the case itself as the background, in the form in which the case holds them."""

    x: Array = field(compare=False)
    total: int

    @staticmethod
    def of(rows: Rows, which: Any) -> OwnBackground:
        """The background made of the rows ``which``."""
        return OwnBackground(rows.x[which], len(rows))

    @property
    def fills(self) -> int:
        """The number of background rows."""
        return len(self.x)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the background rows."""
        return digest("own background", to_numpy(self.x))

    def bind(self, rows: Rows) -> Filling:
        """Every background row in turn."""
        return EachBackgroundRow(rows.x, self.x)

    def __repr__(self) -> str:
        return f"Marginal(<{len(self.x)} of the {self.total} rows explained>)"


def background_rows(count: int, seed: Seed) -> Ints:
    """Positions of the rows that are the background: all of ``count``, or ``MOST_ROWS`` drawn by the seed."""
    if count <= MOST_ROWS:
        return np.arange(count)
    return np.sort(seed.child("default background").generator().choice(count, MOST_ROWS, replace=False))


def is_table(rows: Rows) -> bool:
    """Whether rows are vectors of columns: no pictures, no words, no token ids."""
    return len(rows.shape) == 1 and rows.text is None


def default_removal(rows: Rows, seed: Seed, input_layer: str = ROWS) -> tuple[Removal, Note | None]:
    """The removal used for rows where the caller names none, and a note that says what it is.

    Raises ``InputError`` for a table of a single row, which is no background for itself.
    """
    if input_layer != ROWS or not is_table(rows):
        return Constant(0.0), None
    if len(rows) < 2:
        raise InputError(
            "one row is no background for itself. Say what replaces absent columns: remove=assay.Marginal(background), "
            "with rows of the training data, or assay.Constant(values)."
        )
    chosen = background_rows(len(rows), seed)
    which = f"the {len(rows)} rows explained" if len(chosen) == len(rows) else f"{MOST_ROWS} of the rows explained"
    note = Note(
        "default-background",
        f"absent columns are replaced by those of {which}, since no removal was named; give "
        f"remove=assay.Marginal(background) with rows of the training data",
    )
    return OwnBackground.of(rows, chosen), note
