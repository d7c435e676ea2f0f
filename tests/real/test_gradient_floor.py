"""Backward rules on the demonstration's net and two of its photographs."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import assay
from assay import explain
from assay.cases.case import Case
from assay.demos.image import efficientnet_lite0, photographs

STEPS = 6


@pytest.fixture(scope="module")
def two() -> Case:
    """Astronaut and cat, as predicted."""
    pytest.importorskip("efficientnet_lite_pytorch")
    case = assay.case(efficientnet_lite0(), photographs()[:2].astype(np.float32), seed=0)
    assert (np.abs(case.output) > 1).all()
    return case


ASKED: dict[str, dict[str, Any]] = {
    "lrp": {"composite": "epsilon_plus"},
    "deep_lift": {"start": 127.0},
    "guided_backprop": {},
    "conductance": {"layer": "_blocks.8", "start": 127.0, "steps": STEPS},
}


@pytest.fixture(scope="module")
def told(two: Case) -> Any:
    return cache(lambda name: getattr(explain, name)(two, **ASKED[name]))


@pytest.mark.parametrize("name", ASKED)
def test_values_are_finite_and_not_all_alike(name: str, told: Any) -> None:
    found = told(name)
    assert np.isfinite(found.values).all()
    assert (found.values.std(axis=1) > 0).all()


@pytest.mark.parametrize("name", ASKED)
def test_a_picture_alone_gets_what_it_gets_beside_another(name: str, told: Any, two: Case) -> None:
    alone = getattr(explain, name)(two.take([1]), **ASKED[name]).values[0]
    beside = told(name).values[1]
    assert_allclose(alone, beside, atol=1e-3 * np.abs(beside).max())


def test_relevance_is_conserved(told: Any) -> None:
    found = told("lrp")
    assert np.abs(found.extra["conservation"]).max() <= 1e-3 * np.abs(found.output).max()


def test_deep_lift_is_complete(told: Any) -> None:
    found = told("deep_lift")
    assert np.abs(found.residual).max() <= 1e-3 * np.abs(found.output - found.base).max()


def test_at_every_node_all_of_the_slope_crosses_the_layer(told: Any, two: Case) -> None:
    found = told("conductance")
    rise = explain.integrated_gradients(two, start=127.0, steps=STEPS).values.sum(axis=1)
    assert_allclose(found.values.sum(axis=1), rise, atol=1e-3 * np.abs(rise).max())
    assert_allclose(found.map().sum(axis=(2, 3)), found.values, atol=1e-5 * np.abs(found.values).max())


def test_guided_backprop_is_no_gradient(told: Any, two: Case) -> None:
    gradient = two.gradient(two.rows.x).numpy().reshape(2, -1)
    assert np.abs(gradient - told("guided_backprop").map().reshape(2, -1)).max() > 1e-3 * np.abs(gradient).max()
    assert torch.get_num_threads() == 1
