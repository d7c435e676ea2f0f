"""The quadrature between two texts: the nodes' weights, and functions that turn in the middle."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import assay
from assay.engine.gradients.distributions import Line
from assay.engine.influence_paths.contrast_line import CentredLine
from assay.model.adapters.function import function


def nodes_of(line):
    case = assay.case(function(lambda x: x[:, 0], name="one", fingerprint="one"), np.array([[1.0, 2.0]]))
    found = list(line.nodes(case))
    return np.array([node.point[0, 0] for node in found]), np.array([node.weight for node in found])


@pytest.mark.parametrize("power", [0, 1, 2, 5])
def test_sixteen_nodes_integrate_powers(power):
    place, weight = nodes_of(CentredLine(0.0, 16))
    assert_allclose(weight @ place**power, 1 / (power + 1), rtol=1e-10)
    assert ((place > 0) & (place < 1)).all()


def test_nodes_in_the_middle_follow_a_step_that_even_nodes_miss():
    errors = []
    for line in (Line(0.0, 16), CentredLine(0.0, 16)):
        place, weight = nodes_of(line)
        steps = [
            (20.0 / np.cosh(20 * (place - c)) ** 2, np.tanh(20 * (1 - c)) + np.tanh(20 * c)) for c in (0.4, 0.5, 0.58)
        ]
        errors.append(np.mean([abs(weight @ slope - whole) for slope, whole in steps]))
    assert errors[1] < errors[0] / 5
