# SPDX-License-Identifier: Apache-2.0
"""Frames as tables of named yes/no conditions, and such a table as its distinct rows with counts of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints, Masks
from assay.nouns.inputs.frames import is_frame, open_frame, with_text_names
from assay.nouns.inputs.native_columns import dense_column, is_missing, is_numeric, missing_kind, to_numbers

DIGITS = 12
"""Decimal places up to which a short threshold between two observed values is sought."""


@dataclass(frozen=True)
class Condition:
    """A yes/no question about one column: at most a number, is a level, or is missing.

    A missing value answers no to the first two; ``negated`` therefore says "or missing" where training rows had gaps.
    """

    column: str
    kind: Literal["at most", "is", "missing"]
    value: Any = None
    gaps: bool = False

    @property
    def text(self) -> str:
        """The condition in words: ``priors ≤ 3``, ``sex = Male``, ``age is missing``."""
        if self.kind == "missing":
            return f"{self.column} is missing"
        return f"{self.column} {'≤' if self.kind == 'at most' else '='} {_value_text(self.value)}"

    @property
    def negated(self) -> str:
        """The opposite of the condition in words."""
        if self.kind == "missing":
            return f"{self.column} is known"
        opposite = f"{self.column} {'>' if self.kind == 'at most' else '≠'} {_value_text(self.value)}"
        return f"{opposite} or missing" if self.gaps and self.kind == "at most" else opposite

    def holds(self, column: _Column) -> Masks:
        """Which rows (row,) answer yes."""
        if self.kind == "missing":
            return column.missing
        if self.kind == "at most":
            return (column.numbers() <= self.value) & ~column.missing
        return column.equal_to(self.value)


@dataclass(frozen=True, eq=False)
class Binariser:
    """The conditions that turn rows of a frame, or of a matrix, into a binary table (row, condition).

    ``columns`` are the names of the frame's columns, empty for a matrix of ``width`` columns (named x0, x1, …).
    ``left_out`` names conditions that were dropped because more than the allowed number were found.
    """

    conditions: tuple[Condition, ...]
    width: int
    columns: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The conditions in words, in the order of the columns of the binary table."""
        return tuple(one.text for one in self.conditions)

    def __call__(self, x: Any) -> Masks:
        """The binary table (row, condition); ``InputError`` where a column is missing or of another kind."""
        columns = {one.name: one for one in read_columns(x)}
        if self.columns:
            missing = [name for name in self.columns if name not in columns]
            if missing or not is_frame(x):
                raise InputError(
                    f"the model was fitted to a frame of columns {_first(self.columns)}; got "
                    f"{f'no columns {_first(missing)}' if is_frame(x) else 'a matrix'}."
                )
        elif len(columns) != self.width:
            raise InputError(f"the model was fitted to {self.width} columns; got {len(columns)}.")
        rows = len(x) if not columns else len(next(iter(columns.values())).missing)
        table = [one.holds(columns[one.column]) for one in self.conditions]
        return np.stack(table, axis=1) if table else np.zeros((rows, 0), dtype=bool)


@dataclass(frozen=True, eq=False)
class DistinctRows:
    """The distinct rows of a binary table: ``masks`` (row, condition) and ``counts`` (row, class).

    ``which`` (original row,) is the distinct row of each original one. ``order`` of distinct rows is lexicographic, so
    it does not depend on the order of the original rows.
    """

    masks: Masks
    counts: Floats
    which: Ints = field(repr=False)

    @property
    def total(self) -> float:
        """The number of original rows."""
        return float(self.counts.sum())

    @property
    def minority(self) -> Floats:
        """Rows (row,) that any model of these conditions gets wrong: those not of the commonest class among equals."""
        return np.asarray(self.counts.sum(axis=1) - self.counts.max(axis=1, initial=0.0))


