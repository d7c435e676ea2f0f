# SPDX-License-Identifier: Apache-2.0
"""The fewest leading features that keep the class: the search against the literal loop, where nothing is monotone."""

import numpy as np
import pytest

import assay
from assay import explain
from assay.basics.errors import CapabilityError, InputError

ZERO = assay.Constant(0.0)


def random_case(parts, rows=6, seed=0, **options):
    """A random class for each set of features, so that sufficiency is not monotone."""
    classes = np.random.default_rng(seed).integers(3, size=2**parts)
    model = assay.model.function(
        lambda x: np.eye(3)[classes[(x > 0.5).astype(int) @ 2 ** np.arange(parts)]],
        gives="probabilities",
        fingerprint=str(classes.tolist()),
    )
    return assay.case(model, np.ones((rows, parts)), seed=seed, **options)


def literal(case, values, row):
    """Add the next feature until the class is that of the full row."""
    order, full = np.argsort(-values[row], kind="stable"), case.predicted(case.rows.x)[row]
    mask = np.zeros((1, len(order)), dtype=bool)
    for part in [None, *order]:
        if part is not None:
            mask[0, part] = True
        if case.game(ZERO).classes(np.array([row]), mask)[0] == full:
            return mask[0]
    raise AssertionError


@pytest.mark.parametrize("seed", range(8))
def test_the_set_is_that_of_the_literal_loop_and_keeps_the_class(seed):
    case = random_case(6, seed=seed)
    values = explain.random(case)
    found = assay.smallest_sufficient(values, case, remove=ZERO)
    np.testing.assert_array_equal(found, [literal(case, values.values, row) for row in range(len(case))])
    classes = case.game(ZERO).classes(np.arange(len(case)), found)
    np.testing.assert_array_equal(classes, case.predicted(case.rows.x))


def test_a_row_that_needs_all_its_features_gets_all():
    model = assay.model.function(lambda x: np.eye(2)[(x.sum(axis=1) > 3.5).astype(int)], gives="probabilities")
    case = assay.case(model, np.array([[1.0, 1, 1, 1], [1, 1, 1, 0]]))
    found = assay.smallest_sufficient(explain.random(case), case, remove=ZERO)
    assert found.sum(axis=1).tolist() == [4, 0]  # the second has the class of no features at all


def test_parts_that_a_row_lacks_are_not_chosen():
    features = assay.Features(np.array([[0, 1, 2, 3], [0, 0, 1, 1]]), ("a", "b", "c", "d"), per_row=True)
    model = assay.model.function(lambda x: np.eye(2)[(x.sum(axis=1) > 3.5).astype(int)], gives="probabilities")
    case = assay.case(model, np.ones((2, 4)), features=features)
    found = assay.smallest_sufficient(explain.random(case), case, remove=ZERO)
    assert found.tolist() == [[True] * 4, [True, True, False, False]]


def test_other_rows_and_regressions_are_refused():
    case = random_case(4)
    values = explain.random(case)
    with pytest.raises(InputError, match="same rows"):
        assay.smallest_sufficient(values, case.take([0, 1]), remove=ZERO)
    with pytest.raises(InputError, match="explanation"):
        assay.smallest_sufficient(values.values, case, remove=ZERO)
    linear = assay.examples.linear()
    with pytest.raises(CapabilityError, match="keep a class"):
        assay.smallest_sufficient(explain.occlusion(linear, remove=ZERO), linear, remove=ZERO)
