"""A net whose outputs nobody stated stays what it was changed into when a case finds out what they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

import assay
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.model.transformations.randomise_weights import randomise_weights
from assay.model.transformations.softplus_surrogate import softplus_surrogate

X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)

CHANGES: dict[str, Callable[[assay.Model], assay.Model]] = {
    "softplus": lambda model: softplus_surrogate(model, sharpness=2.0),
    "smoothed": lambda model: assay.model.smooth(model, sigma=0.5, draws=4),
    "fast": lambda model: assay.model.fast(model, rows=X),
    "randomised": lambda model: randomise_weights(model, Seed(1)),
    "softplus, smoothed": lambda model: assay.model.smooth(softplus_surrogate(model, sharpness=2.0), sigma=0.5),
    "smoothed, softplus": lambda model: softplus_surrogate(assay.model.smooth(model, sigma=0.5), sharpness=2.0),
}

HEADS: dict[str, tuple[list[nn.Module], str]] = {
    "logits": ([nn.Linear(4, 2)], "logits"),
    "softmax": ([nn.Linear(4, 2), nn.Softmax(dim=1)], "probabilities"),
    "sigmoid": ([nn.Linear(4, 1), nn.Sigmoid()], "probabilities"),
    "labels": ([nn.Linear(4, 3), nn.Sigmoid()], "multilabel probabilities"),
}


def net_with(head: list[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), *head).eval()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_net_gives_what_it_gives_with_its_outputs_stated(change: str, head: str) -> None:
    if change == "fast":
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime")
    layers, gives = HEADS[head]
    net = net_with(layers)
    found, stated = (
        assay.case(CHANGES[change](model), X, label=0, target="probability")
        for model in (assay.wrap(net), assay.model.torch(net, gives=gives))
    )
    assert found.model.kind.key == stated.model.kind.key
    np.testing.assert_allclose(found.prediction, stated.prediction, rtol=1e-6)
    np.testing.assert_allclose(found.output, stated.output, rtol=1e-6)
    assert found.model.name == stated.model.name
    plain = assay.case(assay.wrap(net), X, label=0, target="probability")
    if change != "fast":
        assert np.abs(found.output - plain.output).max() > 1e-6
    else:
        assert "onnxruntime" in found.model.about["forward"]


@pytest.mark.parametrize("change", CHANGES)
def test_one_number_a_row_is_asked_for_after_a_change_too(change: str) -> None:
    model = CHANGES[change](assay.wrap(net_with([nn.Linear(4, 1)])))
    with pytest.raises(InputError, match="returns one number a row"):
        assay.case(model, X)
    assert assay.case(model, X, target="value").model.gives == "values"


@pytest.mark.parametrize("gives", ["multilabel probabilities", "values"])
def test_one_output_asks_what_a_net_returns(gives: str) -> None:
    net = net_with([nn.Linear(4, 3), nn.Sigmoid()])
    with pytest.raises(InputError, match=r"is not stated: wrap the net with output='multilabel probabilities'"):
        assay.model.one_output(assay.wrap(net), 1)
    one = assay.case(assay.model.one_output(assay.wrap(net, output=gives), 1), X)
    np.testing.assert_allclose(one.output, assay.case(assay.wrap(net), X, label=1).output, rtol=1e-6)
