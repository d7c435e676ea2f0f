# SPDX-License-Identifier: Apache-2.0
"""Small nets and cases for attacks on predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

import assay

DUAL = {
    "linf": lambda w: np.abs(w).sum(axis=-1),
    "l2": lambda w: np.linalg.norm(w, axis=-1),
    "l1": lambda w: np.abs(w).max(axis=-1),
}
"""The dual norm: how much a linear function changes at most by a move of length 1."""


def linear_case(classes: int = 4, inputs: int = 6, rows: int = 8, seed: int = 0) -> tuple[Any, dict[str, np.ndarray]]:
    """A linear classifier in float64 with its rows, and each row's distance to the nearest boundary in each norm."""
    generator = np.random.default_rng(seed)
    weights, bias = generator.normal(size=(classes, inputs)), generator.normal(size=classes)
    x = generator.normal(size=(rows, inputs))
    scores = x @ weights.T + bias
    own = scores.argmax(axis=1)
    distances = {norm: np.full(rows, np.inf) for norm in DUAL}
    for row in range(rows):
        for other in set(range(classes)) - {int(own[row])}:
            gap, slope = scores[row, own[row]] - scores[row, other], weights[other] - weights[own[row]]
            for norm, dual in DUAL.items():
                distances[norm][row] = min(distances[norm][row], gap / dual(slope))
    return assay.case(assay.model.torch(linear(weights, bias)), x), distances


def linear(weights: np.ndarray, bias: np.ndarray) -> nn.Module:
    """A linear layer with these weights, in evaluation mode."""
    net = nn.Linear(weights.shape[1], weights.shape[0]).double()
    net.load_state_dict({"weight": torch.tensor(weights), "bias": torch.tensor(bias)})
    return net.eval()


def small_net(seed: int = 0, inputs: int = 6, classes: int = 3, hidden: int = 24) -> nn.Module:
    """A net of two hidden layers with random weights."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, classes)
    ).eval()


def codes(result: Any) -> set[str]:
    """The codes of a result's notes."""
    return {note.code for note in result.notes}
