"""Rankings against scipy, Demšar's published tables and cases done by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats

from assay.basics.errors import InputError
from assay.basics.rank_tests import (
    critical_difference,
    friedman,
    indistinguishable_groups,
    kendalls_w,
    rank_probabilities,
    ranks_in_rows,
)
from assay.basics.seed import Seed


def test_the_highest_has_rank_one_and_ties_share() -> None:
    assert ranks_in_rows(np.array([[0.2, 0.9, 0.2]])).tolist() == [[2.5, 1.0, 2.5]]


@pytest.mark.parametrize("ties", [False, True])
def test_friedman_is_scipys_with_and_without_ties(ties: bool) -> None:
    values = np.random.default_rng(0).normal(size=(14, 5)) + np.arange(5) * 0.3
    values = values.round(0) if ties else values
    theirs = scipy_stats.friedmanchisquare(*values.T)
    assert_allclose(friedman(ranks_in_rows(values)), (theirs.statistic, theirs.pvalue))


def test_kendalls_w_is_friedman_over_its_most() -> None:
    ranks = ranks_in_rows(np.random.default_rng(1).integers(0, 4, size=(9, 4)).astype(float))
    assert kendalls_w(ranks) == pytest.approx(friedman(ranks)[0] / (9 * 3))
    assert kendalls_w(ranks_in_rows(np.tile([3.0, 1.0, 2.0], (5, 1)))) == pytest.approx(1.0)


def test_without_order_there_is_no_test() -> None:
    assert np.isnan(friedman(ranks_in_rows(np.ones((5, 3))))[1])
    assert np.isnan(kendalls_w(ranks_in_rows(np.ones((5, 3)))))


@pytest.mark.parametrize(("methods", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_the_critical_difference_has_demsars_quantiles(methods: int, q: float) -> None:
    # Demšar 2006, table 5a; CD = q sqrt(k(k+1)/6N)
    assert critical_difference(methods, 30) == pytest.approx(q * np.sqrt(methods * (methods + 1) / 180), abs=1e-3)


def test_a_critical_difference_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="two methods"):
        critical_difference(1, 5)


def test_groups_are_the_widest_bars_of_the_diagram() -> None:
    assert indistinguishable_groups(np.array([1.0, 3.0, 1.8, 2.5]), 1.0) == (
        (0, 2),
        (2, 3),
        (3, 1),
    )  # 1.8 and 3.0 are 1.2 apart
    assert indistinguishable_groups(np.array([1.0, 1.5, 2.0]), 1.0) == ((0, 1, 2),)
    assert indistinguishable_groups(np.array([1.0, 3.0]), 1.0) == ()


def test_chances_of_ranks_are_those_of_a_slow_loop_and_sum_to_one() -> None:
    values = np.random.default_rng(2).normal(size=(12, 3))
    found = rank_probabilities(values, np.arange(12), 400, Seed(1))
    counts = Seed(1).child("clusters").generator().multinomial(12, np.full(12, 1 / 12), size=400)
    places = np.stack([ranks_in_rows((count @ values)[None])[0] for count in counts])
    assert_allclose(found, [[np.mean(places[:, m] == r) for r in (1, 2, 3)] for m in range(3)])
    assert_allclose(found.sum(axis=0), 1)


def test_equal_methods_share_the_first_rank() -> None:
    assert_allclose(rank_probabilities(np.ones((5, 2)), np.arange(5), 10, Seed()), 0.5)
