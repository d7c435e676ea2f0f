# SPDX-License-Identifier: Apache-2.0
"""Small nets, drawn and trained from a seed in seconds; torch's own random stream is not touched."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints

if TYPE_CHECKING:
    import torch as pt


def drawn(build: Callable[[], pt.nn.Module], seed: Seed) -> pt.nn.Module:
    """The net of ``build`` in float32 with normal weights of variance 2 / fan-in and biases of 0."""
    pt = need("torch", extra="torch")
    with pt.device("meta"):  # else a layer draws its weights from torch's global stream
        net = build()
    net = net.to_empty(device="cpu")
    generator = seed.child("weights").generator()
    with pt.no_grad():
        for weight in net.parameters():
            shape = tuple(weight.shape)
            spread = np.sqrt(2.0 / np.prod(shape[1:])) if len(shape) > 1 else 0.0
            weight.copy_(pt.as_tensor(generator.standard_normal(shape) * spread))
    return net


def trained(
    net: pt.nn.Module,
    x: Floats,
    y: Floats | Ints,
    seed: Seed,
    *,
    epochs: int = 20,
    batch: int = 64,
    rate: float = 3e-3,
) -> pt.nn.Module:
    """The net after Adam, its rate falling to 0 along a half cosine; on classes by cross-entropy, else by squares."""
    pt = need("torch", extra="torch")
    rows, numbers = tensor(x), np.asarray(y)
    classes = numbers.dtype.kind in "iu"
    told = pt.as_tensor(numbers) if classes else tensor(numbers)
    loss: Any = pt.nn.functional.cross_entropy if classes else pt.nn.functional.mse_loss
    order = seed.child("batches").generator()
    steps = epochs * -(-len(x) // batch)
    with pt.enable_grad():
        optimiser = pt.optim.Adam(net.parameters(), lr=rate)
        net.train()
        done = 0
        for _ in range(epochs):
            for which in np.array_split(order.permutation(len(x)), -(-len(x) // batch)):
                for group in optimiser.param_groups:
                    group["lr"] = rate * 0.5 * (1 + np.cos(np.pi * done / steps))
                optimiser.zero_grad()
                loss(net(rows[which]), told[which]).backward()
                optimiser.step()
                done += 1
        optimiser.zero_grad()
    return net.eval()


def tensor(x: Floats) -> pt.Tensor:
    """As the nets read rows: float32."""
    pt = need("torch", extra="torch")
    return pt.as_tensor(np.array(x, dtype=np.float32))


def outputs(net: pt.nn.Module, x: Floats) -> Floats:
    """What the net says of rows, (row, out)."""
    pt = need("torch", extra="torch")
    rows = tensor(x)
    with pt.no_grad():
        return np.concatenate([net(rows[i : i + 512]).double().numpy() for i in range(0, len(rows), 512)])


def classes_of(net: pt.nn.Module, x: Floats) -> Ints:
    """The class of each row."""
    return outputs(net, x).argmax(axis=1)


def perceptron(inputs: int, hidden: int, out: int, *, act: str = "ReLU") -> Callable[[], pt.nn.Module]:
    """Three linear layers over flattened rows."""

    def build() -> pt.nn.Module:
        nn = need("torch", extra="torch").nn
        middle = getattr(nn, act)
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(inputs, hidden),
            middle(),
            nn.Linear(hidden, hidden),
            middle(),
            nn.Linear(hidden, out),
        )

    return build


def pooled(channels: tuple[int, ...], out: int, *, stride: int = 1, padding: int = 1) -> Callable[[], pt.nn.Module]:
    """3 × 3 convolutions, global average pooling, one linear layer."""

    def build() -> pt.nn.Module:
        nn = need("torch", extra="torch").nn
        layers: list[Any] = []
        for place, (before, after) in enumerate(pairwise(channels)):
            layers += [nn.Conv2d(before, after, 3, padding=padding, stride=stride if place == 0 else 1), nn.ReLU()]
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], out)]
        return nn.Sequential(*layers)

    return build
