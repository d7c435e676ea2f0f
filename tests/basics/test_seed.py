"""Where randomness comes from."""

import numpy as np
from numpy.testing import assert_array_equal
from scipy import stats

from assay import Seed


def test_streams_do_not_depend_on_the_order_they_are_opened_in() -> None:
    forwards = [Seed(3).child("noise", name).generator().random() for name in ("a", "b", "c")]
    backwards = [Seed(3).child("noise", name).generator().random() for name in ("c", "b", "a")]
    assert forwards == backwards[::-1]


def test_every_child_draws_its_own_numbers() -> None:
    first = {Seed(0).child("row", i).generator().random() for i in range(1000)}
    assert len(first) == 1000


def test_walking_down_in_steps_or_at_once_leads_to_one_place() -> None:
    assert Seed(1).child("a").child("b", 2) == Seed(1).child("a", "b", "2")


def test_roots_differ() -> None:
    assert Seed(0).child("a").entropy != Seed(1).child("a").entropy


def test_the_numbers_of_a_seed_are_the_same_in_every_process() -> None:
    assert Seed(0).child("row", "7").generator().integers(2**32, size=2).tolist() == [4144059705, 3957679238]


def test_siblings_are_uncorrelated() -> None:
    draws = np.stack([Seed(0).child(i).generator().standard_normal(2000) for i in range(12)])
    off = np.corrcoef(draws)[np.triu_indices(12, 1)]
    assert abs(off).max() < stats.norm.ppf(1 - 0.001 / len(off)) / np.sqrt(2000)


def test_the_global_generator_is_left_alone() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002  # the global generator is what is watched
    Seed(0).child("x").generator().random(100)
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002  # as above


def test_torch_generators_follow_the_place_too() -> None:
    import torch

    a, b, c = (torch.rand(4, generator=Seed(0).child(name).torch()) for name in ("p", "p", "q"))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