def distinct_rows(masks: Masks, labels: Ints, classes: int) -> DistinctRows:
    """Collapse a binary table (row, condition) with class numbers (row,) to its distinct rows."""
    packed = np.packbits(masks, axis=1) if masks.shape[1] else np.zeros((len(masks), 1), dtype=np.uint8)
    _, first, which = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    which = which.reshape(-1).astype(np.int64)
    counts = np.zeros((len(first), classes))
    np.add.at(counts, (which, labels), 1.0)
    return DistinctRows(masks[first], counts, which)


def fit_binariser(
    x: Any,
    y: Any = None,
    *,
    cuts: int | Mapping[str, Sequence[float]] = 4,
    most: int = 40,
    least: float = 0.01,
) -> Binariser:
    """The conditions of training rows: numbers at most a threshold, levels, and gaps.

    A column of numbers is cut at its ``cuts`` inner quantiles (every distinct value where it has few), at the shortest
    decimal number that separates the same training rows; ``cuts`` may instead name thresholds for each column (others
    are cut at 4). A column of two numbers, and each level of any other column, is asked for the value itself.
    Conditions that hold for less than the share ``least`` of the rows, or fail for less, and conditions that repeat or
    negate an earlier one on all training rows, are dropped. Of more than ``most``, those that reduce the Gini impurity
    of ``y`` most are kept (without ``y`` the most evenly split ones). ``InputError`` for no rows, no columns or bad
    options.
    """
    if most < 1 or not 0 <= least < 0.5 or (isinstance(cuts, int) and cuts < 1):
        raise InputError(f"cuts={cuts}, most={most}, least={least}; needed: cuts ≥ 1, most ≥ 1, 0 ≤ least < 0.5.")
    columns = read_columns(x)
    if not columns or not len(columns[0].missing):
        raise InputError("no rows or no columns; a binariser needs at least one of each.")
    _refuse_unknown(cuts, [one.name for one in columns])
    found: list[tuple[Condition, Masks]] = []
    seen: set[bytes] = set()
    for column in columns:
        for condition in _candidates(column, cuts):
            mask = condition.holds(column)
            if not least <= mask.mean() <= 1 - least or mask.all() or not mask.any():
                continue
            keys = {np.packbits(mask).tobytes(), np.packbits(~mask).tobytes()}
            if not keys & seen:
                seen |= keys
                found.append((condition, mask))
    kept = _best(found, y, most)
    return Binariser(
        tuple(found[i][0] for i in kept),
        len(columns),
        tuple(one.name for one in columns) if is_frame(x) else (),
        tuple(found[i][0].text for i in range(len(found)) if i not in set(kept)),
    )


@dataclass(frozen=True, eq=False)
class _Column:
    """A column as read: its values, numbers as float64, others as objects; and which are missing."""

    name: str
    values: Any
    missing: Masks

    @property
    def numeric(self) -> bool:
        return isinstance(self.values, np.ndarray)

    def numbers(self) -> Floats:
        """The values as float64; ``InputError`` for others."""
        if not self.numeric:
            raise InputError(f"column {self.name!r} held numbers when the model was fitted; now it does not.")
        return np.asarray(self.values)

    def equal_to(self, value: Any) -> Masks:
        """Which values (row,) equal ``value``."""
        equal = self.values == value if self.numeric else [not no and v == value for v, no in zip(*self._pairs())]
        return np.asarray(equal, dtype=bool) & ~self.missing

    def _pairs(self) -> tuple[Sequence[Any], Masks]:
        return self.values, self.missing


def read_columns(x: Any) -> list[_Column]:
    """The columns of a frame of any library, or of a matrix (row, column), numbers apart from levels."""
    if is_frame(x):
        frame = open_frame(with_text_names(x))
        return [_column_of_series(name, dense_column(frame[name])) for name in frame.columns]
    matrix = np.asarray(x)
    if matrix.ndim != 2:
        raise InputError(f"a frame or a matrix (row, column) is needed; got an array of shape {matrix.shape}.")
    if matrix.dtype.kind in "biuf":
        numbers = matrix.astype(np.float64)
        return [_Column(f"x{j}", numbers[:, j], np.isnan(numbers[:, j])) for j in range(matrix.shape[1])]
    return [_column_of_objects(f"x{j}", matrix[:, j].tolist()) for j in range(matrix.shape[1])]


