"""The smallest change of the class as an explanation: closed forms of linear models, trees, and a random change."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.ensemble import RandomForestClassifier

import assay
from assay import Ball, certify, explain
from assay.basics.errors import CapabilityError, InputError

WEIGHTS, SHIFT = np.array([2.0, -1.0, 0.5]), 0.3
X = np.random.default_rng(0).normal(size=(6, 3))


def linear_net() -> assay.Case:
    net = torch.nn.Linear(3, 2).double()
    with torch.no_grad():
        net.weight.copy_(torch.tensor(np.stack([-WEIGHTS / 2, WEIGHTS / 2])))
        net.bias.copy_(torch.tensor([-SHIFT / 2, SHIFT / 2]))
    return assay.case(assay.wrap(net), X)


def closed_form(norm: str) -> np.ndarray:
    """δ* = −f w / ‖w‖² for l2, −f sign(w) / ‖w‖₁ for linf, one coordinate for l1."""
    score = X @ WEIGHTS + SHIFT
    if norm == "l2":
        return -score[:, None] * WEIGHTS / (WEIGHTS @ WEIGHTS)
    if norm == "linf":
        return -score[:, None] * np.sign(WEIGHTS) / np.abs(WEIGHTS).sum()
    alone = np.zeros_like(X)
    alone[:, 0] = -score / WEIGHTS[0]
    return alone


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_it_is_the_closed_form_of_a_linear_model(norm: Any) -> None:
    found = explain.adversarial(linear_net(), norm=norm, signed=True, steps=200)
    assert_allclose(found.values, closed_form(norm), rtol=2e-3, atol=1e-4)
    length = {"l2": np.linalg.norm, "linf": lambda d, axis: np.abs(d).max(axis=axis)}[norm]
    assert_allclose(found.extra["distance"], length(closed_form(norm), axis=1), rtol=1e-3)
    assert (found.extra["class"] == (X @ WEIGHTS + SHIFT < 0)).all()


def test_absolute_values_are_those_of_the_signed_change() -> None:
    case = linear_net()
    signed = explain.adversarial(case, signed=True)
    assert_allclose(explain.adversarial(case).values, np.abs(signed.values))


def test_of_trees_it_is_the_exact_change() -> None:
    x = np.random.default_rng(1).normal(size=(80, 3))
    case = assay.case(assay.wrap(RandomForestClassifier(5, max_depth=3, random_state=0).fit(x, x[:, 0] > 0)), x[:6])
    found = explain.adversarial(case, norm="linf", signed=True)
    exact = certify.tree_robustness(case, Ball("linf", 1e6))
    assert_allclose(found.extra["distance"], exact.radius)
    assert_allclose(found.values, exact.extra["nearest"] - x[:6])


def test_a_random_change_of_equal_size_seldom_changes_the_class() -> None:
    x = np.random.default_rng(2).normal(size=(100, 30))
    net = torch.nn.Linear(30, 2).double()
    found = explain.adversarial(assay.case(assay.wrap(net), x))
    assert found.extra["random"].mean() < 0.05


def test_rows_without_another_class_are_undefined_and_named() -> None:
    net = torch.nn.Linear(3, 2).double()
    with torch.no_grad():
        net.weight.zero_()
        net.bias.copy_(torch.tensor([1.0, 0.0]))
    found = explain.adversarial(assay.case(assay.wrap(net), X))
    assert np.isnan(found.values).all()
    assert "not-found" in {note.code for note in found.notes}


def test_what_cannot_be_explained_so_is_refused() -> None:
    with pytest.raises(InputError, match="norm"):
        explain.adversarial(linear_net(), norm=cast(Any, "l0"))
    black_box = assay.case(assay.model.function(lambda x: np.stack([x[:, 0], x[:, 1]], 1), gives="logits"), X)
    with pytest.raises(CapabilityError, match="trees that can be read"):
        explain.adversarial(black_box)
