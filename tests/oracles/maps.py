"""Class activation maps by loops, of a net of two channels made by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

import assay
from assay.cases.case import Case

FILTERS = np.array([[[1.0, -0.5], [0.3, 0.8]], [[-0.7, 0.9], [0.4, -0.2]]])  # channel, 2, 2
HEAD = np.random.default_rng(4).normal(size=(2, 2, 3, 3))  # class, channel, 3, 3
POOLED = np.array([[0.9, -1.2], [-0.4, 0.7]])  # class, channel
OFFSET = np.array([0.3, -0.8])
PICTURES = np.random.default_rng(2).uniform(0.0, 1.0, (3, 1, 4, 4))


def net(pooled: bool) -> torch.nn.Sequential:
    """Convolution, ReLU and a linear head on every position, or on the channels' means."""
    ends = [torch.nn.AdaptiveAvgPool2d(1)] if pooled else []
    head = torch.nn.Linear(2 if pooled else 18, 2)
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 2, bias=False), torch.nn.ReLU(), *ends, torch.nn.Flatten(), head)
    module.double()
    with torch.no_grad():
        module[0].weight.copy_(torch.as_tensor(FILTERS[:, None]))
        head.weight.copy_(torch.as_tensor(POOLED if pooled else HEAD.reshape(2, 18)))
        head.bias.copy_(torch.as_tensor(OFFSET))
    return module.eval()


def handmade(pooled: bool = False, label: int = 0, **options: Any) -> Case:
    """A case about the pictures."""
    return assay.case(assay.wrap(net(pooled)), torch.as_tensor(PICTURES), label=label, **options)


def activations(picture: np.ndarray) -> np.ndarray:
    """(channel, 3, 3)."""
    out = np.zeros((2, 3, 3))
    for k in range(2):
        for i in range(3):
            for j in range(3):
                total = sum(FILTERS[k, a, b] * picture[0, i + a, j + b] for a in range(2) for b in range(2))
                out[k, i, j] = max(total, 0.0)
    return out


def logits(picture: np.ndarray) -> list[float]:
    """Of the net that is not pooled."""
    active = activations(picture)
    return [float(np.sum(HEAD[c] * active) + OFFSET[c]) for c in range(2)]


def bilinear(small: np.ndarray, height: int, width: int) -> np.ndarray:
    """Enlarged between the middles of cells; beyond the outermost middles the edge holds."""
    out = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            y = min(max((i + 0.5) * small.shape[0] / height - 0.5, 0.0), small.shape[0] - 1.0)
            x = min(max((j + 0.5) * small.shape[1] / width - 0.5, 0.0), small.shape[1] - 1.0)
            top, left = math.floor(y), math.floor(x)
            low, right = min(top + 1, small.shape[0] - 1), min(left + 1, small.shape[1] - 1)
            above = small[top, left] * (1 - (x - left)) + small[top, right] * (x - left)
            below = small[low, left] * (1 - (x - left)) + small[low, right] * (x - left)
            out[i, j] = above * (1 - (y - top)) + below * (y - top)
    return out
