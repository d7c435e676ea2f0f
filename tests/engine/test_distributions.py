"""Points and paths to take gradients at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import ndimage
from tests.contract.subjects import net
from tests.model.rules import nets
from tests.oracles import blur as oracle

import assay
from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.gradients.distributions import BlurPath, Line, Path
from assay.engine.gradients.influence import influence
from assay.engine.gradients.quadrature import gauss_legendre

SIGMA = 3.0


@pytest.fixture
def pictured() -> Case:
    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(84, 3))
    x = np.random.default_rng(1).uniform(size=(2, 2, 7, 6))
    return assay.case(assay.wrap(nets.filled(linear)), torch.as_tensor(x), label=0)


@pytest.fixture
def smooth() -> Case:
    """Three rows put to a smooth net."""
    return assay.case(assay.wrap(net(inputs=5)), nets.normal_tensor(3, 5), label=1)


def test_a_blur_paths_points_and_derivatives_are_those_of_the_explicit_basis(pictured: Case) -> None:
    x, h = pictured.rows.x.numpy(), 1e-5
    nodes = list(BlurPath(SIGMA, 6).nodes(pictured))
    for (place, weight), node in zip(gauss_legendre(6), nodes, strict=True):
        assert node.weight == weight
        assert_allclose(node.point, oracle.cleared(x, SIGMA, place), atol=1e-12)
        moved = (oracle.cleared(x, SIGMA, place + h) - oracle.cleared(x, SIGMA, place - h)) / (2 * h)
        assert_allclose(node.along, moved, atol=1e-7)
    assert max(np.abs(node.along.numpy()).max() for node in nodes) > 0.1


def test_its_blur_is_the_gaussian_one_with_mirrored_edges(pictured: Case) -> None:
    x = np.random.default_rng(2).uniform(size=(1, 1, 30, 24))
    theirs = ndimage.gaussian_filter(x[0, 0], 2.0, mode="reflect", truncate=8.0)
    assert_allclose(oracle.blurred(x, 2.0)[0, 0], theirs, atol=1e-6)


def test_steps_of_a_blur_path_add_up_to_what_the_blur_removes(pictured: Case) -> None:
    x = pictured.rows.x.numpy()
    total = sum(node.weight * node.along.numpy() for node in BlurPath(SIGMA, 32).nodes(pictured))
    assert_allclose(total, x - oracle.blurred(x, SIGMA), atol=1e-9)


def spiral(x: Any, place: float) -> Any:
    """From somewhere to x on a bent way."""
    return x * place**2 + 0.7 * np.sin(np.pi * place) - (1 - place) * 0.3


def test_a_curved_path_is_complete_too(smooth: Case) -> None:
    found = influence(smooth, Path(spiral, 32))
    rise = smooth.output - smooth.value(spiral(smooth.rows.x, 0.0))
    assert_allclose(np.asarray(found.values).sum(1), rise, atol=1e-6)
    straight = influence(smooth, Line(spiral(smooth.rows.x, 0.0), 32))
    assert np.abs(np.asarray(straight.values) - np.asarray(found.values)).max() > 1e-2


def test_a_curved_path_is_complete_at_a_layer_too(smooth: Case) -> None:
    found = influence(smooth, Path(spiral, 32), layer="0")
    rise = smooth.output - smooth.value(spiral(smooth.rows.x, 0.0))
    assert_allclose(np.asarray(found.values).sum(1), rise, atol=1e-6)


def test_a_straight_path_is_the_line(smooth: Case) -> None:
    path = influence(smooth, Path(lambda x, place: 0.2 + place * (x - 0.2), 8))
    assert_allclose(path.values, influence(smooth, Line(0.2, 8)).values, atol=1e-10)
    assert_allclose(path.base, influence(smooth, Line(0.2, 8)).base, atol=1e-12)


def test_a_path_that_ends_elsewhere_is_refused(smooth: Case) -> None:
    with pytest.raises(InputError, match=r"the path ends 1 away from the rows; at\(x, 1\) must be x"):
        influence(smooth, Path(lambda x, place: place * x + 1.0))


@pytest.mark.parametrize("path", [Line(steps=7), BlurPath(2.0, 7), Path(lambda x, place: place * x, 7)])
def test_a_path_reports_its_nodes_and_base_passes(pictured: Case, path: Any) -> None:
    meter = pictured.model.meter
    asked = meter.requested
    assert (path.count, path.base_passes, path.draws) == (7, 1, 0)
    assert len(list(path.nodes(pictured))) == 7
    assert meter.requested == asked
    path.base(pictured)
    assert meter.requested - asked == len(pictured)
