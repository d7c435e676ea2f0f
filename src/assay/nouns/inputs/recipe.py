# SPDX-License-Identifier: Apache-2.0
"""The training recipe, which repairs that refit and checks that retrain need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Masks


@dataclass(frozen=True, eq=False)
class Recipe:
    """The training function of the model and its training data.

    ``fit(x, y, seed, strength)`` trains a new model and returns anything ``assay.wrap`` takes, preprocessing
    included; it must not change ``x`` and ``y``. ``strength`` is 0 for the original training; larger numbers
    must regularise more, and ``regularises`` says that ``fit`` uses it. ``x`` and ``y`` are the training rows
    and labels in the caller's own form.

    ``fit_many(x, y, members, seed, strength)``, where it is given, trains one model for each line of ``members``
    (model, row), on the rows marked in it, faster than one after another (``ShadowTrainer.recipe`` makes one).
    """

    fit: Callable[[Any, Any, Seed, float], Any]
    x: Any = field(repr=False)
    y: Any = field(repr=False)
    regularises: bool = False
    fit_many: Callable[[Any, Any, Masks, Seed, float], Sequence[Any]] | None = None

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

    def train_many(self, x: Any, y: Any, members: Masks, seed: Seed, strength: float = 0.0) -> Sequence[Any]:
        """The models that ``fit_many`` returns, one for each line of ``members``; only this method calls it."""
        assert self.fit_many is not None
        return self.fit_many(x, y, members, seed, strength)

    def with_strength(self, strength: float) -> Recipe:
        """The recipe whose original training is this one's with ``strength``."""
        fit, many = self.fit, self.fit_many

        def stronger(x: Any, y: Any, seed: Seed, more: float) -> Any:
            return fit(x, y, seed, strength + more)

        def all_stronger(x: Any, y: Any, members: Masks, seed: Seed, more: float) -> Sequence[Any]:
            assert many is not None
            return many(x, y, members, seed, strength + more)

        return replace(self, fit=stronger, fit_many=all_stronger if many is not None else None)
