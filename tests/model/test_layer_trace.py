"""The trace of a net's layer calls, and the layers that methods use by default."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from assay.basics.errors import CapabilityError
from assay.model.layer_trace import LayerCall, last_hidden_layer, last_spatial_layer, may_end_in_pooling, trace_layers

PICTURE = torch.zeros(2, 3, 16, 16)


def traced(net: nn.Module, x: torch.Tensor = PICTURE) -> list[LayerCall]:
    net.eval()
    with torch.no_grad():
        return trace_layers(net, lambda: net(x))


class Block(nn.Module):
    """A residual block that uses one ReLU twice, the second time on the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.relu = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(x + self.two(self.relu(self.one(x))))


class Functional(nn.Module):
    """A block that ends in an activation that is no module."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(x))


def plain() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(784, 2))


def pooled_in_a_block() -> nn.Module:
    features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d())
    return nn.Sequential(features, nn.Flatten(), nn.Linear(196, 2))


def residual() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), Block(), Block(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


def functional() -> nn.Module:
    return nn.Sequential(Functional(), nn.AvgPool2d(14), nn.Flatten(), nn.Linear(4, 2))


def in_place() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(196, 2))


NETS = [(plain, "2"), (pooled_in_a_block, "0.1"), (residual, "2"), (functional, "0"), (in_place, "1")]


@pytest.mark.parametrize(("make", "layer"), NETS, ids=lambda v: getattr(v, "__name__", v))
def test_the_last_spatial_layer_is_the_end_of_the_last_block(make: Callable[[], nn.Module], layer: str) -> None:
    assert last_spatial_layer(traced(make()), "net") == layer


def test_a_layer_called_twice_is_numbered() -> None:
    names = [one.layer for one in traced(Block(), torch.zeros(2, 4, 8, 8))]
    assert names == ["one", "relu#0", "two", "relu#1"]


def test_the_last_hidden_layer_comes_before_the_last_weights() -> None:
    net = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Dropout(), nn.Linear(4, 2), nn.Softmax(dim=1))
    assert last_hidden_layer(traced(net, torch.zeros(2, 5)), "net") == "1"
    with pytest.raises(CapabilityError, match="has no hidden layer"):
        last_hidden_layer(traced(nn.Sequential(nn.Linear(5, 2)), torch.zeros(2, 5)), "net")


def test_hooks_are_removed_after_an_error() -> None:
    net = plain()
    with pytest.raises(RuntimeError):
        traced(net, torch.zeros(2, 7, 16, 16))
    assert not any(module._forward_hooks for module in net.modules())


def test_a_pooled_end_is_recognised_by_modules_even_with_functional_pooling() -> None:
    assert may_end_in_pooling(residual())
    assert may_end_in_pooling(functional())
    assert not may_end_in_pooling(plain())
    assert not may_end_in_pooling(nn.Sequential(nn.Linear(4, 2)))
    assert not may_end_in_pooling(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
    assert not may_end_in_pooling(None)
