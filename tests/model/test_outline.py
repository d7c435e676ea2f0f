"""What a net's layers give, and which of them the maps are taken from."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from assay.basics.errors import CapabilityError
from assay.model.layer_outline import Reached, ends_pooled, last_hidden, last_maps, outline

PICTURE = torch.zeros(2, 3, 16, 16)


def seen(net: nn.Module, x: torch.Tensor = PICTURE) -> list[Reached]:
    net.eval()
    with torch.no_grad():
        return outline(net, lambda: net(x))


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
def test_the_maps_are_those_after_the_last_block(make: Callable[[], nn.Module], layer: str) -> None:
    assert last_maps(seen(make()), "net") == layer


def test_a_layer_called_again_is_numbered() -> None:
    names = [one.layer for one in seen(Block(), torch.zeros(2, 4, 8, 8))]
    assert names == ["one", "relu#0", "two", "relu#1"]


def test_the_last_hidden_layer_comes_before_the_last_weights() -> None:
    net = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Dropout(), nn.Linear(4, 2), nn.Softmax(dim=1))
    assert last_hidden(seen(net, torch.zeros(2, 5)), "net") == "1"
    with pytest.raises(CapabilityError, match="shows no hidden layer"):
        last_hidden(seen(nn.Sequential(nn.Linear(5, 2)), torch.zeros(2, 5)), "net")


def test_hooks_are_gone_after_an_error() -> None:
    net = plain()
    with pytest.raises(RuntimeError):
        seen(net, torch.zeros(2, 7, 16, 16))
    assert not any(module._forward_hooks for module in net.modules())


def test_a_pooled_end_shows_in_the_modules_even_where_the_pooling_does_not() -> None:
    assert ends_pooled(residual())
    assert ends_pooled(functional())
    assert not ends_pooled(plain())
    assert not ends_pooled(nn.Sequential(nn.Linear(4, 2)))
    assert not ends_pooled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
    assert not ends_pooled(None)
