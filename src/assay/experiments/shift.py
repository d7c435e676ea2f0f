# SPDX-License-Identifier: Apache-2.0
"""The experiment on explanation shift (Meyer et al. 2023): which way of training keeps explanations under a shift."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from assay.basics.seed import Seed
from assay.cases.case import Case
from assay.engine.provenance import versions
from assay.engine.retraining.data_noise import feature_noise
from assay.engine.retraining.shift_study import shift_study
from assay.nouns.catalogue import find
from assay.nouns.comparisons.shift_experiment import ShiftExperiment
from assay.nouns.inputs.recipe import Recipe


@dataclass(frozen=True)
class ShiftSettings:
    """Options of the experiment.

    ``sizes`` are those of the noise on the training data (``feature_noise``): in standard deviations of a column of
    numbers, and the probability that a cell of two values changes. ``strengths`` are given to the recipe; ``sharpness``
    is that of softplus in place of ReLU after training, in addition to the net as it was trained.
    """

    sizes: tuple[float, ...] = (0.1,)
    strengths: tuple[float, ...] = (0.0,)
    sharpness: tuple[float, ...] = ()
    k: int = 5
    repeats: int = 5
    steps: int = 8
    level: float = 0.95


def run_shift(
    recipes: Recipe | Mapping[str, Recipe],
    x: Any,
    labels: Any = (),
    *,
    of: str = "saliency",
    of_options: Mapping[str, Any] | None = None,
    target: str | None = None,
    shift: Callable[[Any, Any, float, Seed], tuple[Any, Any]] = feature_noise,
    settings: ShiftSettings | None = None,
    seed: int = 0,
) -> ShiftExperiment:
    """Explanation shift of rows ``x`` for every setting, by ``assay.shift_study``.

    ``of`` names the explain method, ``of_options`` are its options; gradients of ``saliency`` have their signs unless
    an option says otherwise. ``target`` is what is explained, by default what suits the model. Trains
    2 · ``repeats`` models for each recipe, strength and first size, and ``repeats`` for each further size.
    """
    import assay.explain  # noqa: F401  # fills the catalogue

    chosen, method = settings or ShiftSettings(), find("explain", of)
    options = ({"signed": True} if of == "saliency" else {}) | dict(of_options or {})

    def explained(case: Case) -> Any:
        return method.call(case if target is None else case.with_target(target), **options)

    frame = shift_study(
        recipes,
        x,
        method=explained,
        shift=shift,
        sizes=chosen.sizes,
        strengths=chosen.strengths,
        sharpness=(float("inf"), *chosen.sharpness),
        labels=labels,
        k=chosen.k,
        repeats=chosen.repeats,
        steps=chosen.steps,
        level=chosen.level,
        seed=seed,
    )
    return ShiftExperiment.of(
        frame, method=of, rows=len(x), k=chosen.k, level=chosen.level, seed=seed, versions=versions()
    )


def trained_models(recipes: int, settings: ShiftSettings) -> int:
    """Number of models that the experiment trains."""
    return recipes * len(settings.strengths) * settings.repeats * (1 + len(settings.sizes))
