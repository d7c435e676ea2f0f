"""Global explanations: means over rows, gaps between groups, and their intervals."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from assay import Constant, examples, explain
from assay.basics.errors import InputError
from assay.basics.stats import student_interval
from assay.nouns.results.global_explanation import mean_over

VALUES = np.random.default_rng(0).normal(size=(12, 3)) * np.array([1.0, 5.0, 0.1])
NAMES = ("a", "b", "c")
EVERYONE = np.ones(12, dtype=bool)


def test_the_mean_of_exact_values_has_students_interval():
    found = mean_over(VALUES, None, NAMES, EVERYONE, None, 0.9)
    for part in range(3):
        expected = student_interval(VALUES[:, part], 0.9)
        assert_allclose([found.low[part], found.high[part]], [expected.low, expected.high], atol=1e-12)
    assert_allclose(found.values, VALUES.mean(axis=0))
    assert found.rows == 12


def test_the_error_of_sampled_values_is_added_in_full():
    error = np.full(VALUES.shape, 0.7)
    found = mean_over(VALUES, error, NAMES, EVERYONE, None, 0.95)
    assert_allclose(found.stderr, np.sqrt(VALUES.var(axis=0, ddof=1) / 12 + 0.7**2))
    assert_allclose(found.high - found.values, stats.t.ppf(0.975, 11) * found.stderr)


def test_a_gap_is_the_difference_of_two_means_with_both_their_errors():
    first = np.arange(12) < 5
    found = mean_over(VALUES, None, NAMES, first, ~first, 0.95)
    assert_allclose(found.values, VALUES[first].mean(axis=0) - VALUES[~first].mean(axis=0))
    spread = VALUES[first].var(axis=0, ddof=1) / 5 + VALUES[~first].var(axis=0, ddof=1) / 7
    assert_allclose(found.stderr, np.sqrt(spread))
    assert_allclose(found.high - found.values, stats.t.ppf(0.975, 4) * found.stderr)
    assert (found.rows, found.others) == (5, 7)


def test_the_interval_of_a_mean_covers_as_often_as_it_says():
    generator, hits = np.random.default_rng(1), 0
    for _ in range(1000):
        found = mean_over(generator.normal(2.0, 3.0, (15, 1)), None, ("a",), EVERYONE[:1].repeat(15), None, 0.95)
        hits += bool(found.low[0] <= 2.0 <= found.high[0])
    assert 0.93 <= hits / 1000 <= 0.97


def test_one_row_has_a_mean_and_no_interval():
    found = mean_over(VALUES[:1], None, NAMES, EVERYONE[:1], None, 0.95)
    assert_allclose(found.values, VALUES[0])
    assert np.isnan(found.low).all()


@pytest.mark.parametrize("members", [np.zeros(12, dtype=bool), np.ones(11, dtype=bool), np.arange(12)])
def test_members_that_select_no_rows_are_refused(members):
    with pytest.raises(InputError, match="members select rows"):
        mean_over(VALUES, None, NAMES, members, None, 0.95)


def test_an_explanation_has_a_mean_over_its_rows():
    case = examples.additive((3.0, 1.0))
    found = explain.shapley(case, remove=Constant(0.0))
    assert_allclose(found.mean().values, found.values.mean(axis=0))
    assert found.mean().to_frame()["part"].tolist() == list(found.features.names)
    assert "mean of 1 rows" in repr(found.mean())
