"""Exposure: ranks by enumeration, the exponential null, sampled ranks, extrapolation, beam search."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.stats import Basis
from assay.engine.privacy.exposure import (
    CHANCE,
    SecretSpace,
    beam_cost,
    beam_search,
    chance_limits,
    combined_p,
    distance_from_chance,
    exposures,
    extrapolated_exposure,
    rank_among,
)

G = np.random.default_rng(0)


def test_ties_count_against_the_secret() -> None:
    assert rank_among(-3.0, np.array([-1.0, -3.0, -3.0, -4.0])) == 4
    assert rank_among(-1.0, np.array([-3.0, -4.0])) == 1
    assert rank_among(0.0, np.zeros(9)) == 10


def test_exposure_ends_at_the_number_of_candidates_and_begins_at_zero() -> None:
    assert_allclose(exposures(np.array([1, 8, 1024]), 1024), [10, 7, 0])


def test_exposure_by_chance_is_exponential_and_two_to_its_negative_is_a_p_value() -> None:
    bits = exposures(G.integers(1, 10_001, 4000), 10_000)
    assert scipy_stats.kstest(bits, "expon", args=(0, CHANCE)).pvalue > 0.01
    assert distance_from_chance(bits) > 0.01
    assert abs(bits.mean() - 1.4427) < 0.08
    for p in (0.01, 0.1, 0.5):
        assert abs((2.0**-bits <= p).mean() - p) < 0.02
    together = np.array([combined_p(line) for line in bits.reshape(-1, 4)])
    assert (together <= 0.05).mean() <= 0.07
    assert combined_p(bits[:1]) == pytest.approx(2.0 ** -bits[0])


@pytest.mark.parametrize("count", [1, 3, 20])
def test_secrets_that_are_not_memorised_fail_in_far_less_than_one_run_in_twenty(count: int) -> None:
    bits = exposures(G.integers(1, 1001, (400, count)), 1000)
    limits = [Basis("exponential", {"values": line, "largest": 10.0}).at(0.95) for line in bits]
    assert np.mean([one.low > 2.0 for one in limits]) <= 0.05
    assert np.mean([one.low <= CHANCE <= one.high for one in limits]) > 0.93
    low, high = chance_limits(count, 0.95)
    assert abs(np.mean((bits.mean(axis=1) >= low) & (bits.mean(axis=1) <= high)) - 0.95) < 0.04


def test_a_space_has_all_its_members_once() -> None:
    space = SecretSpace.of(["a-07"], "", ())
    assert (space.pattern, len(space)) == ("a-##", 100)
    assert len(set(space.all())) == 100
    assert all(one in space for one in space.all())
    assert "a-7" not in space
    assert "b-07" not in space
    assert len(SecretSpace.of(["x1"], "@#", ())) == 260
    assert len(SecretSpace.of(["red"], "", ["red", "blue", "red"])) == 2
    drawn = space.draw(400, "a-07", Seed(0))
    assert "a-07" not in drawn
    assert set(drawn) <= set(space.all())
    assert drawn == space.draw(400, "a-07", Seed(0))


@pytest.mark.parametrize(
    ("secrets", "pattern", "listed", "text"),
    [
        (["12", "123"], "", (), "have the forms"),
        (["ab"], "", (), "1 candidate"),
        (["12"], "@@", (), "'12' is not among the 676 candidates"),
        (["12"], "", ["34", "56"], "not among the 2"),
        (["12"], "##", ["12", "56"], "give one of them"),
    ],
)
def test_secrets_outside_the_space_are_refused(secrets: Any, pattern: str, listed: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        SecretSpace.of(secrets, pattern, listed)


def test_extrapolation_agrees_with_the_rank_inside_and_goes_beyond_the_number_of_candidates() -> None:
    others = -G.normal(20, 2, 2000)
    for quantile in (0.5, 0.1, 0.01):
        own = -float(scipy_stats.norm.ppf(quantile, 20, 2))
        assert extrapolated_exposure(own, others) == pytest.approx(-np.log2(quantile), abs=0.5)
    assert extrapolated_exposure(-4.0, others) > 20 > np.log2(2001)
    assert np.isnan(extrapolated_exposure(-4.0, others[:5]))
    assert np.isnan(extrapolated_exposure(-4.0, np.ones(50)))


@pytest.mark.parametrize("pattern", ["###", "a#-#b", "#x"])
def test_a_wide_beam_finds_the_most_likely_of_all_and_costs_what_it_says(pattern: str) -> None:
    space, scored = SecretSpace(pattern), [0]
    table = {(place, sign): G.normal() for place in range(5) for sign in "0123456789abx-"}

    def score(texts: list[str]) -> Any:
        scored[0] += len(texts)
        return np.array([sum(table[place, sign] for place, sign in enumerate(text)) for text in texts])

    every = space.all()
    best = every[int(score(every).argmax())]
    for width in (1, 7, 2000):  # the places are independent, so that the narrowest beam suffices
        scored[0] = 0
        assert beam_search(space, score, width)[0] == best
        assert scored[0] <= beam_cost(space, width)
