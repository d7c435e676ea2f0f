"""The same for every part, as a reference."""

import numpy as np
from numpy.testing import assert_allclose

from assay import examples, explain
from assay.nouns.inputs.features import Features


def test_every_part_gets_one_nth() -> None:
    assert_allclose(explain.constant(examples.linear((1.0, 2.0, 3.0, 4.0))).values, 0.25)


def test_values_of_a_row_are_divided_among_its_own_features() -> None:
    cut = Features(np.array([[0, 1], [1, 1]]), ("a", "b"), per_row=True)
    case = examples.linear((1.0, 2.0), x=np.ones((2, 2)), features=cut)
    assert_allclose(explain.constant(case).values, [[0.5, 0.5], [0.0, 1.0]])
