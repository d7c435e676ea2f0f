# SPDX-License-Identifier: Apache-2.0
"""The nets and rows of ``bench/attacks.py``: a digit CNN, plain and adversarially trained, and ResNet-20."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


class Digits(nn.Module):
    """Two convolutions and two linear layers, with its normalisation; inputs 0 … 1."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 20, 5), nn.Conv2d(20, 50, 5)
        self.fc1, self.fc2 = nn.Linear(800, 500), nn.Linear(500, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        x = (x - 0.1307) / 0.3081
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        return self.fc2(functional.relu(self.fc1(x.flatten(1))))


class Block(nn.Module):
    """A residual block of the CIFAR form with a shortcut without parameters (option A)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.stride, self.extra = stride, (outputs - inputs) // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's output."""
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.extra or self.stride > 1:
            x = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.extra, self.extra))
        return functional.relu(y + x)


class ResNet20(nn.Module):
    """ResNet-20 of CIFAR-10 with its normalisation; inputs 0 … 1."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        widths = [16, 16, 32, 64]
        for number in (1, 2, 3):
            first = Block(widths[number - 1], widths[number], 1 if number == 1 else 2)
            rest = [Block(widths[number], widths[number], 1) for _ in range(2)]
            setattr(self, f"layer{number}", nn.Sequential(first, *rest))
        self.linear = nn.Linear(64, 10)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None], persistent=False)
        self.register_buffer("sd", torch.tensor([0.229, 0.224, 0.225])[:, None, None], persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        x = functional.relu(self.bn1(self.conv1((x - self.mean) / self.sd)))
        for number in (1, 2, 3):
            x = getattr(self, f"layer{number}")(x)
        return self.linear(x.mean(dim=(2, 3)))


def digits() -> tuple[nn.Module, np.ndarray, np.ndarray]:
    """The trained CNN, and test digits (row, 1, 28, 28) in 0 … 1 with their labels."""
    net = Digits()
    net.load_state_dict(load_file(DATA / "mnist-models" / "cnn.safetensors"))
    held = np.load(DATA / "mnist" / "mnist.npz")
    return net.eval(), held["x_test"][:, None].astype(np.float32) / 255, held["y_test"].astype(np.int64)


def trained_digits(radius: float = 0.2, epochs: int = 4, cache: Path | None = None) -> nn.Module:
    """The CNN after adversarial training with one step from a random start (Wong, Rice and Kolter 2020), linf."""
    net, *_ = digits()
    if cache is not None and cache.is_file():
        net.load_state_dict(load_file(cache))
        return net.eval()
    torch.manual_seed(0)
    held = np.load(DATA / "mnist" / "mnist.npz")
    x = torch.tensor(held["x_train"][:, None].astype(np.float32) / 255)
    y = torch.tensor(held["y_train"].astype(np.int64))
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-4)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(100):
            rows, truth = x[batch], y[batch]
            move = (torch.rand_like(rows) * 2 - 1).mul_(radius).requires_grad_(True)
            slope = torch.autograd.grad(functional.cross_entropy(net(rows + move), truth), move)[0]
            move = (move.detach() + 1.25 * radius * slope.sign()).clamp(-radius, radius)
            optimiser.zero_grad()
            functional.cross_entropy(net((rows + move).clamp(0, 1)), truth).backward()
            optimiser.step()
    if cache is not None:
        from safetensors.torch import save_file

        save_file(net.state_dict(), cache)
    return net.eval()


def pictures() -> tuple[nn.Module, np.ndarray, np.ndarray]:
    """ResNet-20, and test pictures (row, 3, 32, 32) in 0 … 1 with their labels."""
    net = ResNet20()
    state = load_file(DATA / "cifar10-resnet" / "resnet20.safetensors")
    missing = net.load_state_dict(state, strict=False)
    assert not [k for k in missing.missing_keys if not k.endswith("num_batches_tracked")], json.dumps(missing)
    held = np.load(DATA / "cifar10-jpeg" / "cifar10.npz")
    x = held["x_test"].astype(np.float32) / 255
    return (
        net.eval(),
        np.ascontiguousarray(x.transpose(0, 3, 1, 2) if x.shape[-1] == 3 else x),
        held["y_test"].astype(np.int64).ravel(),
    )
