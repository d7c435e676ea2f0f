"""How an input is cut into parts."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.testing import assert_allclose, assert_array_equal

from assay import Features, columns, elements, grid, groups, integer_map, superpixels
from assay.basics.errors import InputError


@st.composite
def cuts(draw: st.DrawFn) -> Features:
    parts = draw(st.integers(1, 4))
    shape = draw(st.sampled_from([(6,), (2, 3), (2, 2, 3)]))
    per_row = draw(st.booleans())
    index = draw(npst.arrays(np.int64, (3, *shape) if per_row else shape, elements=st.integers(-1, parts - 1)))
    if not per_row:
        index.reshape(-1)[:parts] = np.arange(parts)
    return Features(index, tuple(map(str, range(parts))), per_row=per_row)


@given(cuts(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_pooling_and_painting_are_adjoint(cut: Features, root: int) -> None:
    generator = np.random.default_rng(root)
    dense, parts = generator.normal(size=(3, *cut.shape)), generator.normal(size=(3, len(cut)))
    assert_allclose((cut.pool(dense) * parts).sum(), (dense * cut.map(parts)).sum(), atol=1e-10)


@given(cuts(), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_expanded_masks_keep_padding(cut: Features, root: int) -> None:
    keep = np.random.default_rng(root).random((3, len(cut))) < 0.5
    index = cut.index if cut.per_row else np.broadcast_to(cut.index, (3, *cut.shape))
    slow = np.ones(index.shape, dtype=bool)
    for place in np.ndindex(index.shape):
        if index[place] >= 0:
            slow[place] = keep[place[0], index[place]]
    assert_array_equal(cut.expand_masks(keep, np.arange(3)), slow)


def test_elements_in_any_order_pool_to_their_own_part() -> None:
    assert_array_equal(integer_map([2, 0, 1]).pool(np.array([[10.0, 20.0, 30.0]])), [[20.0, 30.0, 10.0]])


def test_groups_join_columns_and_leave_the_rest_alone() -> None:
    cut = groups({"address": ["street", "town"]}, ["age", "street", "town"])
    assert cut.names == ("address", "age")
    assert_array_equal(cut.pool(np.array([[1.0, 20.0, 300.0]])), [[320.0, 1.0]])
    assert_array_equal(cut.sizes, [2, 1])


@pytest.mark.parametrize(
    ("groups_", "message"), [({"g": ["b"]}, "'b', which is not among"), ({"g": ["a"], "h": ["a"]}, "in two groups")]
)
def test_groups_refuse_strange_and_repeated_members(groups_: dict[str, list[str]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        groups(groups_, ["a", "c"])


def test_grid_patches_cover_all_channels_and_the_rest_at_the_edge() -> None:
    cut = grid((3, 5, 4), 2)
    assert len(cut) == 6
    assert_array_equal(cut.index[0], [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3], [4, 4, 5, 5]])
    assert_array_equal(cut.index[0], cut.index[2])
    assert cut.names[4] == "2,0"


def test_superpixels_give_each_image_its_own_cut_along_its_edges() -> None:
    images = np.zeros((2, 3, 16, 16))
    images[0, :, :, 8:] = 255.0
    images[1, :, 8:, :] = 255.0
    cut = superpixels(images, count=4, compactness=0.1)
    assert cut.per_row
    assert cut.index.shape == images.shape
    left, right = (set(cut.index[0, 0, :, half].ravel()) for half in (slice(0, 8), slice(8, 16)))
    assert not left & right
    assert_array_equal(cut.at(np.array([1])).index[0], cut.index[1])


def test_padding_is_always_present_and_gets_no_value() -> None:
    cut = integer_map([0, 1, -1])
    assert_array_equal(cut.expand_masks(np.zeros((1, 2), dtype=bool), np.array([0])), [[False, False, True]])
    assert_array_equal(cut.map(np.ones((1, 2))), [[1.0, 1.0, 0.0]])
    assert_array_equal(cut.pool(np.array([[1.0, 2.0, 4.0]])), [[1.0, 2.0]])


def test_a_map_per_row_may_leave_parts_empty_in_some_rows() -> None:
    cut = integer_map([[0, 1], [0, 0]], per_row=True)
    assert_array_equal(cut.sizes, [[1, 1], [2, 0]])
    assert_array_equal(cut.pool(np.ones((2, 2))), [[1.0, 1.0], [2.0, 0.0]])
    assert_array_equal(cut.at(np.array([1, 0])).index, [[0, 0], [0, 1]])


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([0.0, 1.0], "integers; got float64"),
        ([0, 2], r"part\(s\) \[1\] of the feature map are empty"),
        ([-2, 0], "found -2 … 0"),
        ([], "found|integers"),
        ([-1, -1], "found -1"),
    ],
)
def test_a_map_that_is_no_cut_is_refused(index: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        integer_map(index)


def test_a_grid_of_no_pixels_and_of_no_image_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1 pixel"):
        grid((3, 4, 4), 0)
    with pytest.raises(InputError, match=r"images.*\(4,\)"):
        grid((4,), 2)


def test_names_may_come_in_any_sequence() -> None:
    assert columns(pd.Index(["a", "b"])).names == elements((2,), np.array(["a", "b"])).names == ("a", "b")


def test_the_fingerprint_changes_with_the_map_and_with_the_names() -> None:
    fingerprints = {
        integer_map(index, names).fingerprint for index in ([0, 1], [1, 0]) for names in (["a", "b"], ["a", "c"])
    }
    assert len(fingerprints) == 4
