"""Second derivatives of a target along directions of the rows."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract.subjects import ROWS, neural, smooth

import assay
from assay.basics.errors import CapabilityError


def test_it_is_the_hessian_times_the_direction() -> None:
    case = neural()
    along = torch.as_tensor(np.random.default_rng(0).normal(size=ROWS.shape))
    first, last = case.model.net[0], case.model.net[2]
    active = torch.tanh(case.rows.x @ first.weight.T + first.bias)
    bend = last.weight[1] * -2 * active * (1 - active**2)  # the second derivative of tanh
    wanted = (bend * (along @ first.weight.T)) @ first.weight
    assert_allclose(case.curvature(case.rows.x, along), wanted, atol=1e-12)
    assert_allclose(case.curvature(case.rows.x[[2]], along[[2]], np.array([2])), wanted[[2]], atol=1e-12)


def test_it_counts_one_pass_there_and_two_back_whatever_the_batch() -> None:
    case = neural()
    along = torch.ones_like(case.rows.x)
    small = replace(case, model=replace(case.model, batch=2))
    before = case.model.meter.forwards, case.model.meter.backwards
    assert_allclose(small.curvature(case.rows.x, along), case.curvature(case.rows.x, along), atol=1e-12)
    meter = case.model.meter
    assert (meter.forwards - before[0], meter.backwards - before[1]) == (6, 12)
    assert not case.rows.x.requires_grad


def test_of_a_linear_net_it_is_zero() -> None:
    case = assay.case(assay.wrap(torch.nn.Linear(4, 2).double()), torch.as_tensor(ROWS), label=0)
    assert not case.curvature(case.rows.x, case.rows.x).any()


def test_without_a_net_it_is_refused() -> None:
    with pytest.raises(CapabilityError, match="second derivatives need a torch net"):
        smooth().curvature(ROWS, ROWS)
    with pytest.raises(CapabilityError, match="is a step"):
        neural().with_target("decision").curvature(neural().rows.x, neural().rows.x)
