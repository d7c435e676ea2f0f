"""Inputs of nets as matrices and back, and Shapley values of a net by enumeration."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from tests.model.nets_as_written import (
    Written,
)
from tests.oracles.games import shapley

import assay

EXPLAINED, BEHIND, MOST = slice(0, 2), slice(2, 5), 8


def parts_of(x: Any) -> list[Any]:
    """The inputs of a net of several, or the one input."""
    return list(x.values()) if isinstance(x, Mapping) else list(x) if isinstance(x, tuple) else [x]


def like(x: Any, parts: list[Any]) -> Any:
    """Inputs in the form of others."""
    return dict(zip(x, parts)) if isinstance(x, Mapping) else tuple(parts) if isinstance(x, tuple) else parts[0]


def take(x: Any, which: Any) -> Any:
    """Some of the rows."""
    return like(x, [part[which] for part in parts_of(x)])


def flat(x: Any) -> np.ndarray:
    """The rows as a float64 matrix (row, element)."""
    return np.concatenate([np.asarray(torch.as_tensor(p).double()).reshape(len(p), -1) for p in parts_of(x)], axis=1)


def unflat(matrix: np.ndarray, x: Any) -> Any:
    """A matrix in the form, and the types, of the rows ``x``."""
    ends = np.cumsum([int(np.prod(part.shape[1:])) for part in parts_of(x)])[:-1]
    parts = []
    for part, values in zip(parts_of(x), np.split(matrix, ends, axis=1)):
        shaped = values.reshape(len(matrix), *part.shape[1:])
        is_numpy = isinstance(part, np.ndarray)
        parts.append(shaped.astype(part.dtype) if is_numpy else torch.as_tensor(shaped).to(part.dtype))
    return like(x, parts)


def enumerated(kind: Written, label: int) -> np.ndarray:
    """Shapley values (row, element) of the net's own mean score over the background."""
    rows, background = flat(take(kind.x, EXPLAINED)), flat(take(kind.x, BEHIND))
    masks = list(itertools.product((False, True), repeat=rows.shape[1]))
    filled = [np.where(mask, row, other) for row in rows for mask in masks for other in background]
    with torch.no_grad():
        scores = kind.run(unflat(np.array(filled), kind.x))[:, label].numpy()
    table = scores.reshape(len(rows), len(masks), len(background)).mean(axis=2)
    place = {frozenset(np.flatnonzero(mask).tolist()): i for i, mask in enumerate(masks)}
    return np.stack([shapley(lambda s, values=values: float(values[place[s]]), rows.shape[1]) for values in table])


def case_of(kind: Written, x: Any = None, **options: Any) -> Any:
    """A case of the last score."""
    label = kind.run(kind.x).shape[1] - 1
    return assay.case(
        kind.model(), kind.x if x is None else x, target=kind.target, **{"label": label} | kind.case | options
    )
