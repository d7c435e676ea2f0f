# SPDX-License-Identifier: Apache-2.0
"""Who can train: without a recipe no repair can refit and no check can compare with retraining."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from assay.basics.errors import InputError
from assay.basics.seed import Seed


@dataclass(frozen=True, eq=False)
class Recipe:
    """How the model was trained, and on what.

    ``fit(x, y, seed, strength)`` trains afresh and gives anything ``assay.wrap`` takes, preprocessing
    included; it must leave ``x`` and ``y`` as they are. ``strength`` is 0 for training as it was; larger
    numbers must regularise more, and ``regularises`` says that ``fit`` heeds it. ``x`` and ``y`` are the
    training rows and labels in the caller's own form.
    """

    fit: Callable[[Any, Any, Seed, float], Any]
    x: Any = field(repr=False)
    y: Any = field(repr=False)
    regularises: bool = False

    def __post_init__(self) -> None:
        if not callable(self.fit):
            raise InputError(f"fit is a function (x, y, seed, strength); got {type(self.fit).__name__}.")
        if len(self.x) != len(self.y):
            raise InputError(f"a recipe of {len(self.x)} training rows has {len(self.y)} labels; one a row is needed.")

    def train(self, x: Any, y: Any, seed: Seed, strength: float = 0.0) -> Any:
        """What ``fit`` gives; the one place that calls it, so that an error in it is told as the caller's code's."""
        return self.fit(x, y, seed, strength)
