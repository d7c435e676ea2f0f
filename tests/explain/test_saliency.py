"""Saliency."""

import numpy as np
import torch
from numpy.testing import assert_allclose

import assay
from assay import examples, explain


def test_it_is_the_size_of_the_gradient() -> None:
    assert_allclose(explain.saliency(examples.linear((2, -1))).values, [[2.0, 1.0]])


def test_signed_it_is_the_gradient() -> None:
    assert_allclose(explain.saliency(examples.linear((2, -1)), signed=True).values, [[2.0, -1.0]])


def test_it_misses_what_has_saturated() -> None:
    assert explain.saliency(examples.saturated()).values.tolist() == [[0.0]]


def test_it_has_no_base() -> None:
    assert np.isnan(explain.saliency(examples.product()).base).all()


def test_a_target_that_does_not_depend_on_the_input_gets_zero() -> None:
    net = torch.nn.Linear(3, 2)
    torch.nn.init.zeros_(net.weight)
    assert explain.saliency(assay.case(assay.wrap(net), torch.ones((1, 3)), label=0)).values.tolist() == [
        [0.0, 0.0, 0.0]
    ]
