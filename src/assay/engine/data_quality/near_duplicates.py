# SPDX-License-Identifier: Apache-2.0
"""Rows that are much closer to another row than the density of the data explains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks

NEIGHBOURS = 6
"""The neighbour with whose distance that to the nearest is compared; groups of up to as many copies are found."""

DIRECTIONS = 6
"""Random directions in which neighbours are searched; the distances that decide are those of all columns."""

CHANCE = 0.02
"""Expected number of rows that are called near-duplicates where there are none."""


@dataclass(frozen=True, eq=False)
class NearDuplicates:
    """Whether each query row is a near-duplicate (row,), its nearest reference (row,), and the ratio of distances.

    ``ratio`` (row,) is the distance to the nearest reference over that to the ``NEIGHBOURS``-th: small for copies.
    ``dimension`` is the intrinsic dimension, from the median ratio.
    """

    found: Masks
    nearest: Ints
    ratio: Floats
    dimension: float


def near_duplicates(queries: Floats, references: Floats, seed: Seed, *, own: Ints | None = None) -> NearDuplicates:
    """Query rows (row, column) with a near-copy among the references (row, column), in one scaling.

    In a set of locally uniform density, (r₁ / r_k)^D follows Beta(1, k − 1) at every row, whatever the density (as in
    the two-neighbour estimator of Facco et al. 2017), for the distances r of the nearest and the k-th neighbour. D is
    estimated from the median, which few copies do not move. A row is a near-duplicate where that law gives a ratio as
    small a probability of at most ``CHANCE`` / rows, in the searched directions and in all columns. ``own`` are the
    positions of the queries among the references, which are not their own neighbours. Rows whose k-th neighbour is at
    distance 0 are none.
    """
    if len(references) < 4 * NEIGHBOURS:
        raise InputError(f"{len(references)} rows are too few to say what is near; {4 * NEIGHBOURS} are needed.")
    from scipy.spatial import cKDTree

    few = _projected(queries, references, seed)
    first = int(own is not None)
    near = cKDTree(few[1]).query(few[0], k=NEIGHBOURS + first)
    distances, places = np.asarray(near[0]), np.asarray(near[1])
    if own is not None:
        distances, places = _without_self(distances, places, own)
    found = _distances(queries, references, places)
    order = np.argsort(found, axis=1, kind="stable")
    nearest = np.take_along_axis(places, order[:, :1], axis=1)[:, 0]
    full = np.take_along_axis(found, order, axis=1)
    searched, dimension = _surprising(distances)
    confirmed, _ = _surprising(full)
    return NearDuplicates(searched & confirmed, nearest, _ratio(full), dimension)


def _projected(queries: Floats, references: Floats, seed: Seed) -> tuple[Floats, Floats]:
    """Both in at most ``DIRECTIONS`` random orthogonal directions."""
    columns = references.shape[1]
    if columns <= DIRECTIONS:
        return queries, references
    drawn = seed.child("directions").generator().normal(size=(columns, DIRECTIONS))
    directions = np.linalg.qr(drawn)[0]
    return queries @ directions, references @ directions


def _without_self(distances: Floats, places: Ints, own: Ints) -> tuple[Floats, Ints]:
    """The neighbours without the row itself, (row, neighbour); where copies hide it, without the first."""
    is_self = places == own[:, None]
    is_self[~is_self.any(axis=1), 0] = True
    shape = (len(places), places.shape[1] - 1)
    return distances[~is_self].reshape(shape), places[~is_self].reshape(shape)


def _distances(queries: Floats, references: Floats, places: Ints) -> Floats:
    """Distances in all columns, (row, neighbour), one neighbour at a time."""
    return np.stack([np.linalg.norm(queries - references[one], axis=1) for one in places.T], axis=1)


def _ratio(distances: Floats) -> Floats:
    last = distances[:, -1]
    return np.divide(distances[:, 0], last, out=np.ones(len(last)), where=last > 0)


def _surprising(distances: Floats) -> tuple[Masks, float]:
    """Which ratios (row,) are too small for their law, and the dimension."""
    ratio, count = _ratio(distances), distances.shape[1] - 1
    typical = float(np.clip(np.median(ratio), 1e-12, 1 - 1e-12))
    median = 1 - 0.5 ** (1 / count)  # of Beta(1, k − 1)
    dimension = float(np.clip(np.log(median) / np.log(typical), 0.1, 1e3))
    chance = -np.expm1(count * np.log1p(-np.minimum(ratio**dimension, 1 - 1e-15)))
    return np.asarray(chance <= CHANCE / len(ratio)), dimension
