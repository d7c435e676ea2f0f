# SPDX-License-Identifier: Apache-2.0
"""The training recipe, which repairs that refit and checks that retrain need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from assay.basics.errors import InputError
from assay.basics.seed import Seed


@dataclass(frozen=True, eq=False)
class Recipe:
    """The training function of the model and its training data.

    ``fit(x, y, seed, strength)`` trains a new model and returns anything ``assay.wrap`` takes, preprocessing
    included; it must not change ``x`` and ``y``. ``strength`` is 0 for the original training; larger numbers
    must regularise more, and ``regularises`` says that ``fit`` uses it. ``x`` and ``y`` are the training rows
    and labels in the caller's own form.
    """

    fit: Callable[[Any, Any, Seed, float], Any]
    x: Any = field(repr=False)
    y: Any = field(repr=False)
    regularises: bool = False

    def __post_init__(self) -> None:
        if not callable(self.fit):
            raise InputError(f"fit must be a function (x, y, seed, strength); got {type(self.fit).__name__}.")
        if len(self.x) != len(self.y):
            raise InputError(
                f"a recipe of {len(self.x)} training rows has {len(self.y)} labels; one label per row is needed."
            )

    def train(self, x: Any, y: Any, seed: Seed, strength: float = 0.0) -> Any:
        """The model that ``fit`` returns. Only this method calls ``fit``, so that its errors are attributed to it."""
        return self.fit(x, y, seed, strength)
