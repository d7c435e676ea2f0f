# SPDX-License-Identifier: Apache-2.0
import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import assay
from assay.basics.errors import CapabilityError, InputError
from assay.model.transformations.softplus_surrogate import softplus_surrogate

BETA = 5.0


def soft(z):
    return torch.log1p(torch.exp(BETA * z)) / BETA


def clipped(z, low, high):
    return low + soft(z - low) - soft(z - high)


class Calls(nn.Module):
    """One linear layer, then ``after``."""

    def __init__(self, after):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(4, 6)
        self.after = after

    def forward(self, x):
        return self.after(self.first(x))


def statement(call):
    """The call, without its return value: only the in-place change has an effect."""

    def after(z):
        call(z)
        return z

    return after


RELUS = {
    "module": nn.ReLU(),
    "module in place": nn.ReLU(inplace=True),
    "functional": functional.relu,
    "functional in place": lambda z: functional.relu(z, inplace=True),
    "functional in place, dropped": statement(lambda z: functional.relu(z, True)),
    "torch.relu": torch.relu,
    "torch.relu by name": lambda z: torch.relu(input=z),
    "torch.relu_": torch.relu_,
    "torch.relu_, dropped": statement(torch.relu_),
    "method": lambda z: z.relu(),
    "method in place, dropped": statement(lambda z: z.relu_()),
}
CLIPS = {
    "ReLU6": (nn.ReLU6(), 0.0, 6.0),
    "ReLU6 in place": (nn.ReLU6(inplace=True), 0.0, 6.0),
    "relu6": (functional.relu6, 0.0, 6.0),
    "relu6 in place, dropped": (statement(lambda z: functional.relu6(z, inplace=True)), 0.0, 6.0),
    "Hardtanh": (nn.Hardtanh(), -1.0, 1.0),
    "Hardtanh of its own": (nn.Hardtanh(-0.5, 2.0), -0.5, 2.0),
    "hardtanh": (lambda z: functional.hardtanh(z, max_val=0.5), -1.0, 0.5),
    "hardtanh_, dropped": (statement(lambda z: functional.hardtanh_(z, -0.25, 0.75)), -0.25, 0.75),
}
X = 3 * torch.randn(7, 4, generator=torch.Generator().manual_seed(1))


def outputs(model, x=X):
    return torch.as_tensor(assay.case(model, x.numpy(), label=0).prediction)


@pytest.mark.parametrize("name", RELUS)
def test_every_form_of_relu_becomes_softplus(name):
    net = Calls(RELUS[name]).eval()
    found = outputs(softplus_surrogate(assay.model.torch(net), sharpness=BETA))
    np.testing.assert_allclose(found, soft(net.first(X)).detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CLIPS)
def test_every_form_of_clip_becomes_a_difference_of_softplus(name):
    call, low, high = CLIPS[name]
    net = Calls(call).eval()
    found = outputs(softplus_surrogate(assay.model.torch(net), sharpness=BETA))
    np.testing.assert_allclose(found, clipped(net.first(X), low, high).detach(), rtol=1e-5, atol=2e-6)


def test_the_net_itself_is_unchanged_during_and_after():
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=True), nn.Linear(8, 3)).eval()
    before = copy.deepcopy(net.state_dict())
    model = assay.model.torch(net)
    plain = outputs(model)
    soft_model = softplus_surrogate(model, sharpness=BETA)
    assert not torch.allclose(outputs(soft_model), plain)
    assert torch.equal(outputs(model), plain)
    assert all(torch.equal(net.state_dict()[name], tensor) for name, tensor in before.items())
    assert torch.equal(functional.relu(torch.tensor([-1.0])), torch.zeros(1))


@pytest.mark.parametrize("call", [nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6(inplace=True), statement(torch.relu_)])
def test_second_derivatives_exist_and_are_right(call):
    net = nn.Sequential(Calls(call), nn.Linear(6, 1)).double().eval()
    model = softplus_surrogate(assay.model.torch(net, gives="values"), sharpness=BETA)

    def output(x):
        return model.forward(assay.case(model, X.numpy()).rows.with_inputs(x, np.arange(len(x))))

    x = X[:2].double().requires_grad_(True)
    assert torch.autograd.gradgradcheck(output, x)


def test_the_difference_is_at_most_log_two_over_beta():
    net = Calls(nn.ReLU()).eval()
    model = assay.model.torch(net)
    gap = (outputs(softplus_surrogate(model, sharpness=BETA)) - outputs(model)).abs().max()
    assert 0.01 < gap <= np.log(2) / BETA + 1e-6


def test_sharper_is_another_model_with_the_same_meter():
    model = assay.model.torch(Calls(nn.ReLU()))
    a, b = softplus_surrogate(model, sharpness=5.0), softplus_surrogate(model, sharpness=6.0)
    assert len({model.fingerprint, a.fingerprint, b.fingerprint}) == 3
    assert a.meter is b.meter is model.meter


def test_models_without_autograd_and_impossible_sharpness_are_refused():
    with pytest.raises(CapabilityError, match="needs a torch net"):
        softplus_surrogate(assay.examples.linear().model)
    with pytest.raises(InputError, match="sharpness"):
        softplus_surrogate(assay.model.torch(Calls(nn.ReLU())), sharpness=0.0)
