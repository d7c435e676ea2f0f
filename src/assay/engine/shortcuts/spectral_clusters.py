# SPDX-License-Identifier: Apache-2.0
"""Spectral clustering of explanations: neighbour graph, normalised Laplacian, eigengap, k-means, separability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks

NEIGHBOURS = 10
"""Nearest neighbours of each row in the graph."""

MOST_CLUSTERS = 8
"""Most clusters of a class."""

LEAST_ROWS = 5
"""Fewest rows of a cluster that is reported."""


@dataclass(frozen=True)
class Clusters:
    """A clustering of rows: ``label`` (row,), ``embedding`` (row, dimension) and ``eigenvalues`` in ascending order."""

    label: Ints
    embedding: Floats
    eigenvalues: Floats

    @property
    def count(self) -> int:
        """The number of clusters."""
        return int(self.label.max()) + 1


def neighbour_graph(points: Floats, neighbours: int = NEIGHBOURS) -> Floats:
    """The weights (row, row), 0 or 1, of the graph of nearest neighbours; an edge where either row names the other."""
    distances = cdist(points, points)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, : min(neighbours, len(points) - 1)]
    weights = np.zeros(distances.shape)
    np.put_along_axis(weights, nearest, 1.0, axis=1)
    return np.maximum(weights, weights.T)


def normalised_laplacian(weights: Floats) -> Floats:
    """I − D^−½ W D^−½ (row, row), D the degrees; eigenvalues lie in 0 … 2, and 0 counts connected components."""
    degrees = weights.sum(axis=1)
    scale = 1.0 / np.sqrt(np.where(degrees > 0, degrees, 1.0))
    return np.asarray(np.eye(len(weights)) - scale[:, None] * weights * scale[None, :])


def eigengap(eigenvalues: Floats, most: int) -> int:
    """The number k ≥ 2 of clusters with the largest gap between the eigenvalues k and k + 1, in ascending order."""
    gaps = np.diff(eigenvalues[: most + 1])[1:]
    return int(np.argmax(gaps)) + 2 if len(gaps) else 2


def spectral_clusters(points: Floats, seed: Seed, *, count: int | None = None) -> Clusters:
    """Cluster points (row, number): k-means on the rows, of length 1, of the Laplacian's first k eigenvectors.

    ``count`` is k; by default the largest gap of eigenvalues says it (von Luxburg 2007). The same seed gives the same
    clusters.
    """
    from scipy.linalg import eigh
    from sklearn.cluster import KMeans

    most = min(MOST_CLUSTERS, len(points) - 1)
    laplacian = normalised_laplacian(neighbour_graph(points))
    eigenvalues, vectors = eigh(laplacian, subset_by_index=[0, most])
    clusters = eigengap(eigenvalues, most) if count is None else count
    embedding = vectors[:, :clusters]
    lengths = np.linalg.norm(embedding, axis=1, keepdims=True)
    embedding = embedding / np.where(lengths > 0, lengths, 1.0)
    state = int(seed.child("k-means").generator().integers(2**31))
    label = KMeans(clusters, n_init=10, random_state=state).fit_predict(embedding)
    return Clusters(np.asarray(label, dtype=np.int64), embedding, eigenvalues)


def separability(points: Floats, inside: Masks) -> float:
    """Fisher's ratio of the two groups: squared distance of their means ÷ the sum of their mean squared deviations.

    0 where the means are equal; infinite where both groups have no spread; NaN where one is empty.
    """
    if not inside.any() or inside.all():
        return float("nan")
    one, other = points[inside], points[~inside]
    between = float(((one.mean(axis=0) - other.mean(axis=0)) ** 2).sum())
    within = float(one.var(axis=0).sum() + other.var(axis=0).sum())
    return between / within if within > 0 else float("inf")


def medoid(points: Floats) -> int:
    """The position of the point with the least sum of distances to the others."""
    return int(cdist(points, points).sum(axis=1).argmin())
