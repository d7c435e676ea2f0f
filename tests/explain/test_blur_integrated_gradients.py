"""Blur integrated gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.oracles import blur as oracle

import assay
from assay import explain
from assay.basics.errors import InputError
from assay.cases.case import Case


def pictured(net: torch.nn.Module) -> Case:
    x = np.random.default_rng(4).uniform(size=(2, 2, 6, 5))
    return assay.case(assay.wrap(net.double().eval()), torch.as_tensor(x), label=1)


def smooth() -> torch.nn.Module:
    generator = torch.Generator().manual_seed(6)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(36, 2)
    ).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return net


@pytest.mark.parametrize("sigma", [1.0, 4.0])
def test_it_is_the_sum_of_short_steps_along_the_blur_path(sigma: float) -> None:
    case = pictured(smooth())
    expected = oracle.integrated(
        lambda x: case.gradient(torch.as_tensor(x)).numpy(), case.rows.x.numpy(), sigma, steps=2000
    )
    found = explain.blur_integrated_gradients(case, sigma=sigma, steps=48)
    assert_allclose(found.map(), expected, atol=2e-5)
    assert_allclose(found.base, case.value(torch.as_tensor(oracle.blurred(case.rows.x.numpy(), sigma))), atol=1e-9)
    assert np.abs(found.residual).max() <= 1e-5
    assert np.abs(found.values).max() > 0.02


def test_on_a_linear_model_it_is_weight_times_what_the_blur_removes() -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(60, 2))
    case = pictured(net)
    weights = case.model.net[1].weight.detach().numpy()[1].reshape(2, 6, 5)
    x = case.rows.x.numpy()
    found = explain.blur_integrated_gradients(case, sigma=2.0)
    assert_allclose(found.map(), weights * (x - oracle.blurred(x, 2.0)), atol=1e-8)


def test_a_constant_image_gets_0() -> None:
    case = pictured(smooth())
    flat = case.at(torch.full_like(case.rows.x, 0.7))
    assert_allclose(explain.blur_integrated_gradients(flat).values, 0.0, atol=1e-12)


def test_a_node_costs_one_forward_and_one_backward() -> None:
    case = pictured(smooth())
    meter, _ = case.model.meter, case.output
    requested, backwards = meter.requested, meter.backwards
    explain.blur_integrated_gradients(case, sigma=2.0, steps=5)
    assert (meter.requested - requested, meter.backwards - backwards) == (12, 10)


def test_rows_that_are_no_images_and_widths_below_0_are_refused(tanh_case: Case) -> None:
    with pytest.raises((InputError, TypeError)):
        explain.blur_integrated_gradients(tanh_case)
    with pytest.raises(InputError, match="sigma=0"):
        explain.blur_integrated_gradients(pictured(smooth()), sigma=0.0)


def test_on_digits_it_accounts_for_the_logit(digits: Callable[..., Any]) -> None:
    found = explain.blur_integrated_gradients(digits(), sigma=4.0, steps=48)
    assert np.abs(found.residual).max() <= 1e-3 * np.abs(found.output - found.base).max()
