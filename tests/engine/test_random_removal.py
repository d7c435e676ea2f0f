from dataclasses import replace
from math import comb

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from tests.evaluate.settings import curved

from assay import examples
from assay.basics.seed import Seed
from assay.engine.removal.random_removal import bernoulli_coalitions, fixed_size_coalitions, is_exhaustive


@pytest.mark.parametrize(("size", "gone"), [(0.01, 1), (0.2, 2), (0.5, 3), (0.6, 4), (0.99, 6)])
def test_every_subset_lacks_the_share_rounded_up(size: float, gone: int) -> None:
    masks = fixed_size_coalitions(curved(), size, 1000).masks
    assert ((~masks).sum(axis=1) == gone).all()
    assert len(np.unique(masks, axis=0)) == len(masks) == comb(6, gone)


def test_all_subsets_are_used_if_there_are_at_most_that_many_draws() -> None:
    assert is_exhaustive(fixed_size_coalitions(curved(), 0.5, 20))
    assert not is_exhaustive(fixed_size_coalitions(curved(), 0.5, 19))
    assert is_exhaustive(bernoulli_coalitions(curved(), 64))
    assert not is_exhaustive(bernoulli_coalitions(curved(), 63))


def test_every_feature_is_removed_about_equally_often() -> None:
    case = examples.additive(np.ones(10))
    share = (~fixed_size_coalitions(case, 0.3, 200).masks).mean(axis=0)
    assert abs(share - 0.3).max() < 4 * np.sqrt(0.21 / 200)


def test_fewer_draws_are_the_first_of_more() -> None:
    case = examples.additive(np.ones(20))
    assert_array_equal(fixed_size_coalitions(case, 0.3, 50).masks, fixed_size_coalitions(case, 0.3, 80).masks[:50])
    assert_array_equal(bernoulli_coalitions(case, 50).masks, bernoulli_coalitions(case, 80).masks[:50])


def test_another_seed_draws_other_subsets() -> None:
    case = examples.additive(np.ones(20))
    other = replace(case, seed=Seed(1))
    assert (fixed_size_coalitions(case, 0.3, 50).masks != fixed_size_coalitions(other, 0.3, 50).masks).any()
