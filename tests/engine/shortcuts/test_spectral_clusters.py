"""Spectral clustering beside scikit-learn and scipy, and the numbers that rank and represent clusters."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse.csgraph import laplacian
from sklearn.cluster import SpectralClustering
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import kneighbors_graph

from assay.basics.seed import Seed
from assay.engine.shortcuts.spectral_clusters import (
    eigengap,
    medoid,
    neighbour_graph,
    normalised_laplacian,
    separability,
    spectral_clusters,
)


def blobs(count: int, seed: int = 0, spread: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """So many groups of 30 points around corners, and the group of each point."""
    generator = np.random.default_rng(seed)
    centres = 3.0 * np.eye(max(4, count))[:count]
    group = np.repeat(np.arange(count), 30)
    return centres[group] + spread * generator.normal(size=(len(group), centres.shape[1])), group


def test_the_graph_is_that_of_scikit_learn_made_symmetric() -> None:
    points = np.random.default_rng(1).normal(size=(40, 5))
    expected = kneighbors_graph(points, 7, include_self=False).toarray()
    assert_array_equal(neighbour_graph(points, 7), np.maximum(expected, expected.T))


def test_the_laplacian_is_that_of_scipy() -> None:
    weights = neighbour_graph(np.random.default_rng(2).normal(size=(30, 4)), 5)
    assert_allclose(normalised_laplacian(weights), laplacian(weights, normed=True), atol=1e-12)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_separate_groups_are_found_and_counted_by_the_eigengap(count: int) -> None:
    points, group = blobs(count)
    found = spectral_clusters(points, Seed(0))
    assert found.count == count
    assert adjusted_rand_score(group, found.label) == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_overlapping_groups_are_cut_as_scikit_learn_cuts_them(seed: int) -> None:
    points, _ = blobs(3, seed, spread=1.1)
    found = spectral_clusters(points, Seed(seed), count=3)
    oracle = SpectralClustering(3, affinity="precomputed", assign_labels="kmeans", random_state=0)
    assert adjusted_rand_score(oracle.fit_predict(neighbour_graph(points)), found.label) > 0.9


def test_the_eigengap_is_after_the_last_small_eigenvalue() -> None:
    assert eigengap(np.array([0.0, 0.01, 0.02, 0.6, 0.7, 0.75]), 5) == 3
    assert eigengap(np.array([0.0, 0.4, 0.5, 0.55]), 3) == 2


def test_separability_is_fishers_ratio() -> None:
    points = np.array([[0.0], [2.0], [10.0], [14.0]])
    assert_allclose(separability(points, np.array([True, True, False, False])), 11.0**2 / (1.0 + 4.0))
    assert np.isnan(separability(points, np.ones(4, dtype=bool)))
    assert separability(np.array([[0.0], [1.0]]), np.array([True, False])) == float("inf")


def test_the_medoid_has_the_least_sum_of_distances() -> None:
    points = np.random.default_rng(3).normal(size=(25, 3))
    sums = [sum(float(np.linalg.norm(a - b)) for b in points) for a in points]
    assert medoid(points) == int(np.argmin(sums))


def test_the_same_seed_gives_the_same_clusters() -> None:
    points = np.random.default_rng(4).normal(size=(60, 6))
    first, second = (spectral_clusters(points, Seed(5), count=4).label for _ in range(2))
    assert_array_equal(first, second)
