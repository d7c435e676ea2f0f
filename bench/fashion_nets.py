"""Nets of clothing pictures that differ in kind: the one that is explained, and those that judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from assay.basics.seed import Seed

DATA = Path("/work/shared/data/fashion-mnist/fashion_mnist.npz")


def pictures() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Training and test pictures (row, 1, 28, 28) with pixels 0 … 1, their classes, and the names of these."""
    z = np.load(DATA)
    x, test = (z[name][:, None] / 255.0 for name in ("x_train", "x_test"))
    return x, z["y_train"].astype(int), test, z["y_test"].astype(int), [str(name) for name in z["classes"]]


def convolutional() -> torch.nn.Module:
    """The net that is explained: two layers of 3 × 3 convolutions with maximum pooling."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(16, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(32 * 49, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10),
    )  # fmt: skip


def strided() -> torch.nn.Module:
    """A judge: two strided layers of 5 × 5 convolutions, smooth units, averages at the end."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 24, 5, stride=2, padding=2), torch.nn.GELU(),
        torch.nn.Conv2d(24, 48, 5, stride=2, padding=2), torch.nn.GELU(),
        torch.nn.AvgPool2d(2, ceil_mode=True), torch.nn.Flatten(), torch.nn.Linear(48 * 16, 10),
    )  # fmt: skip


def dense() -> torch.nn.Module:
    """A judge without convolutions."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 128), torch.nn.Tanh(), torch.nn.Linear(128, 10))


def train(make, x: np.ndarray, y: np.ndarray, seed: int, epochs: int = 6, attack: float = 0.0) -> torch.nn.Module:
    """A net trained by Adam; with ``attack`` on pictures moved by three steps of sign ascent within that radius."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = make()
    pixels, labels = torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(y)
    optimiser, stream = torch.optim.Adam(net.parameters(), lr=2e-3), Seed(seed).child("order").generator()
    for _ in range(epochs):
        order = torch.as_tensor(stream.permutation(len(pixels)))
        for start in range(0, len(order), 64):
            some = order[start : start + 64]
            batch = moved(net, pixels[some], labels[some], attack) if attack else pixels[some]
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(net(batch), labels[some]).backward()
            optimiser.step()
    return net.eval()


def moved(net: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, radius: float, steps: int = 3) -> torch.Tensor:
    """Pictures within ``radius`` (ℓ∞) on which the net is worse."""
    start, radius = x, float(radius)
    for _ in range(steps):
        x = x.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(torch.nn.functional.cross_entropy(net(x), y), x)
        x = (start + (x + 0.6 * radius * slope.sign() - start).clamp(-radius, radius)).clamp(0, 1)
    return x.detach()


def accuracy(net: torch.nn.Module, x: np.ndarray, y: np.ndarray) -> float:
    with torch.no_grad():
        return float((net(torch.as_tensor(x, dtype=torch.float32)).argmax(1).numpy() == y).mean())
