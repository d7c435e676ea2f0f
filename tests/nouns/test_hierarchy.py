"""Groups within groups."""

import numpy as np
import pandas as pd
import pytest

from assay.basics.errors import InputError
from assay.nouns.inputs.hierarchy import hierarchy, parse_groups, tree_leaves

NAMES = ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("groups", "tree"),
    [
        ((), (0, 1, 2, 3, 4)),
        ({"x": ["b", "d"]}, ((1, 3), 0, 2, 4)),
        ([["a", "b"], ["c", ["d", "e"]]], ((0, 1), (2, (3, 4)))),
        ({"x": [["a"], "e"], "y": ["c"]}, ((0, 4), 2, 1, 3)),
    ],
)
def test_groups_become_a_tree_and_parts_named_nowhere_stand_alone(groups, tree):
    assert parse_groups(groups, NAMES) == tree
    assert sorted(tree_leaves(tree)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({"x": ["a", "z"]}, "'z'.*not among"),
        ([["a", "b"], ["b", "c"]], "'b' is in two groups"),
        ({"x": []}, "at least one"),
        ("a", "a mapping from group"),
        ([[1, 2]], "got int"),
    ],
)
def test_what_is_no_grouping_is_refused(groups, said):
    with pytest.raises(InputError, match=said):
        parse_groups(groups, NAMES)


def test_columns_that_go_together_are_nested_first():
    generator = np.random.default_rng(0)
    one, two = generator.normal(size=(2, 200))
    frame = pd.DataFrame({"a": one, "b": two, "c": -2 * one + 0.1 * generator.normal(size=200), "d": two + 0.5 * one})
    frame["flat"] = 1.0
    tree = parse_groups(hierarchy(frame), list(frame.columns))
    assert sorted(tree_leaves(tree)) == [0, 1, 2, 3, 4]
    pairs = str(tree)
    assert "(0, 2)" in pairs
    assert "(1, 3)" in pairs


def test_one_column_is_a_tree_of_its_own():
    assert parse_groups(hierarchy(np.arange(4.0)[:, None]), ["0"]) == (0,)


def test_what_has_no_correlation_is_refused():
    with pytest.raises(InputError, match="two or more rows of finite numbers"):
        hierarchy(np.array([[1.0, np.nan], [2.0, 3.0]]))
    with pytest.raises(InputError, match="3 names for 2 columns"):
        hierarchy(np.ones((3, 2)), ["a", "b", "c"])
