# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import torch
from torch import nn

import assay


class Cubic(nn.Module):
    """x₁³ + x₁ x₂²."""

    def forward(self, x):
        return x[:, :1] ** 3 + x[:, :1] * x[:, 1:] ** 2


def live_case(batch=64, rows=3):
    model = assay.model.torch(Cubic(), gives="values", batch=batch)
    return replace(assay.case(model, np.arange(2.0 * rows).reshape(rows, 2)), live=True)


def test_a_differentiable_gradient_has_the_second_derivative():
    case = live_case()
    x = case.rows.x.clone().requires_grad_(True)
    slope = case.at(x).gradient(x)
    a, b = x.detach().T
    np.testing.assert_allclose(slope.detach(), torch.stack([3 * a**2 + b**2, 2 * a * b], 1))
    (second,) = torch.autograd.grad(slope[:, 1].sum(), x)
    np.testing.assert_allclose(second, torch.stack([2 * b, 2 * a], 1))


def test_the_second_pass_is_counted():
    case = live_case(rows=5, batch=2)
    x = case.rows.x.clone().requires_grad_(True)
    slope = case.at(x).gradient(x)
    meter = case.model.meter
    assert (meter.forwards, meter.backwards) == (5, 5)
    torch.autograd.grad(slope.sum(), x)
    assert (meter.forwards, meter.backwards) == (10, 10)


def test_gradients_of_cases_that_are_not_live_have_no_graph():
    case = replace(live_case(), live=False)
    assert not case.gradient(case.rows.x).requires_grad


def test_a_constant_gradient_has_derivative_zero():
    case = replace(assay.case(assay.model.torch(nn.Linear(2, 1), gives="values"), np.ones((1, 2))), live=True)
    x = case.rows.x.clone().requires_grad_(True)
    (second,) = torch.autograd.grad(case.at(x).gradient(x).sum(), x, materialize_grads=True)
    np.testing.assert_array_equal(second, 0.0)
