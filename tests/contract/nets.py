"""Small nets that the contract suite and others ask: smooth and rectified, over numbers and pictures."""

from __future__ import annotations

import torch


def net(seed: int = 3, inputs: int = 4) -> torch.nn.Module:
    """A small smooth classifier with weights from a private generator."""
    module = torch.nn.Sequential(torch.nn.Linear(inputs, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3)).double()
    return filled(module, seed)


def picture_net(seed: int = 5) -> torch.nn.Module:
    """A small smooth convolutional classifier."""
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1),
        torch.nn.Tanh(),
        torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(16, 3),
    ).double()
    return filled(module, seed)


def pooled_net(seed: int = 6) -> torch.nn.Module:
    """A small smooth convolutional classifier that ends in global average pooling and one linear layer."""
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1),
        torch.nn.Tanh(),
        torch.nn.Conv2d(4, 5, 3, stride=2, padding=1),
        torch.nn.Tanh(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(5, 3),
    ).double()
    return filled(module, seed)


class Rectified(torch.nn.Module):
    """Convolutions with rectifiers of every make: module, reused, function, in place; and a functional residual."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(4)
        self.second = torch.nn.Conv2d(4, 4, 3, padding=1)
        self.relu = torch.nn.ReLU()
        self.head = torch.nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.relu(self.norm(self.first(x)))
        b = torch.nn.functional.max_pool2d(a + self.relu(self.second(a)), 2)
        c = torch.nn.functional.relu_(self.second(b))
        return self.head(torch.nn.functional.relu6(c + b).mean((2, 3)))


def filled(module: torch.nn.Module, seed: int) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return module.eval()
