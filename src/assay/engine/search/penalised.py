# SPDX-License-Identifier: Apache-2.0
"""The smallest Euclidean perturbation by optimisation with a penalty (Carlini and Wagner), all rows at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.types import Array, Floats
from assay.engine.adam import Adam
from assay.engine.search.ball import Ball
from assay.engine.search.first_order import check_steps
from assay.engine.search.minimum_norm import NearestPoints, length_of
from assay.engine.search.threat import Threat, per_row

INNER = 1 - 1e-6
"""Rows at the bounds are moved inside by so much, where tanh has a slope."""

FREE_UNIT = 5.0
"""The unit of perturbations without bounds, in radii."""

GROWTH = 10.0
"""The factor of c while no success is known."""


@dataclass(frozen=True)
class _Space:
    """The variable w of the optimisation: x = middle + half · tanh w within the bounds, else x = row + unit · w."""

    ball: Ball
    rows: Array

    @property
    def is_bounded(self) -> bool:
        return bool(np.isfinite([self.ball.low, self.ball.high]).all())

    @property
    def unit(self) -> Any:
        """The length by which perturbations are divided, a number or one a column."""
        return self.ball.high - self.ball.low if self.is_bounded else FREE_UNIT * self.ball.radius

    def scales(self) -> Array:
        """The scale of each element; 0 where it must not move."""
        xp = array_namespace(self.rows)
        ones = xp.ones_like(self.rows)
        if not self.ball.scale:
            return ones
        values = np.array(self.ball.scale)
        like = {"dtype": ones.dtype, "device": ones.device} if is_torch_array(ones) else {}
        return ones * xp.asarray(values, **like)

    def start(self) -> Array:
        xp = array_namespace(self.rows)
        if not self.is_bounded:
            return xp.zeros_like(self.rows)
        return xp.atanh(INNER * (self.rows - self._middle) / self._half)

    @property
    def _middle(self) -> float:
        return (self.ball.high + self.ball.low) / 2

    @property
    def _half(self) -> float:
        return (self.ball.high - self.ball.low) / 2

    def point(self, w: Array) -> tuple[Array, Array]:
        """The point x, and the slope dx / dw."""
        xp = array_namespace(w)
        scales = self.scales()
        if not self.is_bounded:
            return self.rows + self.unit * scales * w, self.unit * scales
        bent = xp.tanh(w)
        free = xp.where(scales > 0, xp.ones_like(scales), xp.zeros_like(scales))
        x = self._middle + self._half * bent
        return xp.where(scales > 0, x, self.rows), self._half * (1 - bent * bent) * free


def penalised_descent(
    threat: Threat,
    best: NearestPoints,
    *,
    steps: int,
    searches: int,
    constant: float,
    learning_rate: float,
    confidence_margin: float,
) -> None:
    """Adam on ‖δ / unit‖² + c · max(margin + confidence, 0), and a binary search for c (row,).

    One pass with gradient a step, and one without at the end of each search.
    """
    check_steps(steps=steps, searches=searches)
    space, count = _Space(threat.ball, threat.x), len(threat)
    scales = space.scales()
    safe = space.unit * array_namespace(scales).where(scales > 0, scales, scales * 0 + 1)
    weight, low, high = np.full(count, constant), np.zeros(count), np.full(count, np.inf)
    for _ in range(searches):
        w, adam, succeeded = space.start(), Adam(), np.zeros(count, dtype=bool)
        for _ in range(steps):
            x, bend = space.point(w)
            outputs, slope = threat.gradient(x, "margin")
            succeeded |= _offer(threat, best, x, outputs, confidence_margin)
            active = np.where(threat.search_margins(outputs) > -confidence_margin, weight, 0.0)
            gradient = (2 * (x - threat.x) / (safe * safe) - per_row(active, x) * slope) * bend
            w = w - learning_rate * adam.step(gradient)
        x, _ = space.point(w)
        succeeded |= _offer(threat, best, x, threat.outputs(x), confidence_margin)
        high, low = np.where(succeeded, weight, high), np.where(succeeded, low, weight)
        weight = np.where(np.isinf(high), weight * GROWTH, (low + np.where(np.isinf(high), 0.0, high)) / 2)


def _offer(threat: Threat, best: NearestPoints, x: Array, outputs: Floats, confidence_margin: float) -> Any:
    margins = threat.search_margins(outputs)
    success = threat.clear_successes(outputs) & (margins <= -confidence_margin)
    best.offer(x, length_of(threat.ball, x, threat.x), success, margins)
    return success
