import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.evaluate.pictures import image_case
from tests.evaluate.settings import curved, replace_values

from assay import evaluate, explain, grid
from assay.basics.errors import CapabilityError
from assay.nouns.inputs.features import Features


def _literal(values: np.ndarray) -> float:
    """Root mean square distance from the centre, a pixel at a time."""
    weight = np.abs(values) / np.abs(values).sum()
    places = [(y, x) for y in range(values.shape[0]) for x in range(values.shape[1])]
    cy, cx = (sum(weight[p] * p[k] for p in places) for k in (0, 1))
    return float(sum(weight[p] * ((p[0] - cy) ** 2 + (p[1] - cx) ** 2) for p in places) ** 0.5)


@pytest.mark.parametrize("channels", [1, 3])
def test_it_equals_the_literal_spread_against_that_of_equal_pixels(channels: int) -> None:
    values = np.random.default_rng(3).normal(size=(3, 5, 7))
    case, e = image_case(values, channels=channels)
    score = evaluate.spatial_compactness(e, case)
    assert_allclose(score.extra["spread"], [_literal(v) for v in values])
    assert_allclose(score.values, [1 - _literal(v) / _literal(np.ones((5, 7))) for v in values])


def test_one_place_is_one_all_places_nought_and_opposite_corners_below() -> None:
    values = np.zeros((3, 6, 6))
    values[0, 2, 3], values[1], values[2, 0, 0], values[2, 5, 5] = -2.0, 1.0, 1.0, 1.0
    case, e = image_case(values)
    found = evaluate.spatial_compactness(e, case).values
    assert_allclose(found[:2], [1, 0], atol=1e-12)
    assert found[2] < -0.4


def test_a_spot_is_as_compact_wherever_it_lies() -> None:
    values = np.zeros((2, 8, 8))
    values[0, 1:3, 1:3], values[1, 5:7, 4:6] = 1.0, 7.0
    case, e = image_case(values)
    here, there = evaluate.spatial_compactness(e, case).values
    assert_allclose(here, there)


def test_patches_lie_at_their_middles() -> None:
    case, e = image_case(np.zeros((1, 4, 4)), grid((1, 4, 4), 2))
    halves = replace_values(e, [[1.0, 1.0, 0.0, 0.0]])  # the upper two, 2 pixels apart
    assert_allclose(evaluate.spatial_compactness(halves, case).extra["spread"], 1.0)
    assert_allclose(evaluate.spatial_compactness(halves, case).values, 1 - 1 / 2**0.5)


def test_parts_a_row_lacks_do_not_count() -> None:
    index = np.zeros((2, 1, 4, 4), dtype=int)
    index[0, :, 2:], index[1, :, 2:], index[1, :, :2, 2:] = 1, 1, 2
    case, e = image_case(np.zeros((2, 4, 4)), Features(index, ("a", "b", "c"), per_row=True))
    score = evaluate.spatial_compactness(replace_values(e, [[1.0, 1.0, 9.0], [1.0, 2.0, 1.0]]), case)
    assert_allclose(score.values, 0.0, atol=1e-12)


def test_nothing_attributed_is_undefined_and_tables_are_refused() -> None:
    case, e = image_case(np.zeros((1, 4, 4)))
    assert np.isnan(evaluate.spatial_compactness(e, case).values).all()
    with pytest.raises(CapabilityError, match="needs images"):
        evaluate.spatial_compactness(explain.saliency(curved()), curved())
