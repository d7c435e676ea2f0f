"""LayerCAM."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.contract.subjects import visual
from tests.oracles import maps

from assay.engine.gradients.distributions import Point
from assay.explain import internal_influence, layer_cam


@pytest.mark.parametrize("label", [0, 1])
def test_it_is_the_papers_map(label: int) -> None:
    slow = np.zeros((3, 3, 3))
    for row, picture in enumerate(maps.PICTURES):
        active = maps.activations(picture)
        for k, i, j in np.ndindex(2, 3, 3):
            slow[row, i, j] += max(maps.HEAD[label, k, i, j], 0.0) * active[k, i, j]
    found = layer_cam(maps.handmade(label=label))
    assert_allclose(found.extra["map"], np.maximum(slow, 0.0), atol=1e-12)
    assert_allclose(found.map()[:, 0], [maps.bilinear(one, 4, 4) for one in slow], atol=1e-12)


def test_signed_it_is_the_sum_of_gradient_times_activation() -> None:
    case = visual()
    inner = internal_influence(case, layer="1", over=Point())
    found = layer_cam(case, signed=True)
    assert_allclose(found.extra["map"], (inner.map() * inner.x).sum(axis=1), atol=1e-12)
    assert (found.extra["map"] < 0).any()
