# SPDX-License-Identifier: Apache-2.0
"""Steps of Adam for arrays of any library."""

from __future__ import annotations

from typing import Any


class Adam:
    """The steps of Adam (Kingma and Ba 2015): a moving mean of slopes over the root of a moving mean of their squares.

    Of arrays or tensors, element by element; the first step is the sign of the slope.
    """

    def __init__(self, decay: float = 0.9, square_decay: float = 0.999, small: float = 1e-8) -> None:
        self.decay, self.square_decay, self.small = decay, square_decay, small
        self.mean: Any = 0.0
        self.square: Any = 0.0
        self.number = 0

    def step(self, slope: Any) -> Any:
        """The step of this slope, of size about 1 an element, with the sign of the slope."""
        self.number += 1
        self.mean = self.decay * self.mean + (1 - self.decay) * slope
        self.square = self.square_decay * self.square + (1 - self.square_decay) * slope * slope
        root = (self.square / (1 - self.square_decay**self.number)) ** 0.5
        return self.mean / (1 - self.decay**self.number) / (root + self.small)