def _column_of_series(name: str, column: Any) -> _Column:
    missing = is_missing(column)
    if is_numeric(column):
        return _Column(name, to_numbers(name, column, missing), missing)
    return _column_of_objects(name, column.to_list(), missing)


def _column_of_objects(name: str, values: list[Any], missing: Masks | None = None) -> _Column:
    gaps = np.array([bool(missing_kind(one)) for one in values], dtype=bool) if missing is None else missing
    known = [one for one, no in zip(values, gaps) if not no]
    if known and all(isinstance(one, Real) and not isinstance(one, bool | np.bool_) for one in known):
        return _Column(name, np.array([np.nan if no else float(v) for v, no in zip(values, gaps)]), gaps)
    return _Column(name, values, gaps)


def _candidates(column: _Column, cuts: int | Mapping[str, Sequence[float]]) -> list[Condition]:
    """Every condition that a column offers."""
    gaps = bool(column.missing.any())
    missing = [Condition(column.name, "missing")] if gaps else []
    if not column.numeric:
        known = [v for v, no in zip(column.values, column.missing) if not no]
        levels = sorted(dict.fromkeys(known), key=lambda one: (type(one).__name__, str(one)))
        levels = levels[-1:] if len(levels) == 2 and not gaps else levels
        return [Condition(column.name, "is", level, gaps) for level in levels] + missing
    values = column.numbers()[~column.missing]
    distinct, given = np.unique(values), None if isinstance(cuts, int) else cuts.get(column.name)
    if given is not None:
        return [Condition(column.name, "at most", float(one), gaps) for one in sorted(given)] + missing
    if len(distinct) == 2 and (distinct == np.trunc(distinct)).all():
        return [Condition(column.name, "is", float(distinct[1]), gaps), *missing]
    count = cuts if isinstance(cuts, int) else 4
    chosen = distinct[:-1]
    if len(distinct) > count + 1:
        shares = np.arange(1, count + 1) / (count + 1)
        chosen = np.setdiff1d(np.unique(np.quantile(values, shares, method="inverted_cdf")), distinct[-1:])
    above = distinct[np.searchsorted(distinct, chosen, side="right")] if len(chosen) else chosen
    return [Condition(column.name, "at most", _short(a, b), gaps) for a, b in zip(chosen, above)] + missing


def _short(low: float, high: float) -> float:
    """The number of fewest decimal places in [low, high)."""
    for places in range(DIGITS + 1):
        found = float(np.ceil(low * 10.0**places) / 10.0**places)
        if low <= found < high:
            return found + 0.0
    return float(low)


def _best(found: Sequence[tuple[Condition, Masks]], y: Any, most: int) -> list[int]:
    """The positions of the conditions that are kept, in their order."""
    if len(found) <= most:
        return list(range(len(found)))
    masks = np.stack([mask for _, mask in found]).astype(np.float64)
    share = masks.mean(axis=1)
    gain = share * (1 - share)
    if y is not None:
        labels = np.unique(np.asarray(y), return_inverse=True)[1].reshape(-1)
        own = np.eye(labels.max() + 1)[labels]
        base, inside = own.mean(axis=0), masks @ own / len(own)
        # Σ over classes of n₁n₂/n² (p₁ − p₂)², the reduction of the Gini impurity
        gain = ((inside - share[:, None] * base) ** 2).sum(axis=1) / (share * (1 - share))
    return sorted(np.argsort(-gain, kind="stable")[:most].tolist())


def _refuse_unknown(cuts: int | Mapping[str, Sequence[float]], names: Sequence[str]) -> None:
    unknown = [] if isinstance(cuts, int) else [name for name in cuts if name not in names]
    if unknown:
        raise InputError(f"cuts names columns {unknown}; the table has {_first(names)}.")


def _value_text(value: Any) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _first(names: Sequence[str], limit: int = 8) -> str:
    return ", ".join(map(repr, names[:limit])) + (f" … ({len(names)} in total)" if len(names) > limit else "")
