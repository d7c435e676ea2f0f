"""The trace of a net's layer calls, and the layers that methods use by default."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from assay.basics.errors import CapabilityError
from assay.model.layer_trace import LayerCall, last_hidden_layer, last_maps_layer, may_end_in_pooling, trace_layers

PICTURE = torch.zeros(2, 3, 16, 16)


def traced(net: nn.Module, x: torch.Tensor = PICTURE) -> list[LayerCall]:
    net.eval()
    with torch.no_grad():
        return trace_layers(net, lambda: net(x), x).calls


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
def test_the_last_maps_layer_is_the_end_of_the_last_block(make: Callable[[], nn.Module], layer: str) -> None:
    assert last_maps_layer(traced(make()), "net") == layer


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


class Positions(nn.Module):
    """A net that ends, among its layers with maps, in one that does not depend on the input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.places, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(1, 4, 1), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grid = torch.linspace(0.0, 1.0, 256).reshape(1, 1, 16, 16)
        return self.head((self.conv(x) + self.places(grid)).mean((2, 3)))


def test_layers_that_do_not_depend_on_the_input_are_left_out() -> None:
    assert [one.layer for one in traced(Positions(), PICTURE[:1])] == ["conv", "head"]
    assert last_maps_layer(traced(Positions(), PICTURE[:1]), "net") == "conv"


def test_axes_of_rows_and_channels_are_found() -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mid, self.last, self.merged = nn.Linear(5, 6), nn.Linear(6, 7), nn.Linear(7, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.last(self.mid(x.transpose(0, 1)).transpose(0, 1))
            return self.merged(h.reshape(-1, 7)).reshape(*x.shape[:2], 2).mean(1)

    calls = traced(Turned(), torch.zeros(1, 4, 5))
    assert [(one.layer, one.shape, one.channel_axis) for one in calls] == [("mid", (4, 6), 1), ("last", (4, 7), 1)]
    assert trace_layers(Turned(), lambda: None, torch.zeros(1, 4, 5)).input_axis is None


def test_a_dense_layer_over_positions_keeps_the_channels_where_they_are() -> None:
    class Mixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv1d(2, 6, 1), nn.LayerNorm(6)
            self.over_positions, self.over_channels, self.head = nn.Linear(8, 8), nn.Linear(6, 6), nn.Linear(6, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.norm(self.conv(x).transpose(1, 2))
            h = h + self.over_positions(h.transpose(1, 2)).transpose(1, 2)
            return self.head((h + self.over_channels(h)).mean(1))

    calls = traced(Mixer(), torch.zeros(1, 2, 8))
    axes = {one.layer: one.channel_axis for one in calls}
    assert axes == {"conv": 0, "norm": 1, "over_positions": 0, "over_channels": 1, "head": 0}
