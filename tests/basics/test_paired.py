"""Paired tests against scipy, closed forms and slow literal versions."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats

from assay.basics.errors import InputError
from assay.basics.paired_tests import (
    DECIDED,
    cliffs_delta,
    equivalence_p_value,
    rows_to_decide,
    shaffer_holm,
    sign_flip,
    signed_rank,
    standardised_mean_difference,
)
from assay.basics.stats import Interval, holm, student_interval


def literal(differences: np.ndarray) -> float:
    """Every pattern of signs, one after another."""
    sums = [abs(np.dot(signs, differences)) for signs in product((1, -1), repeat=len(differences))]
    return float(np.mean(np.array(sums) >= abs(differences.sum()) - 1e-9))


def test_few_rows_are_flipped_in_every_way() -> None:
    differences = np.random.default_rng(0).normal(0.5, 1, size=(9, 3)).round(1)
    assert_allclose(sign_flip(differences), [literal(column) for column in differences.T])


def test_few_rows_give_scipys_exact_permutation_test() -> None:
    differences = np.random.default_rng(1).normal(0.4, 1, size=11)
    theirs = scipy_stats.permutation_test(
        (differences, np.zeros(11)), lambda a, b, axis: (a - b).mean(axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=np.inf,
    )  # fmt: skip
    assert_allclose(sign_flip(differences[:, None]), theirs.pvalue)


def test_many_rows_are_near_the_t_test() -> None:
    differences = np.random.default_rng(2).normal(0.15, 1, size=200)
    assert_allclose(sign_flip(differences[:, None]), scipy_stats.ttest_1samp(differences, 0).pvalue, atol=0.01)


def test_a_missing_row_is_as_if_it_were_not_there() -> None:
    differences = np.random.default_rng(3).normal(0.5, 1, size=8)
    gappy = np.append(differences, [np.nan, np.nan])[:, None]
    assert_allclose(sign_flip(gappy), sign_flip(differences[:, None]))
    assert np.isnan(sign_flip(np.full((3, 1), np.nan)))[0]


def test_equal_methods_are_never_significantly_different() -> None:
    assert sign_flip(np.zeros((6, 1)))[0] == signed_rank(np.zeros((20, 1)))[0] == 1.0


def test_clusters_change_sign_as_a_whole() -> None:
    sums = np.array([1.0, 2.0, -0.5, 3.0])
    spread = np.repeat(sums / 5, 5)[:, None]
    assert_allclose(sign_flip(spread, clusters=np.arange(4).repeat(5)), literal(sums))


def test_wilcoxon_is_scipys_exact_one() -> None:
    differences = np.random.default_rng(4).normal(0.4, 1, size=12)
    theirs = scipy_stats.wilcoxon(differences, method="exact").pvalue
    assert_allclose(signed_rank(differences[:, None]), theirs)


def test_wilcoxon_with_ties_and_zeros_is_the_literal_one() -> None:
    differences = np.array([1.0, 1.0, -1.0, 2.0, 2.0, 0.0, 3.0])
    ranks = np.array([2.0, 2.0, -2.0, 4.5, 4.5, 6.0])
    assert_allclose(signed_rank(differences[:, None]), literal(ranks))


def test_cliffs_delta_counts_all_pairs() -> None:
    one, other = np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0])
    assert cliffs_delta(one, other) == pytest.approx(np.mean(np.sign(one[:, None] - other[None])))
    assert cliffs_delta(np.array([5.0]), np.array([1.0, 2.0])) == 1.0
    assert np.isnan(cliffs_delta(np.empty(0), one))


def test_the_standardised_difference_is_mean_over_spread() -> None:
    assert standardised_mean_difference(np.array([1.0, 2.0, 3.0])) == pytest.approx(2.0)
    assert np.isnan(standardised_mean_difference(np.array([2.0, 2.0])))


def test_equivalence_is_two_t_tests_and_the_narrower_interval_within_the_margin() -> None:
    half = np.random.default_rng(5).normal(0, 0.3, size=12)
    differences = 0.05 + np.concatenate([half, -half])  # symmetric, so that nothing is to be corrected
    below = scipy_stats.ttest_1samp(differences, -0.2, alternative="greater").pvalue
    above = scipy_stats.ttest_1samp(differences, 0.2, alternative="less").pvalue
    assert equivalence_p_value(differences, 0.2) == pytest.approx(max(below, above))
    ninety = student_interval(differences, 0.9)
    assert (equivalence_p_value(differences, 0.2) <= 0.05) == (ninety.low > -0.2 and ninety.high < 0.2)


def test_a_long_tail_on_the_far_side_makes_equivalence_harder_to_show() -> None:
    tailed = np.append(np.zeros(29), 1.0)
    plain = scipy_stats.ttest_1samp(tailed, 0.1, alternative="less").pvalue
    t, lean = (0.1 - tailed.mean()) / (tailed.std(ddof=1) / np.sqrt(30)), -1.4 * scipy_stats.skew(tailed) / np.sqrt(30)
    hall = t + lean * t**2 / 3 + lean**2 * t**3 / 27 + lean / 6
    assert equivalence_p_value(tailed, 0.1) == pytest.approx(scipy_stats.t.sf(hall, 29))
    assert plain < 0.05 < equivalence_p_value(tailed, 0.1)


def test_copies_in_clusters_show_no_more_than_themselves() -> None:
    differences = np.random.default_rng(6).exponential(size=15) - 0.9
    copied = equivalence_p_value(np.repeat(differences, 3), 0.5, np.arange(15).repeat(3))
    assert copied == pytest.approx(equivalence_p_value(differences, 0.5))


def test_equivalence_of_differences_that_do_not_vary() -> None:
    assert equivalence_p_value(np.full(5, 0.1), 0.2) == 0.0
    assert equivalence_p_value(np.full(5, 0.2), 0.2) == 1.0
    with pytest.raises(InputError, match="margin=0"):
        equivalence_p_value(np.ones(3), 0.0)


def test_holm_among_all_is_holms_and_fewer_at_once_cost_less() -> None:
    p = np.array([0.01, 0.04, np.nan, 0.03, 0.005])
    assert_allclose(shaffer_holm(p, 4), holm(p))
    # sorted .005 .01 .03 .04 times 2 2 2 1
    assert_allclose(shaffer_holm(p, 2), [0.02, 0.06, np.nan, 0.06, 0.01])


@pytest.mark.parametrize(("distance", "level"), [(1.0, 0.95), (0.2, 0.95), (1.5, 0.999)])
def test_the_rows_asked_for_decide_with_the_stated_predictive_probability(distance: float, level: float) -> None:
    rows, reach = 50, 2.0
    more = rows_to_decide(distance, Interval(distance - reach, distance + reach, level, ""), 0.0, rows)
    assert more is not None
    c = scipy_stats.norm.ppf((1 + level) / 2)
    generator = np.random.default_rng(0)
    error = reach / c * np.sqrt(rows)  # of one row
    truth = generator.normal(distance, error / np.sqrt(rows), 40_000)
    further = generator.normal(truth, error / np.sqrt(more))
    mean = (rows * distance + more * further) / (rows + more)
    decided = np.mean(np.abs(mean) > c * error / np.sqrt(rows + more))
    assert_allclose(decided, DECIDED, atol=0.01)


def test_rows_to_decide_are_unknown_at_the_threshold_and_for_an_open_interval() -> None:
    assert rows_to_decide(0.0, Interval(-1.0, 3.0, 0.95, ""), 0.0, 10) is None
    assert rows_to_decide(1.0, Interval(-np.inf, 3.0, 0.95, ""), 0.0, 10) is None
    assert rows_to_decide(np.nan, Interval(np.nan, np.nan, 0.95, ""), 0.0, 10) is None


def test_a_limit_cut_at_a_bound_does_not_make_the_rows_fewer() -> None:
    cut, whole = (rows_to_decide(0.12, Interval(low, 0.3, 0.95, ""), 0.1, 40) for low in (0.09, -0.06))
    assert cut == whole
