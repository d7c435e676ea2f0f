# SPDX-License-Identifier: Apache-2.0
"""The training recipe, which repairs that refit and checks that retrain need."""

from __future__ import annotations

import inspect
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
        _check_arguments(self.fit, "fit", "x, y, seed, strength")
        if self.fit_many is not None:
            _check_arguments(self.fit_many, "fit_many", "x, y, members, seed, strength")
        if len(self.x) != len(self.y):
            raise InputError(
                f"a recipe of {len(self.x)} training rows has {len(self.y)} labels; one label per row is needed."
            )

    def train(self, x: Any, y: Any, seed: Seed, strength: float = 0.0) -> Any:
        """The model that ``fit`` returns. Only this method calls ``fit``, so that its errors are attributed to it."""
        model = self.fit(x, y, seed, strength)
        if model is None:
            raise InputError("fit of the recipe returns None; it must return the trained model.")
        return model

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


def _check_arguments(function: Callable[..., Any], name: str, arguments: str) -> None:
    """``InputError`` where the function cannot be called with these arguments by position."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of a function in C nothing is known
        return
    try:
        signature.bind(*arguments.split(", "))
    except TypeError as error:
        raise InputError(
            f"{name}{signature} of the recipe cannot be called as {name}({arguments}): {error}. Let it take these "
            f"arguments by position, even those that it does not use."
        ) from error
