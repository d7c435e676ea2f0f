"""Intervals for a ratio of paired means."""

import numpy as np
import pytest
from scipy import stats

from assay.basics.stats import Basis, fieller_interval


def test_the_limits_are_the_ratios_that_a_paired_t_test_just_cannot_rule_out() -> None:
    generator = np.random.default_rng(0)
    whole = 2 + generator.normal(size=25)
    part = 0.4 * whole + 0.3 * generator.normal(size=25)
    found = fieller_interval(part, whole, 0.9)
    for limit in (found.low, found.high):
        assert stats.ttest_1samp(part - limit * whole, 0.0).pvalue == pytest.approx(0.1)
    assert found.low < part.mean() / whole.mean() < found.high
    assert Basis("ratio", {"part": part, "whole": whole}).at(0.9) == found


def test_no_ratio_is_ruled_out_where_the_whole_may_be_nothing() -> None:
    generator = np.random.default_rng(1)
    whole = generator.normal(size=20)
    found = fieller_interval(whole + 1, whole - whole.mean())
    assert (found.low, found.high) == (-np.inf, np.inf)
    assert fieller_interval(whole, whole - 5).low == -np.inf  # a whole below 0 has no ladder either
    assert np.isnan(fieller_interval(whole[:1], whole[:1]).low)


def test_it_covers_at_its_level() -> None:
    generator = np.random.default_rng(2)
    hits = 0
    for _ in range(1000):
        whole = 1 + generator.normal(size=30)
        part = 0.3 * whole + generator.normal(size=30)
        limits = fieller_interval(part, whole)
        hits += limits.low <= 0.3 <= limits.high
    assert 0.93 <= hits / 1000 <= 0.97
