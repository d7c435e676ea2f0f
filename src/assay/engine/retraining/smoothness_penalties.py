# SPDX-License-Identifier: Apache-2.0
"""Penalties on how fast the loss, or a gradient, changes with the input; differentiable by weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.optional import need
from assay.basics.types import Array
from assay.cases.case import Case
from assay.engine.retraining.labelled_rows import read_like
from assay.engine.search.ball import Ball
from assay.nouns.inputs.rows import to_floats

TINY = 1e-12
"""The least squared gradient that a change is divided by."""

Values = Callable[[Array], Array]
"""A number (row,) of a batch of rows: the loss, or the score of the label."""


@dataclass(frozen=True)
class Penalty:
    """A penalty (row,) on a number of the rows over a distance; ``of_loss``: that of the loss, else of the score.

    ``strength`` is the weight by default, ``text`` says what is penalised.
    """

    value: Callable[[Values, Array, float], Array]
    of_loss: bool
    strength: float
    text: str


def squared_gradient(values: Values, x: Array, distance: float) -> Array:
    """distance² · ‖∇(x)‖² (row,): the square of the first-order change over that distance."""
    return distance**2 * _squared_length(_gradient(values, x))


def squared_gradient_change(values: Values, x: Array, distance: float) -> Array:
    """distance² · ‖∇(x + h·z) − ∇(x)‖² (row,) with h = distance and z = sign ∇(x) / ‖sign ∇(x)‖."""
    slope = _gradient(values, x)
    return distance**2 * _squared_length(_gradient(values, _along_sign(x, slope, distance)) - slope)


def relative_gradient_change(values: Values, x: Array, distance: float) -> Array:
    """‖∇(x + h·z) − ∇(x)‖² / ‖∇(x)‖² (row,) with the same step; 0 where the gradient is."""
    slope = _gradient(values, x)
    change = _squared_length(_gradient(values, _along_sign(x, slope, distance)) - slope)
    return change / _squared_length(slope).clamp_min(TINY)


PENALTIES: dict[str, Penalty] = {
    "curvature": Penalty(relative_gradient_change, False, 5.0, "relative change of the gradient of the label's score"),
    "loss_curvature": Penalty(squared_gradient_change, True, 0.03, "change of the gradient of the loss"),
    "gradient": Penalty(squared_gradient, True, 0.3, "gradient of the loss"),
}


def default_distance(case: Case, train: Any, ball: Ball | None) -> float:
    """The Euclidean length of the longest move in the ball; a tenth of the rows' root mean square deviation without."""
    size = int(np.prod(case.rows.shape))
    if ball is not None:
        scale = np.array(ball.scale) if ball.scale else np.ones(size)
        longest = float(np.linalg.norm(scale) if ball.norm == "linf" else scale.max())
        return ball.radius * longest
    values = to_floats(read_like(case, train[0])).reshape(-1, size)
    spread = float(np.sqrt(values.var(axis=0).sum()))
    if not spread > 0:
        raise InputError("all training rows are the same, so that they say no distance; give distance or ball.")
    return 0.1 * spread


def _along_sign(x: Array, slope: Array, distance: float) -> Array:
    """The rows moved by that Euclidean distance along the sign of their gradient."""
    sign = slope.detach().sign()
    size = _squared_length(sign).sqrt().clamp_min(1.0)
    return x + distance * sign / size.reshape((-1,) + (1,) * (x.ndim - 1))


def _gradient(values: Values, x: Array) -> Array:
    """The gradient (row, *shape), which weights can be trained through."""
    pt = need("torch", extra="torch")
    x = x.detach().requires_grad_(True)
    return pt.autograd.grad(values(x).sum(), x, create_graph=True)[0]


def _squared_length(values: Array) -> Array:
    return values.flatten(1).square().sum(dim=1)
