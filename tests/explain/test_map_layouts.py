"""Maps of signals, images and volumes, whether channels come right after the row or last: one function, one map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

import assay
from assay import explain
from assay.basics.errors import CapabilityError, InputError
from assay.cases.case import Case

METHODS = ("cam", "grad_cam", "grad_cam_plus_plus", "layer_cam", "score_cam", "guided_grad_cam")
SIZES = {1: (12,), 2: (8, 6), 3: (6, 4, 5)}
CONVOLUTIONS: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class Pooled(nn.Module):
    """Convolution, rectifier and pooled linear head; the rectifier and the input have their channels first or last."""

    def __init__(self, positions: int, last: bool = False, input_last: bool = False, width: int = 4) -> None:
        super().__init__()
        self.last, self.input_last, self.positions = last, input_last, positions
        self.conv, self.act = CONVOLUTIONS[positions](2, width, 3, padding=1), nn.ReLU()
        self.head = nn.Linear(width, 3)
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
        self.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.conv(x.movedim(-1, 1) if self.input_last else x)
        h = self.act(h.movedim(1, -1) if self.last else h)
        axes = tuple(range(1, 1 + self.positions)) if self.last else tuple(range(2, 2 + self.positions))
        return self.head(h.mean(axes))


def rows(positions: int, input_last: bool = False, size: tuple[int, ...] = ()) -> torch.Tensor:
    generator = torch.Generator().manual_seed(6)
    x = torch.randn((3, 2, *(size or SIZES[positions])), generator=generator, dtype=torch.float64)
    return x.movedim(1, -1).contiguous() if input_last else x


def case_of(positions: int, last: bool = False, input_last: bool = False, **options: Any) -> Case:
    x = rows(positions, input_last)
    return assay.case(assay.wrap(Pooled(positions, last, input_last, **options)), x, label=1)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("positions", SIZES)
@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
def test_grad_cam_is_its_formula_for_signals_images_and_volumes(positions: int, last: bool, signed: bool) -> None:
    net, x = Pooled(positions, last), rows(positions)
    found = explain.grad_cam(assay.case(assay.wrap(net), x, label=1), signed=signed)
    with torch.no_grad():
        active = net.act(net.conv(x)).numpy()
    slow = sum(active[:, k] * net.head.weight[1, k].item() for k in range(4)) / np.prod(SIZES[positions])
    assert_allclose(found.extra["map"], slow if signed else np.maximum(slow, 0), atol=1e-12)
    assert_allclose(found.map().sum(axis=1), found.extra["map"], atol=1e-12)  # the layer has the input's size


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("positions", SIZES)
@pytest.mark.parametrize("width", [4, 6, 8], ids=lambda w: f"{w} channels")
def test_channels_last_give_the_maps_of_channels_first(method: str, positions: int, width: int) -> None:
    f = getattr(explain, method)
    expected = f(case_of(positions, width=width))
    for layer in (None, "act"):
        found = f(case_of(positions, last=True, width=width), layer=layer)
        assert_allclose(found.extra["map"], expected.extra["map"], atol=1e-12)
        assert_allclose(found.values, expected.values, atol=1e-12)
    assert np.abs(expected.extra["map"]).max() > 1e-3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("positions", SIZES)
def test_an_input_with_its_channels_last_gets_the_same_values_there(method: str, positions: int) -> None:
    f = getattr(explain, method)
    expected, found = f(case_of(positions)), f(case_of(positions, last=True, input_last=True))
    assert_allclose(found.extra["map"], expected.extra["map"], atol=1e-12)
    assert_allclose(found.map(), np.moveaxis(expected.map(), 1, -1), atol=1e-12)


@pytest.mark.parametrize("positions", SIZES)
def test_maps_are_enlarged_along_every_axis(positions: int) -> None:
    size = {1: (12,), 2: (8, 12), 3: (4, 8, 12)}[positions]
    conv = CONVOLUTIONS[positions](2, 4, 4, 4)
    net = nn.Sequential(conv, nn.ReLU(), nn.Flatten(), nn.Linear(4 * int(np.prod(size)) // 4**positions, 2)).double()
    found = explain.grad_cam(assay.case(assay.wrap(net), rows(positions, size=size), label=1), signed=True)
    small = found.extra["map"]
    assert small.shape == (3, *(n // 4 for n in size))
    for axis, cells in enumerate(small.shape[1:], 1):  # linear along each axis in turn
        centres, wanted = 4 * np.arange(cells) + 1.5, np.arange(4 * cells)
        small = np.apply_along_axis(lambda line, c=centres, w=wanted: np.interp(w, c, line), axis, small)
    assert_allclose(found.map().sum(axis=1), small, atol=1e-12)


def test_the_default_layer_of_a_net_that_turns_channels_is_its_last_block() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.one, self.two = nn.LayerNorm(8), nn.Linear(8, 16), nn.Linear(16, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.two(torch.nn.functional.gelu(self.one(self.norm(x))))

    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches, self.blocks = nn.Conv2d(2, 8, 1), nn.Sequential(Block(), Block())
            self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            t = self.blocks(self.patches(x).permute(0, 2, 3, 1))
            return self.head(self.norm(t).mean((1, 2)))

    net, x = Turned().double(), rows(2, size=(8, 8))  # as many positions along each axis as channels
    found = explain.grad_cam(assay.case(assay.wrap(net), x, label=1), signed=True)
    with torch.no_grad():
        active = net.norm(net.blocks(net.patches(x).permute(0, 2, 3, 1)))
    right = (active * net.head.weight[1] / 64).sum(-1).detach().numpy()
    assert_allclose(found.extra["map"], right, atol=1e-12)
    assert [note.text for note in found.notes if note.code == "layer"] == [
        "layer 'norm' is used; layer=… selects another"
    ]


class Unseen(torch.autograd.Function):
    """A copy in another order of axes, made outside of torch."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(np.moveaxis(x.numpy(), 1, -1).copy())

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        return grads[0].permute(0, 3, 1, 2)


