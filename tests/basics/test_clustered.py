"""Means of rows that belong together, against plain means, a closed form and a slow loop."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from assay.basics.clustered import (
    clustered_student_interval,
    mean_interval,
    mean_with_standard_error,
    number_clusters,
    resample_means,
)
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.stats import skewness_corrected_interval, student_interval

VALUES = np.random.default_rng(0).exponential(size=30)
TENS = np.repeat(np.arange(10), 3)


def test_rows_by_themselves_have_students_interval() -> None:
    ours, plain = clustered_student_interval(VALUES), student_interval(VALUES)
    assert_allclose([ours.low, ours.high], [plain.low, plain.high])


def test_clusters_of_equal_size_are_a_sample_of_their_means() -> None:
    mean, error, freedom = mean_with_standard_error(VALUES, TENS)
    means = VALUES.reshape(10, 3).mean(axis=1)
    assert_allclose([mean, error], [means.mean(), means.std(ddof=1) / np.sqrt(10)])
    assert freedom == 9


def test_copies_of_a_row_in_one_cluster_add_nothing() -> None:
    once = clustered_student_interval(VALUES)
    copied = clustered_student_interval(np.repeat(VALUES, 4), np.repeat(np.arange(30), 4))
    assert_allclose([copied.low, copied.high], [once.low, once.high])
    wide = mean_interval(np.repeat(VALUES, 4), np.repeat(np.arange(30), 4))
    plain = skewness_corrected_interval(VALUES)
    assert_allclose([wide.low, wide.high], [plain.low, plain.high])
    assert mean_interval(VALUES) == plain


def test_a_resampled_mean_is_that_of_the_clusters_drawn() -> None:
    values = np.stack([VALUES, 2 * VALUES], axis=1)
    found = resample_means(values, TENS, 5, Seed(3))
    counts = Seed(3).child("clusters").generator().multinomial(10, np.full(10, 0.1), size=5)
    slow = [np.average(VALUES, weights=np.repeat(count, 3)) for count in counts]
    assert_allclose(found, np.stack([slow, np.multiply(2, slow)], axis=1))


def test_one_cluster_says_nothing_of_others() -> None:
    assert np.isnan(mean_interval(VALUES, np.zeros(30, dtype=int)).low)
    assert np.isnan(clustered_student_interval(VALUES, np.zeros(30, dtype=int)).high)


def test_clusters_may_bear_any_names_but_one_a_row() -> None:
    assert number_clusters(["b", "a", "b"], 3).tolist() == [1, 0, 1]
    with pytest.raises(InputError, match=r"\(3,\); got shape \(2,\)"):
        number_clusters([0, 1], 3)


def test_clusters_that_agree_within_make_the_interval_wider() -> None:
    patients = np.random.default_rng(1).normal(size=12).repeat(10) + 0.1 * np.random.default_rng(2).normal(size=120)
    groups = np.arange(12).repeat(10)
    grouped, apart = mean_interval(patients, groups), mean_interval(patients)
    assert grouped.high - grouped.low > 2 * (apart.high - apart.low)
