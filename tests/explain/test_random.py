"""Chance as a reference."""

import numpy as np
from numpy.testing import assert_array_equal

from assay import examples, explain


def test_draws_are_standard_normal() -> None:
    values = explain.random(examples.linear(np.ones(2000))).values
    assert abs(values.mean()) < 0.1
    assert abs(values.std() - 1) < 0.1


def test_draws_follow_the_rows_name() -> None:
    case = examples.linear((1.0, 2.0, 3.0), x=np.ones((3, 3)), ids=["a", "b", "c"])
    assert_array_equal(explain.random(case.take([2, 0])).values, explain.random(case).values[[2, 0]])


def test_rows_and_seeds_differ() -> None:
    one, two = (explain.random(examples.linear((1.0, 2.0), x=np.ones((2, 2)), seed=seed)).values for seed in (0, 1))
    assert len({*one.ravel(), *two.ravel()}) == 8


def test_it_never_evaluates_the_model() -> None:
    assert explain.random(examples.product()).provenance.cost == {}
