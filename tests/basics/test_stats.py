"""Intervals, correlations and corrections against closed forms, scipy and published examples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.stats import (
    Basis,
    Interval,
    bootstrap,
    bounded_mean_interval,
    clopper_pearson,
    holm,
    largest_rate_gap_interval,
    newcombe,
    pearson,
    skewness_corrected_interval,
    spearman,
    student_interval,
    wilson,
)


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (10, 10), (1, 7), (37, 200), (5, 10)])
def test_clopper_pearson_is_scipys_exact_interval(hits: int, trials: int) -> None:
    ours = clopper_pearson(hits, trials, 0.9)
    theirs = scipy_stats.binomtest(hits, trials).proportion_ci(0.9, method="exact")
    assert_allclose([ours.low, ours.high], [theirs.low, theirs.high], atol=1e-12)


@given(st.integers(1, 40), st.floats(0.001, 0.999))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_clopper_pearson_covers_at_least_its_level_whatever_the_rate(trials: int, rate: float) -> None:
    chance = scipy_stats.binom.pmf(np.arange(trials + 1), trials, rate)
    covered = sum(chance[hits] for hits in range(trials + 1) if rate in clopper_pearson(hits, trials, 0.9))
    assert covered >= 0.9 - 1e-9


def test_without_trials_a_rate_can_be_anything() -> None:
    assert (clopper_pearson(0, 0).low, clopper_pearson(0, 0).high) == (0.0, 1.0)


def test_wilson_is_scipys() -> None:
    theirs = scipy_stats.binomtest(81, 263).proportion_ci(0.95, method="wilson")
    assert_allclose([wilson(81, 263).low, wilson(81, 263).high], [theirs.low, theirs.high], atol=1e-12)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17, table II, method 10
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((10, 10, 0, 10), 0.6075, 1.0000),
    ],
)
def test_newcombe_gives_the_papers_own_table(counts: tuple[int, int, int, int], low: float, high: float) -> None:
    found = newcombe(*counts)
    assert_allclose([found.low, found.high], [low, high], atol=5e-5)


def test_newcombe_turns_round_when_the_groups_are_exchanged() -> None:
    there, back = newcombe(8, 20, 3, 17), newcombe(3, 17, 8, 20)
    assert_allclose([there.low, there.high], [-back.high, -back.low])


def test_the_bootstrap_of_a_mean_is_near_students_interval_on_normal_data() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, size=400)
    found = bootstrap(values, draws=4000)
    half = 1.96 * values.std(ddof=1) / 20
    assert_allclose([found.low, found.high], [values.mean() - half, values.mean() + half], atol=0.05)


def test_the_bootstrap_is_scipys_bca() -> None:
    values = np.random.default_rng(1).exponential(size=60)
    theirs = [
        scipy_stats.bootstrap((values,), np.mean, n_resamples=9999, rng=root, method="BCa").confidence_interval
        for root in range(8)
    ]
    ours = [bootstrap(values, draws=9999, seed=Seed(root)) for root in range(8)]
    # the percentile interval would end 0.1 lower
    assert_allclose(np.mean([i.high for i in ours]), np.mean([i.high for i in theirs]), atol=0.012)
    assert_allclose(np.mean([i.low for i in ours]), np.mean([i.low for i in theirs]), atol=0.012)


def test_the_bootstrap_leans_towards_the_long_tail() -> None:
    values = np.random.default_rng(2).exponential(size=40)
    found = bootstrap(values)
    assert found.high - values.mean() > values.mean() - found.low


def test_the_bootstrap_of_a_median_covers_it() -> None:
    assert 5.0 in bootstrap(np.arange(11.0), statistic=np.median)


def _ratio(pairs: np.ndarray, axis: int) -> np.ndarray:
    part, whole = np.moveaxis(pairs.mean(axis=axis), -1, 0)
    return part / whole


@pytest.mark.parametrize("count", [1990, 2010, 5000])
def test_the_bootstrap_of_several_columns_is_near_the_linearised_interval_for_many_inputs(count: int) -> None:
    whole = np.random.default_rng(4).exponential(size=count) + 1.0
    pairs = np.stack([whole * np.random.default_rng(5).normal(2.0, 1.0, size=count), whole], axis=1)
    found = bootstrap(pairs, statistic=_ratio)
    rest = pairs[:, 0] - _ratio(pairs, 0) * whole  # the ratio's error is the mean of these over the mean of the whole
    half = 1.96 * rest.std(ddof=1) / np.sqrt(count) / whole.mean()
    assert_allclose([found.low, found.high], _ratio(pairs, 0) + np.array([-half, half]), atol=half / 12)


def test_groups_left_out_lean_as_far_as_inputs_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.sort(np.random.default_rng(6).exponential(size=1500))
    singly = bootstrap(values[:, None], statistic=lambda x, axis: x.mean(axis=axis)[..., 0])
    monkeypatch.setattr("assay.basics.stats.MAX_JACKKNIFED", 500)
    grouped = bootstrap(values[:, None], statistic=lambda x, axis: x.mean(axis=axis)[..., 0])
    width = singly.high - singly.low
    assert_allclose([grouped.low, grouped.high], [singly.low, singly.high], atol=0.01 * width)
    assert grouped == bootstrap(values[:, None], statistic=lambda x, axis: x.mean(axis=axis)[..., 0])


def test_the_size_of_a_block_of_resamples_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(7).exponential(size=50)
    whole = bootstrap(values)
    monkeypatch.setattr("assay.basics.stats.MAX_RESAMPLED", 501)
    assert bootstrap(values) == whole


def test_equal_rows_of_several_columns_have_the_statistic_of_one() -> None:
    assert bootstrap(np.tile([1.0, 4.0], (9, 1)), statistic=_ratio).low == 0.25
    assert bootstrap(np.full(9, 3.0), statistic=np.std).high == 0.0


def test_equal_inputs_leave_no_doubt_and_one_input_leaves_all() -> None:
    assert bootstrap(np.full(9, 0.3)).low == bootstrap(np.full(9, 0.3)).high == 0.3
    assert np.isnan(bootstrap(np.array([0.3])).low)


def test_the_bootstrap_repeats_itself() -> None:
    values = np.random.default_rng(3).normal(size=30)
    assert bootstrap(values) == bootstrap(values)


def test_spearman_is_scipys_row_by_row_with_ties() -> None:
    a = np.random.default_rng(0).integers(0, 5, size=(6, 9)).astype(float)
    b = np.random.default_rng(1).normal(size=(6, 9))
    theirs = [scipy_stats.spearmanr(x, y).statistic for x, y in zip(a, b)]
    assert_allclose(spearman(a, b), theirs, atol=1e-12)


def test_a_constant_row_has_no_correlation() -> None:
    found = spearman(np.array([[1.0, 1.0, 1.0], [1.0, 2.0, 3.0]]), np.array([[1.0, 2.0, 3.0]] * 2))
    assert np.isnan(found[0])
    assert found[1] == 1.0


def test_a_constant_row_of_rounded_numbers_has_none_either() -> None:
    assert np.isnan(pearson(np.full((1, 3), 0.1), np.array([[1.0, 2.0, 4.0]]))[0])


def test_correlation_refuses_rows_that_do_not_pair() -> None:
    with pytest.raises(InputError, match=r"\(1, 3\) and \(1, 2\)"):
        pearson(np.ones(3), np.ones(2))


def test_holm_on_an_example_done_by_hand() -> None:
    # sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04, then never falling
    assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])


def test_holm_does_not_count_undefined_tests_and_stops_at_one() -> None:
    assert_allclose(holm(np.array([0.04, np.nan, 0.9])), [0.08, np.nan, 0.9])
    assert holm(np.array([0.7, 0.8])).max() == 1.0


def test_a_bounded_mean_keeps_a_doubt_where_all_values_are_equal() -> None:
    six, sixty = (bounded_mean_interval(np.zeros(rows), 0.0, 1.0) for rows in (6, 60))
    assert six.low == 0.0
    assert six.high == pytest.approx(1 / 8 + scipy_stats.t.ppf(0.975, 7) * np.std([0] * 7 + [1], ddof=1) / np.sqrt(8))
    assert sixty.high < six.high
    assert (bounded_mean_interval(np.empty(0), -1.0, 1.0).low, bounded_mean_interval(np.empty(0), -1.0, 1.0).high) == (
        -1.0,
        1.0,
    )


def test_a_bounded_mean_covers_also_with_few_values() -> None:
    generator = np.random.default_rng(0)
    covered = sum(
        0.3 in bounded_mean_interval(generator.binomial(1, 0.3, 12).astype(float), 0.0, 1.0) for _ in range(2000)
    )
    assert covered / 2000 >= 0.93


def test_the_largest_gap_of_two_groups_is_newcombes_without_its_sign() -> None:
    two, plain = largest_rate_gap_interval(np.array([3, 18]), np.array([20, 30])), newcombe(18, 30, 3, 20)
    assert (two.low, two.high) == pytest.approx((plain.low, plain.high))


def test_the_largest_gap_of_equal_groups_rarely_leaves_zero_out() -> None:
    generator = np.random.default_rng(1)
    trials = np.full(4, 60)
    wrong = sum(largest_rate_gap_interval(generator.binomial(60, 0.4, 4), trials).low > 0 for _ in range(1000))
    assert wrong / 1000 <= 0.06


@pytest.mark.parametrize(
    ("basis", "direct"),
    [
        (Basis("rate", {"hits": np.array(3), "trials": np.array(20)}), clopper_pearson(3, 20, 0.9)),
        (Basis("rates", {"hits": np.array([3, 9]), "trials": np.array([20, 30])}), newcombe(3, 20, 9, 30, 0.9)),
        (Basis("student", {"values": np.array([1.0, 2.0, 4.0])}), student_interval(np.array([1.0, 2.0, 4.0]), 0.9)),
    ],
)
def test_a_basis_gives_its_interval_at_any_level(basis: Basis, direct: Interval) -> None:
    assert basis.at(0.9) == direct
    wide, narrow = basis.at(0.99), basis.at(0.5)
    assert wide.low <= direct.low <= narrow.low
    assert narrow.high <= direct.high <= wide.high


def test_the_interval_for_skewed_rows_holds_students_and_leans_to_the_long_tail():
    values = np.random.default_rng(0).exponential(size=30)
    plain, wide = student_interval(values), skewness_corrected_interval(values)
    assert wide.low >= plain.low - 1e-12 or wide.low == plain.low
    assert wide.high > plain.high
    mirrored = skewness_corrected_interval(-values)
    assert (mirrored.low, mirrored.high) == pytest.approx((-wide.high, -wide.low))
    even = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    assert (skewness_corrected_interval(even).low, skewness_corrected_interval(even).high) == pytest.approx(
        (student_interval(even).low, student_interval(even).high)
    )
    assert skewness_corrected_interval(np.ones(5)).high == 1.0
    assert np.isnan(skewness_corrected_interval(np.ones(1)).low)


def test_the_upper_limit_for_skewed_rows_solves_halls_cubic():
    values = np.random.default_rng(1).exponential(size=20)
    n, mean, spread = 20, values.mean(), values.std(ddof=1)
    lean = ((values - mean) ** 3).sum() * n / ((n - 1) * (n - 2)) / (6 * np.sqrt(n) * spread**3)
    high = skewness_corrected_interval(values).high
    t = np.sqrt(n) * (mean - high) / spread  # the statistic at the limit, transformed, is Student's quantile
    quantile = scipy_stats.t.ppf(0.025, n - 1)
    assert t + 2 * lean * t**2 + 4 / 3 * lean**2 * t**3 + lean == pytest.approx(quantile)


@pytest.mark.parametrize("law", ["normal", "exponential", "t3"])
def test_the_interval_for_skewed_rows_covers_at_its_level(law):
    generator = np.random.default_rng(3)
    draw = {"normal": generator.normal, "exponential": lambda size: generator.exponential(size=size) - 1,
            "t3": lambda size: generator.standard_t(3, size)}[law]  # fmt: skip
    limits = [skewness_corrected_interval(draw(size=30)) for _ in range(1500)]
    assert 0.93 <= np.mean([one.low <= 0 <= one.high for one in limits]) <= 0.975
