from dataclasses import replace
from math import comb

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from tests.evaluate.settings import curved

from assay import examples
from assay.basics.seed import Seed
from assay.engine.removal.random_removal import coin_flips, complete, without_share


@pytest.mark.parametrize(("size", "gone"), [(0.01, 1), (0.2, 2), (0.5, 3), (0.6, 4), (0.99, 6)])
def test_every_subset_lacks_the_share_rounded_up(size: float, gone: int) -> None:
    masks = without_share(curved(), size, 1000).masks
    assert ((~masks).sum(axis=1) == gone).all()
    assert len(np.unique(masks, axis=0)) == len(masks) == comb(6, gone)


def test_all_subsets_are_taken_as_soon_as_the_draws_pay_for_them() -> None:
    assert complete(without_share(curved(), 0.5, 20))
    assert not complete(without_share(curved(), 0.5, 19))
    assert complete(coin_flips(curved(), 64))
    assert not complete(coin_flips(curved(), 63))


def test_every_part_is_taken_away_about_equally_often() -> None:
    case = examples.additive(np.ones(10))
    share = (~without_share(case, 0.3, 200).masks).mean(axis=0)
    assert abs(share - 0.3).max() < 4 * np.sqrt(0.21 / 200)


def test_fewer_draws_are_the_first_of_more() -> None:
    case = examples.additive(np.ones(20))
    assert_array_equal(without_share(case, 0.3, 50).masks, without_share(case, 0.3, 80).masks[:50])
    assert_array_equal(coin_flips(case, 50).masks, coin_flips(case, 80).masks[:50])


def test_another_seed_draws_other_subsets() -> None:
    case = examples.additive(np.ones(20))
    other = replace(case, seed=Seed(1))
    assert (without_share(case, 0.3, 50).masks != without_share(other, 0.3, 50).masks).any()
