# SPDX-License-Identifier: Apache-2.0
"""One tree as its library keeps it, and how trees become a forest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
    """One tree; its first node is the root, children are numbered within the tree, −1 at leaves.

    ``value`` (node, out) counts at leaves alone. ``sets`` gives, for nodes that split categories, the codes that go
    left; codes beyond a set's end go where NaN goes.
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
class Grown:
    """The trees of an estimator, and how it reads what it is given (a frame, an array, a sparse matrix).

    ``origin`` (column,) says from which column of the given each column of ``read(given)`` is made.
    """

    trees: Sequence[Tree]
    base: Floats
    gives: Gives
    read: Callable[[Any], Floats]
    origin: Ints


def planted(grown: Grown, given: Callable[[Rows], Any], origin: Ints) -> Forest:
    """The trees one after another; ``given(rows)`` is what the estimator gets, ``origin`` its columns' elements."""
    trees = grown.trees
    sizes = np.array([len(tree.left) for tree in trees], dtype=np.int64)
    roots = np.cumsum(sizes) - sizes
    shift = np.repeat(roots, sizes)
    left, right = (_joined([getattr(tree, side) for tree in trees], np.int64) for side in ("left", "right"))
    column = _joined([tree.column for tree in trees], np.int64)
    missing_left = _joined([tree.missing_left for tree in trees], bool)
    kept = [(root + node, codes) for root, tree in zip(roots, trees) for node, codes in tree.sets.items()]
    sets = np.zeros((len(kept), max((len(codes) for _, codes in kept), default=0)), dtype=bool)
    levels = np.full(len(column), -1, dtype=np.int64)
    for place, (node, codes) in enumerate(kept):
        sets[place] = missing_left[node]
        sets[place, : len(codes)] = codes
        levels[node] = place
    outputs = len(grown.base)
    value = np.concatenate([np.empty((0, outputs)), *(tree.value for tree in trees)])
    value[column >= 0] = 0.0
    return Forest(
        roots=roots,
        left=np.where(column >= 0, left + shift, -1),
        right=np.where(column >= 0, right + shift, -1),
        column=column,
        threshold=_joined([tree.threshold for tree in trees], np.float64),
        missing_left=missing_left,
        cover=_joined([tree.cover for tree in trees], np.float64),
        value=value,
        base=np.asarray(grown.base, dtype=np.float64),
        gives=grown.gives,
        matrix=lambda rows: grown.read(given(rows)),
        origin=origin[grown.origin],
        levels=levels,
        sets=sets,
    )


def _joined(parts: list[Any], kind: Any) -> Any:
    return np.concatenate([np.empty(0, dtype=kind), *parts]).astype(kind)


def numbers(given: Any) -> Floats:
    """A frame, an array or a sparse matrix of numbers as float64, truth values as 0 and 1."""
    frame = nw.from_native(given, pass_through=True, eager_only=True)
    if isinstance(frame, nw.DataFrame):
        given = frame.to_numpy()
    elif is_sparse(given):
        given = given.toarray()
    try:
        return np.array(given, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the trees read numbers; a column holds something else ({error}). Encode it in a Pipeline."
        ) from error


def single(matrix: Floats) -> Floats:
    """Rounded to float32, as the library compares."""
    return matrix.astype(np.float32).astype(np.float64)


def is_sparse(given: Any) -> bool:
    """Whether this is a sparse matrix of scipy."""
    return type(given).__module__.startswith("scipy.sparse")


def at_places(value: Floats, place: int, outputs: int) -> Floats:
    """One value a node (node,) as the output ``place`` of several, zeros elsewhere."""
    out = np.zeros((len(value), outputs))
    out[:, place] = value
    return out


def unreadable(what: str, instead: str) -> CapabilityError:
    """The refusal of trees that hold something a forest cannot say."""
    return CapabilityError(f"{what}. {instead}; or explain.shapley, which takes any model.")