class Hidden(nn.Module):
    """A net whose layer ``turn`` gives (row, height, width, channel) in a way that shows no axis."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv, self.turn, self.head = nn.Conv2d(2, width, 1), Turn(), nn.Linear(width, 3)
        self.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.turn(self.conv(x)).mean((1, 2)))


class Turn(nn.Module):
    """A module around the unseen function."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return Unseen.apply(x)


@pytest.mark.parametrize("method", ["cam", "grad_cam", "grad_cam_plus_plus", "layer_cam", "score_cam"])
def test_where_two_readings_remain_the_axis_is_asked_for(method: str) -> None:
    torch.manual_seed(0)
    net, f = Hidden(8), getattr(explain, method)
    case = assay.case(assay.wrap(net), rows(2, size=(8, 8)), label=1)
    with pytest.raises(InputError, match=r"layer 'turn' gives shape \(3, 8, 8, 8\).*channel_axis='first'.*'last'"):
        f(case, layer="turn")
    expected = f(case, layer="conv", signed=True)
    assert_allclose(f(case, layer="turn", channel_axis="last", signed=True).values, expected.values, atol=1e-12)
    if method != "cam":
        other = f(case, layer="turn", channel_axis="first", signed=True).values
        assert np.abs(other - expected.values).max() > 1e-3


def test_where_one_reading_remains_it_is_taken() -> None:
    torch.manual_seed(0)
    case = assay.case(assay.wrap(Hidden(3)), rows(2, size=(8, 8)), label=1)
    found, expected = (explain.grad_cam(case, layer=layer, signed=True) for layer in ("turn", "conv"))
    assert_allclose(found.values, expected.values, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_rows_without_positions_and_texts_are_refused(method: str) -> None:
    net = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    table = assay.case(assay.wrap(net), torch.randn(2, 4), label=1)
    with pytest.raises(CapabilityError, match=f"explain.{method} needs "):
        getattr(explain, method)(table)


def test_maps_of_another_number_of_positions_are_refused() -> None:
    case = case_of(1)
    with pytest.raises(CapabilityError, match=r"layer 'head' gives shape \(3, 3\); maps \(row, channel, position\)"):
        explain.grad_cam(case, layer="head")


def test_the_pass_that_finds_the_axis_of_a_named_layer_is_not_counted() -> None:
    case = case_of(2, last=True)
    assert explain.grad_cam(case, layer="act").provenance.cost == {"forwards": 3, "backwards": 3}
    assert explain.grad_cam(case).provenance.cost == {"forwards": 4, "backwards": 3}


def test_a_recurrent_net_over_time_has_its_channels_last() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unit, self.act, self.head = nn.GRU(2, 5, batch_first=True), nn.Tanh(), nn.Linear(5, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.act(self.unit(x)[0]).mean(1))

    torch.manual_seed(0)
    net, x = Recurrent().double(), rows(1, input_last=True)  # (row, time, feature)
    found = explain.grad_cam(assay.case(assay.wrap(net), x, label=1), layer="act", signed=True)
    with torch.no_grad():
        right = (torch.tanh(net.unit(x)[0]) * net.head.weight[1] / 12).sum(-1).numpy()
    assert_allclose(found.extra["map"], right, atol=1e-12)
    assert_allclose(found.map().sum(axis=2), right, atol=1e-12)
