"""Two small nets with ReLUs, as modules and written out as matrices."""

from __future__ import annotations

import numpy as np
import torch
from tests.oracles.relevance import Layer, dense

import assay
from assay.cases.case import Case


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def filled(net: torch.nn.Module, seed: int = 4) -> torch.nn.Module:
    """Weights, biases and statistics from a private generator, float64."""
    stream = generator(seed)
    with torch.no_grad():
        for parameter in net.double().parameters():
            parameter.copy_(0.7 * torch.randn(parameter.shape, generator=stream, dtype=torch.float64))
        for name, buffer in net.named_buffers():
            if name.endswith("mean"):
                buffer.copy_(0.3 * torch.randn(buffer.shape, generator=stream, dtype=torch.float64))
            if name.endswith("var"):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=stream, dtype=torch.float64))
    return net.eval()


def mlp() -> torch.nn.Sequential:
    """Four numbers, two hidden layers, three classes."""
    linear = torch.nn.Linear
    net = torch.nn.Sequential(linear(4, 6), torch.nn.ReLU(), linear(6, 5), torch.nn.ReLU(), linear(5, 3))
    return filled(net)  # type: ignore[return-value]  # modules are typed loosely


def conv(norm: bool = False) -> torch.nn.Sequential:
    """One channel of 4 × 4, a convolution of two channels, a dense layer; with a batch norm if ``norm``."""
    between = [torch.nn.BatchNorm2d(2)] if norm else []
    first = torch.nn.Conv2d(1, 2, 3, padding=1)
    net = torch.nn.Sequential(first, *between, torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(32, 3))
    return filled(net)  # type: ignore[return-value]  # modules are typed loosely


def merged() -> torch.nn.Sequential:
    """``conv(norm=True)`` with the batch norm written into the convolution."""
    net = conv(norm=True)
    first, norm = net[0], net[1]
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    with torch.no_grad():
        first.weight.mul_(scale[:, None, None, None])
        first.bias.copy_((first.bias - norm.running_mean) * scale + norm.bias)
    return torch.nn.Sequential(first, *net[2:])


def layers(net: torch.nn.Sequential) -> list[Layer]:
    """A net's dense layers and convolutions as matrices."""
    found = []
    for module in net:
        if isinstance(module, torch.nn.Linear):
            found.append(dense(module.weight.detach().numpy(), module.bias.detach().numpy()))
        if isinstance(module, torch.nn.Conv2d):
            units = torch.eye(16, dtype=torch.float64).reshape(16, 1, 4, 4)
            with torch.no_grad():
                bias = module(torch.zeros(1, 1, 4, 4, dtype=torch.float64)).reshape(-1)
                weights = (module(units).reshape(16, -1) - bias).T
                seen = torch.nn.functional.conv2d(units, torch.ones_like(module.weight), padding=1).reshape(16, -1).T
            found.append((weights.numpy(), bias.numpy(), seen.numpy() > 0.5))
    return found


def shape(net: torch.nn.Sequential) -> tuple[int, ...]:
    return (4,) if isinstance(net[0], torch.nn.Linear) else (1, 4, 4)


def make_case(net: torch.nn.Sequential, rows: int = 4, label: int = 1, positive: bool = False) -> Case:
    """A few rows put to a net."""
    x = torch.randn((rows, *shape(net)), generator=generator(9), dtype=torch.float64)
    return assay.case(assay.wrap(net), x.abs() if positive else x, label=label)


def case_of(net: torch.nn.Module) -> Case:
    """The same rows of four numbers put to any net."""
    x = torch.randn((4, 4), generator=generator(9), dtype=torch.float64)
    return assay.case(assay.wrap(net), x, label=1)


def rows(case: Case) -> np.ndarray:
    return case.rows.x.numpy()


def noisy(case: Case, noise: float, draws: int) -> np.ndarray:
    """Each row with noise from its own stream, one draw after another, (draw, row, element); numpy rows."""
    streams = [case.seed.child("gaussian", name).generator() for name in case.rows.ids]
    drawn = np.stack([[stream.standard_normal(case.rows.shape) for stream in streams] for _ in range(draws)])
    x = np.asarray(case.rows.x)
    return x + noise * (x.max(axis=1) - x.min(axis=1))[:, None] * drawn
