# SPDX-License-Identifier: Apache-2.0
"""One parsed tree, and the function that builds a ``Forest`` from several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import narwhals as nw
import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats, Ints, Masks
from assay.model.forests.forest import Forest
from assay.nouns.inputs.rows import Rows
from assay.nouns.inputs.target import Gives


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree; its first node is the root, children are indices within the tree, −1 at leaves.

    ``value`` (node, out) is used at leaves only. ``sets`` maps a node that splits on categories to a boolean array of
    the codes that go left; codes beyond its end go where NaN goes.
    """

    left: Ints
    right: Ints
    column: Ints
    threshold: Floats
    missing_left: Masks
    cover: Floats
    value: Floats
    sets: dict[int, Masks] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ParsedTrees:
    """The trees of an estimator, and ``read``, which converts its input (a frame, an array, a sparse matrix).

    ``origin`` (column,) is the input column that each column of ``read(given)`` comes from.
    """

    trees: Sequence[Tree]
    base: Floats
    gives: Gives
    read: Callable[[Any], Floats]
    origin: Ints


def add_trees(first: ParsedTrees, second: ParsedTrees) -> ParsedTrees:
    """The sum of both; the columns of the second one follow those of the first one."""
    shift = len(first.origin)
    shifted = [replace(tree, column=np.where(tree.column >= 0, tree.column + shift, -1)) for tree in second.trees]
    return ParsedTrees(
        trees=[*first.trees, *shifted],
        base=first.base + second.base,
        gives=first.gives,
        read=lambda given: np.concatenate([first.read(given), second.read(given)], axis=1),
        origin=np.concatenate([first.origin, second.origin]),
    )


def build_forest(parsed: ParsedTrees, given: Callable[[Rows], Any], origin: Ints) -> Forest:
    """The forest of these trees; ``given(rows)`` is the estimator's input, ``origin`` the element of each column."""
    trees = parsed.trees
    sizes = np.array([len(tree.left) for tree in trees], dtype=np.int64)
    roots = np.cumsum(sizes) - sizes
    shift = np.repeat(roots, sizes)
    left, right = (_joined([getattr(tree, side) for tree in trees], np.int64) for side in ("left", "right"))
    column = _joined([tree.column for tree in trees], np.int64)
    missing_left = _joined([tree.missing_left for tree in trees], bool)
    node_codes = [(root + node, codes) for root, tree in zip(roots, trees) for node, codes in tree.sets.items()]
    sets = np.zeros((len(node_codes), max((len(codes) for _, codes in node_codes), default=0)), dtype=bool)
    levels = np.full(len(column), -1, dtype=np.int64)
    for place, (node, codes) in enumerate(node_codes):
        sets[place] = missing_left[node]
        sets[place, : len(codes)] = codes
        levels[node] = place
    outputs = len(parsed.base)
    value = np.concatenate([np.empty((0, outputs)), *(tree.value for tree in trees)])
    value[column >= 0] = 0.0
    columns = origin[parsed.origin]

    def matrix(rows: Rows) -> Floats:
        found = parsed.read(given(rows))
        if found.shape != (len(rows), len(columns)):
            raise InputError(
                f"the trees were trained on {len(columns)} columns; {len(rows)} rows became a matrix of {found.shape}."
            )
        return found

    return Forest(
        roots=roots,
        left=np.where(column >= 0, left + shift, -1),
        right=np.where(column >= 0, right + shift, -1),
        column=column,
        threshold=_joined([tree.threshold for tree in trees], np.float64),
        missing_left=missing_left,
        cover=_joined([tree.cover for tree in trees], np.float64),
        value=value,
        base=np.asarray(parsed.base, dtype=np.float64),
        gives=parsed.gives,
        matrix=matrix,
        origin=columns,
        levels=levels,
        sets=sets,
    )


def _joined(parts: list[Any], kind: Any) -> Any:
    return np.concatenate([np.empty(0, dtype=kind), *parts]).astype(kind)


def numbers(given: Any) -> Floats:
    """A frame, an array or a sparse matrix of numbers as float64; booleans become 0 and 1."""
    frame = nw.from_native(given, pass_through=True, eager_only=True)
    if isinstance(frame, nw.DataFrame):
        given = _matrix(frame)
    elif is_sparse(given):
        given = given.toarray()
    try:
        return np.array(given, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the trees need numbers; a column is not numeric ({error}). Encode it in a Pipeline."
        ) from error


def _matrix(frame: nw.DataFrame[Any]) -> Any:
    """The frame as an array; of columns of nullable types the missing elements are NaN."""
    matrix = frame.to_numpy()
    if matrix.dtype != object or not len(frame.columns):
        return matrix
    known = [
        column.cast(nw.Float64).fill_null(np.nan) if column.dtype.is_numeric() or column.dtype == nw.Boolean else column
        for column in frame.iter_columns()
    ]
    return np.stack([column.to_numpy() for column in known], axis=1)


def round_to_float32(matrix: Floats) -> Floats:
    """The matrix rounded to float32, the precision of the library's comparisons, as float64."""
    with np.errstate(over="ignore"):  # numbers beyond float32 become infinite, as in the library
        return matrix.astype(np.float32).astype(np.float64)


def is_sparse(given: Any) -> bool:
    """Whether this is a scipy sparse matrix."""
    return type(given).__module__.startswith("scipy.sparse")


def place_in_output(value: Floats, place: int, outputs: int) -> Floats:
    """Values (node,) as output number ``place`` of ``outputs``, (node, out); the other outputs are 0."""
    out = np.zeros((len(value), outputs))
    out[:, place] = value
    return out


def unreadable_trees(problem: str, advice: str) -> CapabilityError:
    """The ``CapabilityError`` for trees that a ``Forest`` cannot represent."""
    return CapabilityError(f"{problem}. {advice}; or use explain.shapley, which takes any model.")
