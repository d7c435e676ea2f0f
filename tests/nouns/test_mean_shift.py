"""Clusters of pictures by mean shift, beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import MeanShift
from sklearn.datasets import load_digits, make_blobs
from sklearn.metrics import adjusted_rand_score

import assay
from assay.basics.errors import InputError
from assay.nouns.inputs.mean_shift import cluster_parts, mean_shift

DIGITS = load_digits().images[:3, None] / 16


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_well_separated_points_are_clustered_as_scikit_learn_does(seed: int) -> None:
    points, _ = make_blobs(120, centers=[[0, 0], [6, 0], [0, 6], [6, 6]], cluster_std=0.6, random_state=seed)
    found = mean_shift(points, 2.5)
    assert adjusted_rand_score(found, MeanShift(bandwidth=2.5).fit_predict(points)) > 0.97
    assert found[0] == 0


def test_the_number_of_clusters_is_within_the_limits_and_depends_on_no_other_row() -> None:
    labels = cluster_parts(DIGITS, assay.grid((1, 8, 8), 1), 6, 12)
    counts = labels.max(axis=1) + 1
    assert ((counts >= 6) & (counts <= 12)).all()
    assert (cluster_parts(DIGITS[1:2], assay.grid((1, 8, 8), 1), 6, 12) == labels[1]).all()


def test_few_parts_stay_as_they_are_and_absent_parts_have_no_cluster() -> None:
    index = np.zeros((1, 1, 8, 8), dtype=int)
    index[:, :, 4:] = 2
    cut = assay.Features(index, ("a", "b", "c"), per_row=True)
    assert cluster_parts(DIGITS[:1], cut, 6, 12).tolist() == [[0, -1, 1]]


def test_superpixels_become_clusters_of_three_channels_too() -> None:
    picture = np.zeros((1, 3, 24, 24))
    picture[:, 0, :12], picture[:, 1, 12:, :12], picture[:, 2, 12:, 12:] = 1.0, 1.0, 1.0
    cut = assay.mean_shift_clusters(picture, 3, 6, count=40)
    assert 3 <= len(cut) <= 6
    assert (cut.index[0, 0] == cut.index[0, 2]).all()
    owner = cut.index[0, 0]
    top, left, right = (set(np.unique(owner[part])) for part in (np.s_[:11], np.s_[13:, :11], np.s_[13:, 13:]))
    assert not (top & left)
    assert not (left & right)


def test_wrong_pictures_are_refused() -> None:
    with pytest.raises(InputError, match="pictures"):
        cluster_parts(np.zeros((2, 4)), assay.columns(list("abcd")), 2, 3)
    with pytest.raises(InputError, match="least"):
        cluster_parts(DIGITS, assay.grid((1, 8, 8), 1), 5, 3)
    with pytest.raises(InputError, match="too many"):
        cluster_parts(np.zeros((1, 1, 50, 50)), assay.grid((1, 50, 50), 1), 2, 3)
