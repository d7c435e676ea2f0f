# SPDX-License-Identifier: Apache-2.0
"""The forward process of diffusion: noise is added by a closed form, without a network, at the same dimension."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats
from assay.nouns.inputs.number_checks import require_count

LEAST = 1e-4
"""The least share of the signal in the variance: ā is ``LEAST`` + (1 − ``LEAST``) times what a formula says."""


@dataclass(frozen=True)
class Schedule:
    """How much of the variance is signal at each time: ā(t), from 1 at t = 0 to almost 0 at t = 1.

    x_t = √ā(t) · x₀ + √(1 − ā(t)) · ε with ε standard normal. For data with mean μ and covariance Σ, x_t has mean
    √ā μ and covariance ā Σ + (1 − ā) I, and the correlation of an element with itself at time 0 is
    √(ā σ² / (ā σ² + 1 − ā)), where σ² is its variance.

    "cosine" is that of Nichol and Dhariwal (2021) without their offset, ā = cos²(πt/2); "linear" is that of Ho et al.
    (2020), ā = exp(−∫β) with β from 0.1 to 20; "table" reads ``table``, ā at the times 1/n … 1 of a trained model.
    """

    kind: Literal["cosine", "linear", "table"] = "cosine"
    table: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("cosine", "linear", "table"):
            raise InputError(f"kind={self.kind!r} of a schedule; there are cosine, linear and table.")
        if (self.kind == "table") != bool(self.table):
            raise InputError("a schedule of kind 'table' needs a table, and no other kind has one.")
        levels = np.asarray(self.table, dtype=np.float64)
        if self.table and not (np.isfinite(levels).all() and (np.diff(levels) < 0).all() and levels[-1] > 0):
            raise InputError("the table of a schedule must hold the share of the signal: falling, between 1 and 0.")
        if self.table and levels[0] > 1:
            raise InputError(f"the table of a schedule begins with {levels[0]:g}; a share of the signal is at most 1.")

    @cached_property
    def _levels(self) -> Floats:
        return np.concatenate([[1.0], np.asarray(self.table, dtype=np.float64)])

    def signal(self, t: float) -> float:
        """ā(t), the share of the signal in the variance."""
        if not 0 <= t <= 1:
            raise InputError(f"time t={t:g} of a diffusion; it lies between 0 (data) and 1 (noise).")
        if self.kind == "table":
            return float(self._levels[self.position(t)])
        if t == 0:
            return 1.0
        level = math.cos(math.pi * t / 2) ** 2 if self.kind == "cosine" else math.exp(-(0.1 * t + 9.95 * t * t))
        return LEAST + (1 - LEAST) * level

    def position(self, t: float) -> int:
        """The number of the entry of the table that time ``t`` reads, from 0 (data, before the table) to its length."""
        return round(t * len(self.table))

    def times(self, steps: int, start: float = 1.0) -> Floats:
        """``steps`` + 1 falling times from ``start`` to 0, evenly spaced; those of a table lie at its entries."""
        require_count("steps", steps, meaning="the number of steps of the reverse process")
        times = np.linspace(start, 0.0, steps + 1)
        if self.kind != "table":
            return times
        places = np.array([self.position(t) for t in times])
        if (np.diff(places) == 0).any():
            raise InputError(
                f"{steps} steps from time {start:g} are more than the {places[0]} entries of the schedule's table."
            )
        return np.asarray(places / len(self.table), dtype=np.float64)


COSINE = Schedule()
"""The schedule that is used where none is given."""


def add_noise(x: Any, signal: float, noise: Any) -> Any:
    """x_t = √ā x₀ + √(1 − ā) ε for arrays or tensors ``x`` and standard normal ``noise`` of its shape."""
    return math.sqrt(signal) * x + math.sqrt(1 - signal) * noise
