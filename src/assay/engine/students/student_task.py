# SPDX-License-Identifier: Apache-2.0
"""What a student sees: rows, the teacher's classes, and for the rows taught also explanations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks, PerPart
from assay.nouns.inputs.frames import Table


@dataclass(frozen=True, eq=False)
class StudentTask:
    """The rows ``taught`` with the teacher's ``classes`` (row,) and explanations, and the rows of the exam.

    ``values`` (row, part) are attributions for the class ``explained`` (row,) of each row; ``None`` where the student
    gets none. ``words`` holds the words of each row where they are texts; else ``x`` (row, column) are numbers, of
    which ``coded`` (column,) are codes of levels. ``count`` is the number of classes.
    """

    taught: Ints
    exam: Ints
    classes: Ints
    explained: Ints
    count: int
    x: Floats
    coded: Masks
    words: tuple[tuple[str, ...], ...]
    texts: tuple[str, ...]
    values: PerPart | None
    seed: Seed

    def without_explanations(self) -> StudentTask:
        """The same task without explanations."""
        return replace(self, values=None)

    def with_values(self, values: PerPart) -> StudentTask:
        """The same task with other explanations."""
        return replace(self, values=values)


Student = Callable[[StudentTask], Ints]
"""A function from a task to the classes (row,) that it guesses for the rows of the exam."""


def coded_columns(table: Table | None, columns: int) -> Masks:
    """Which columns hold codes of levels."""
    return np.zeros(columns, dtype=bool) if table is None else np.asarray(table.coded, dtype=bool)
