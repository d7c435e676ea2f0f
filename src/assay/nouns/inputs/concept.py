# SPDX-License-Identifier: Apache-2.0
"""Concepts: named example rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assay.basics.errors import InputError


@dataclass(frozen=True, eq=False)
class Concept:
    """A concept: a name, and rows that show it.

    The rows are in the same form as those of the case, before the model's ``preprocess``; about 30 or more are needed
    for a test with power. They should differ from the rows they are compared with in the concept alone.
    """

    name: str
    rows: Any = field(repr=False)

    def __post_init__(self) -> None:
        if not self.name:
            raise InputError(f"Concept(name={self.name!r}); a concept has a name of at least one letter.")
        if isinstance(self.rows, str | bytes) or not hasattr(self.rows, "__len__"):
            raise InputError(f"concept {self.name!r}: found {type(self.rows).__name__}; rows that show it are needed.")

    @staticmethod
    def each_of(given: Any, what: str = "concepts") -> tuple[Concept, ...]:
        """Concepts from a mapping of name to rows, one concept, or a sequence of concepts; the names must differ."""
        if isinstance(given, Concept):
            found: tuple[Any, ...] = (given,)
        elif isinstance(given, Mapping):
            found = tuple(Concept(name, rows) for name, rows in given.items())
        elif isinstance(given, Sequence) and not isinstance(given, str | bytes):
            found = tuple(given)
        else:
            raise InputError(f"{what}: found {type(given).__name__}; give {{name: rows}}, or a list of assay.Concept.")
        wrong = next((one for one in found if not isinstance(one, Concept)), None)
        if wrong is not None:
            raise InputError(f"{what}: found {type(wrong).__name__}; each entry is an assay.Concept(name, rows).")
        names = [one.name for one in found]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{what}: the name {twice[0]!r} is given twice; names must differ.")
        return found
