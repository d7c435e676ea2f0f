# SPDX-License-Identifier: Apache-2.0
"""Small networks, initialised and trained from a seed in seconds; torch's global random stream is not used."""

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


def initialise(build: Callable[[], pt.nn.Module], seed: Seed) -> pt.nn.Module:
    """Build a network in float32 with normal weights of variance 2 / fan-in and biases of 0."""
    pt = need("torch", extra="torch")
    with pt.device("meta"):  # else a layer draws its weights from torch's global stream
        net = build()
    net = net.to_empty(device="cpu")
    generator = seed.child("weights").generator()
    with pt.no_grad():
        for weight in net.parameters():
            shape = tuple(weight.shape)
            deviation = np.sqrt(2.0 / np.prod(shape[1:])) if len(shape) > 1 else 0.0
            weight.copy_(pt.as_tensor(generator.standard_normal(shape) * deviation))
    return net


def train_network(
    net: pt.nn.Module,
    x: Floats,
    y: Floats | Ints,
    seed: Seed,
    *,
    epochs: int = 20,
    batch: int = 64,
    rate: float = 3e-3,
) -> pt.nn.Module:
    """Train a network with Adam and a half-cosine learning rate; cross-entropy for classes, else squared error."""
    pt = need("torch", extra="torch")
    rows, labels = to_tensor(x), np.asarray(y)
    is_classification = labels.dtype.kind in "iu"
    targets = pt.as_tensor(labels) if is_classification else to_tensor(labels)
    loss: Any = pt.nn.functional.cross_entropy if is_classification else pt.nn.functional.mse_loss
    order = seed.child("batches").generator()
    steps = epochs * -(-len(x) // batch)
    with pt.enable_grad():
        optimiser = pt.optim.Adam(net.parameters(), lr=rate)
        net.train()
        step = 0
        for _ in range(epochs):
            for which in np.array_split(order.permutation(len(x)), -(-len(x) // batch)):
                for group in optimiser.param_groups:
                    group["lr"] = rate * 0.5 * (1 + np.cos(np.pi * step / steps))
                optimiser.zero_grad()
                loss(net(rows[which]), targets[which]).backward()
                optimiser.step()
                step += 1
        optimiser.zero_grad()
    return net.eval()


def to_tensor(x: Floats) -> pt.Tensor:
    """Convert rows to a float32 tensor, the networks' input type."""
    pt = need("torch", extra="torch")
    return pt.as_tensor(np.array(x, dtype=np.float32))


def predict(net: pt.nn.Module, x: Floats) -> Floats:
    """The network's outputs (row, out)."""
    pt = need("torch", extra="torch")
    rows = to_tensor(x)
    with pt.no_grad():
        return np.concatenate([net(rows[i : i + 512]).double().numpy() for i in range(0, len(rows), 512)])


def predict_classes(net: pt.nn.Module, x: Floats) -> Ints:
    """The predicted class of each row."""
    return predict(net, x).argmax(axis=1)


def perceptron(inputs: int, hidden: int, out: int, *, act: str = "ReLU") -> Callable[[], pt.nn.Module]:
    """A multilayer perceptron: three linear layers on flattened rows."""

    def build() -> pt.nn.Module:
        nn = need("torch", extra="torch").nn
        activation = getattr(nn, act)
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(inputs, hidden),
            activation(),
            nn.Linear(hidden, hidden),
            activation(),
            nn.Linear(hidden, out),
        )

    return build


def convolutional_network(
    channels: tuple[int, ...], out: int, *, stride: int = 1, padding: int = 1
) -> Callable[[], pt.nn.Module]:
    """A convolutional network: 3 × 3 convolutions, global average pooling, one linear layer."""

    def build() -> pt.nn.Module:
        nn = need("torch", extra="torch").nn
        layers: list[Any] = []
        for number, (before, after) in enumerate(pairwise(channels)):
            layers += [nn.Conv2d(before, after, 3, padding=padding, stride=stride if number == 0 else 1), nn.ReLU()]
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], out)]
        return nn.Sequential(*layers)

    return build
