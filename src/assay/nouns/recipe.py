# SPDX-License-Identifier: Apache-2.0
"""Who can train: without a recipe no repair can refit and no check can compare with retraining."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from assay.words.seed import Seed


@dataclass(frozen=True, eq=False)
class Recipe:
    """How the model was trained, and on what.

    ``fit(x, y, seed, strength)`` trains afresh and gives anything ``assay.wrap`` takes, preprocessing included.
    ``strength`` is 0 for training as it was; larger numbers must regularise more, and ``regularises`` says that
    ``fit`` heeds it. ``x`` and ``y`` are the training rows and labels in the caller's own form.
    """

    fit: Callable[[Any, Any, Seed, float], Any]
    x: Any
    y: Any
    regularises: bool = False
