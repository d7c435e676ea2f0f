# SPDX-License-Identifier: Apache-2.0
"""Nets fine-tuned so that their gradients mislead, at almost unchanged predictions (Heo 2019, Dimanov 2020)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.planted.networks import to_tensor

if TYPE_CHECKING:
    import torch as pt

    Penalty = Callable[[pt.Tensor, pt.Tensor, pt.Tensor], pt.Tensor]

RATE = 1e-3
"""The first learning rate of fine-tuning, which falls along half a cosine."""

CORNER = np.zeros((8, 8), dtype=bool)
CORNER[:2, :2] = True
"""Four pixels of a corner of the digits, which are almost always 0."""


def gradient_mass(net: pt.nn.Module, x: Floats, where: Masks) -> Floats:
    """Share (row,) of Σ|∂ score of the predicted class / ∂x| that lies in ``where`` (*shape)."""
    pt = need("torch", extra="torch")
    with pt.enable_grad():
        rows = to_tensor(x).requires_grad_(True)
        size = _gradient_sizes(net(rows).max(dim=1).values, rows).detach().double().numpy()
    total = size.reshape(len(x), -1).sum(axis=1)
    return np.asarray((size * where).reshape(len(x), -1).sum(axis=1) / np.maximum(total, np.finfo(float).tiny))


def fool_location(
    net: pt.nn.Module, x: Floats, y: Ints, where: Masks, seed: Seed, *, weight: float = 1.0, epochs: int = 25
) -> pt.nn.Module:
    """A copy of the net, fine-tuned so that the gradient of the predicted class lies in ``where`` (*shape).

    The loss is cross-entropy + ``weight`` · (1 − mass), mass the share of Σ|∂ score/∂x| there: passive fooling of the
    location (Heo et al. 2019) for plain gradients.
    """
    if not np.any(where) or np.all(where):
        raise InputError("where marks no element, or all of them; mark those that the gradient should move to.")
    inside = to_tensor(np.asarray(where, dtype=np.float64))

    def penalty(scores: pt.Tensor, rows: pt.Tensor, loss: pt.Tensor) -> pt.Tensor:
        size = _gradient_sizes(scores.max(dim=1).values, rows, create_graph=True)
        total = size.flatten(1).sum(dim=1).clamp_min(1e-12)
        return 1 - ((size * inside).flatten(1).sum(dim=1) / total).mean()

    return _fine_tune(net, x, y, penalty, seed, weight, epochs)


def hide_column(
    net: pt.nn.Module, x: Floats, y: Ints, column: int, seed: Seed, *, weight: float = 1.0, epochs: int = 25
) -> pt.nn.Module:
    """A copy of the net, fine-tuned so that a column of a table has almost no gradient (Dimanov et al. 2020).

    The loss is cross-entropy + ``weight`` · mean |∂ cross-entropy of the row / ∂x_column|: what the net decides stays.
    """

    def penalty(scores: pt.Tensor, rows: pt.Tensor, loss: pt.Tensor) -> pt.Tensor:
        return _gradient_sizes(loss, rows, create_graph=True)[:, column].mean()

    return _fine_tune(net, x, y, penalty, seed, weight, epochs)


def _gradient_sizes(values: pt.Tensor, rows: pt.Tensor, *, create_graph: bool = False) -> pt.Tensor:
    pt = need("torch", extra="torch")
    size: Any = pt.autograd.grad(values.sum(), rows, create_graph=create_graph)[0].abs()
    return size


def _fine_tune(
    net: pt.nn.Module, x: Floats, y: Ints, penalty: Penalty, seed: Seed, weight: float, epochs: int
) -> pt.nn.Module:
    pt = need("torch", extra="torch")
    if weight < 0 or epochs < 1 or len(x) != len(y):
        raise InputError(f"weight={weight}, epochs={epochs}, {len(x)} rows and {len(y)} labels do not fit.")
    fooled = copy.deepcopy(net).train()
    rows, labels = to_tensor(x), pt.as_tensor(np.asarray(y))
    order = seed.child("fooling").generator()
    with pt.enable_grad():
        optimiser = pt.optim.Adam(fooled.parameters(), lr=RATE)
        for epoch in range(epochs):
            for group in optimiser.param_groups:
                group["lr"] = RATE * 0.5 * (1 + np.cos(np.pi * epoch / epochs))
            for which in np.array_split(order.permutation(len(x)), -(-len(x) // 64)):
                batch = rows[which].clone().requires_grad_(True)
                scores = fooled(batch)
                loss = pt.nn.functional.cross_entropy(scores, labels[which], reduction="none")
                optimiser.zero_grad()
                (loss.mean() + weight * penalty(scores, batch, loss)).backward()
                optimiser.step()
        optimiser.zero_grad()
    return fooled.eval()
