"""Input times gradient."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from assay import examples, explain
from assay.basics.errors import CapabilityError
from assay.cases.case import Case


def test_on_a_linear_model_it_is_weight_times_input() -> None:
    assert_allclose(explain.input_x_gradient(examples.linear((2, -1), x=[3.0, 5.0])).values, [[6.0, -5.0]])


def test_on_a_product_both_halves_get_the_whole() -> None:
    assert_allclose(explain.input_x_gradient(examples.product((2.0, 3.0))).values, [[6.0, 6.0]])


def test_it_costs_one_backward_a_row() -> None:
    made = explain.input_x_gradient(examples.product()).provenance
    assert made.cost["backwards"] == 1


def test_it_is_the_input_times_autograds_gradient(digits: Callable[..., Case]) -> None:
    case = digits()
    x = case.rows.x.clone().requires_grad_(True)
    picked = case.model.forward(case.rows.with_inputs(x, np.arange(3))).gather(1, torch.as_tensor(case.label)[:, None])
    (slope,) = torch.autograd.grad(picked.sum(), x)
    assert_allclose(explain.input_x_gradient(case).map(), (x * slope).detach().numpy(), atol=1e-6)


def test_a_forest_is_refused_with_advice(tissue: Callable[..., Case]) -> None:
    with pytest.raises(CapabilityError, match=r"RandomForestClassifier gives none. Use shapley"):
        explain.input_x_gradient(tissue())
