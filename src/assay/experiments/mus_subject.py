# SPDX-License-Identifier: Apache-2.0
"""A subject of the experiments on multiplicative smoothing: a model with rows, and the settings."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import assay.explain  # noqa: F401  # fills the catalogue
from assay.basics.errors import AssayError, InputError
from assay.basics.seed import Seed
from assay.basics.types import Ints
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.engine.capabilities import require_capabilities
from assay.engine.coalitions.masks import TOP_SHARE
from assay.model.transformations.frozen_masks import QuantisedMasks
from assay.nouns.catalogue import find
from assay.nouns.comparisons.mus_experiment import SkippedSubject

EXPLANATIONS = ("shapley", "lime", "integrated_gradients", "saliency", "occlusion")
"""Methods whose top features are certified; random features of equal number are added."""

RANDOM = "random"


@dataclass(frozen=True)
class MusSettings:
    """Options of both experiments. λ · ``q`` is a whole number for every λ of ``smoothing``.

    ``share`` of the features of a row are explained ones; ``budget`` is the number of coalitions a row of Shapley
    values and LIME, ``steps`` of integrated gradients, ``search`` of sets a row that the adversarial search evaluates
    (0: none), for the explanations ``searched`` (empty: for all).
    """

    smoothing: tuple[float, ...] = (1.0, 0.5, 0.25, 0.125)
    q: int = 16
    share: float = TOP_SHARE
    explanations: tuple[str, ...] = EXPLANATIONS
    budget: int = 256
    steps: int = 16
    search: int = 128
    searched: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise ``InputError`` for impossible settings."""
        if not self.smoothing:
            raise InputError("smoothing is empty; give at least one λ, such as 1/4.")
        if not 0 < self.share < 1:
            raise InputError(f"share={self.share}; the share of the features that are explained is between 0 and 1.")
        if self.search < 0 or self.search == 1:
            raise InputError(f"search={self.search}; give 0 for no search, or at least 2 sets a row.")
        for name in self.explanations:
            find("explain", name)
        for one in self.smoothing:
            self.noise(1, one, None)

    def noise(self, features: int, smoothing: float, seed: Seed | None) -> QuantisedMasks:
        """The masks of one λ; a single mask that keeps everything at λ = 1."""
        if smoothing == 1:
            return QuantisedMasks(np.zeros(features, dtype=np.int64), 1, 1)
        return QuantisedMasks.draw(features, smoothing, self.q, seed or Seed())

    @property
    def masks(self) -> int:
        """Masks of all smoothed models together."""
        return sum(1 if one == 1 else self.q for one in self.smoothing)


@dataclass(frozen=True, eq=False)
class Subject:
    """A model with rows to explain, and how their features are removed.

    ``start`` is the baseline of integrated gradients. ``labelled`` are rows whose true classes are ``labels``; without
    labels only the agreement with the model is measured. ``differences`` say where it differs from the published setup.
    """

    name: str
    text: str
    case: Case
    remove: Removal
    start: Any = None
    labelled: Case | None = None
    labels: Ints | None = None
    settings: MusSettings = field(default_factory=MusSettings)
    differences: tuple[str, ...] = ()

    @functools.cached_property
    def possible(self) -> tuple[tuple[str, ...], tuple[SkippedSubject, ...]]:
        """The explanations that the case supports, and the others with the reason."""
        names, skipped = [], []
        for name in self.settings.explanations:
            try:
                require_capabilities(find("explain", name), self.case)
                names.append(name)
            except AssayError as error:
                skipped.append(SkippedSubject(f"{self.name}: {name}", str(error)))
        return tuple(names), tuple(skipped)

    def options(self, name: str) -> dict[str, Any]:
        """The options of an explanation."""
        given = {
            "remove": self.remove,
            "budget": self.settings.budget,
            "steps": self.settings.steps,
            "start": self.start,
        }
        known = find("explain", name).options
        return {option: value for option, value in given.items() if option in known and value is not None}
