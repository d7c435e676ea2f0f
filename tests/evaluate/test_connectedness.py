import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.evaluate.pictures import image_case
from tests.evaluate.settings import replace_values

from assay import evaluate, grid
from assay.basics.errors import InputError
from assay.nouns.records.store import load


def _flooded(top: set[tuple[int, int]]) -> list[int]:
    """Sizes of the pieces of a set of pixels, by filling them one after another."""
    left, sizes = set(top), []
    while left:
        stack, size = [left.pop()], 0
        while stack:
            y, x = stack.pop()
            size += 1
            for near in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if near in left:
                    left.remove(near)
                    stack.append(near)
        sizes.append(size)
    return sizes


def test_it_equals_the_literal_filling_of_the_leading_pixels() -> None:
    values = np.random.default_rng(4).normal(size=(5, 9, 8))
    case, e = image_case(values)
    score = evaluate.connectedness(e, case, share=0.4)
    for row, value in enumerate(values):
        best = np.argsort(-value.ravel(), kind="stable")[:29]  # ⌈0.4 · 72⌉
        sizes = _flooded({(int(i) // 8, int(i) % 8) for i in best})
        assert_allclose(score.values[row], max(sizes) / 29)
        assert score.extra["components"][row] == len(sizes)


def test_one_blob_is_one_and_two_equal_ones_a_half() -> None:
    values = np.zeros((2, 6, 6))
    values[0, :2, :3] = 5.0
    values[1, 0, :3], values[1, 5, 3:] = 5.0, 5.0
    case, e = image_case(values)
    assert_allclose(evaluate.connectedness(e, case, share=6 / 36).values, [1.0, 0.5])


def test_with_a_share_of_1_all_features_are_top_and_connected() -> None:
    case, e = image_case(np.random.default_rng(6).normal(size=(2, 4, 5)))
    score = evaluate.connectedness(e, case, share=1.0)
    assert_allclose(score.values, 1.0)
    assert_allclose(score.extra["components"], 1.0)


def test_a_corner_does_not_connect_and_opposite_borders_neither() -> None:
    values = np.zeros((2, 4, 4))
    values[0, 1, 1] = values[0, 2, 2] = values[1, 0, 0] = values[1, 0, 3] = 1.0
    case, e = image_case(values)
    assert_allclose(evaluate.connectedness(e, case, share=2 / 16).values, 0.5)


def test_channels_of_one_pixel_touch() -> None:
    values = np.zeros((1, 4, 4))
    values[0, 1, 2] = 1.0
    case, e = image_case(values, channels=3)
    assert_allclose(evaluate.connectedness(e, case, share=3 / 48).values, 1.0)


def test_patches_touch_along_their_sides() -> None:
    case, e = image_case(np.zeros((2, 6, 6)), grid((1, 6, 6), 2))
    side, corner = np.zeros(9), np.zeros(9)
    side[[0, 1]], corner[[0, 4]] = 1.0, 1.0
    score = evaluate.connectedness(replace_values(e, [side, corner]), case, share=2 / 9)
    assert_allclose(score.values, [1.0, 0.5])


def test_with_two_explanations_it_is_the_share_in_components_of_both() -> None:
    one, two = np.zeros((3, 5, 5)), np.zeros((3, 5, 5))
    one[0, 0, :2], two[0, 0, 2:4] = 1.0, 1.0  # they touch
    one[1, 0, :2], two[1, 4, :2] = 1.0, 1.0  # apart
    one[2, 0, 0] = one[2, 4, 4] = two[2, 0, 1] = two[2, 2, 2] = 1.0  # two of four touch
    case, e = image_case(one)
    other = image_case(two)[1]
    score = evaluate.connectedness(e, case, share=2 / 25, other=other)
    assert_allclose(score.values, [1.0, 0.0, 0.5])
    assert_allclose(evaluate.connectedness(other, case, share=2 / 25, other=e).values, score.values)


def test_a_score_of_two_candidates_survives_the_disk(tmp_path) -> None:
    values = np.random.default_rng(5).normal(size=(2, 5, 5))
    case, e = image_case(values)
    score = evaluate.connectedness(e, case, other=replace_values(e, -e.values))
    assert_allclose(load(score.save(tmp_path / "score.assay")).values, score.values)


def test_where_nothing_leads_it_is_undefined_and_bad_options_are_refused() -> None:
    case, e = image_case(np.full((1, 4, 4), 0.3))
    assert np.isnan(evaluate.connectedness(e, case).values).all()
    with pytest.raises(InputError, match="share=0"):
        evaluate.connectedness(e, case, share=0.0)
    with pytest.raises(InputError, match=r"share=1\.01; needed is .* at most 1"):
        evaluate.connectedness(e, case, share=1.01)
    with pytest.raises(InputError, match="the same rows"):
        evaluate.connectedness(e, case, other=image_case(np.ones((2, 4, 4)))[1])
