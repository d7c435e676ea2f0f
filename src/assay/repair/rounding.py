# SPDX-License-Identifier: Apache-2.0
"""Rounding of probabilities as a defence against model inversion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.cases.new_case import case as ask
from assay.engine.declare import repairer
from assay.engine.performance.held_out import compare_performance
from assay.model.model import Model
from assay.model.transformations.round_probabilities import round_probabilities
from assay.nouns.catalogue import find
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Note

REACHED, MEAN = "classes reconstructed", "probability reached"

MAX_CLASSES = 20
"""Classes that are reconstructed: the first ones."""


@repairer(
    source="fredrikson2015",
    needs={"classes", "numbers", "labels"},
    side_effects="Scores become coarse: rankings have ties, calibration and log loss change, and gradients are gone.",
)
def rounding(
    case: Case,
    *,
    held_out: tuple[Any, Any],
    unit: float = 0.05,
    steps: int = 200,
    step: float = 0.1,
    draws: int = 20,
    sigma: float = 0.05,
    confidence: float = 0.99,
    bounds: tuple[float, ...] = (),
) -> Mapping[str, Any]:
    """The model with probabilities rounded to multiples of ``unit``, so that queries show less of how they change.

    ``before`` and ``after``: accuracy on ``held_out`` with limits at 95 %, and what ``attack.model_inversion`` reaches
    with queries alone (NES with ``draws`` pairs at a distance of ``sigma``, ``steps`` steps of size ``step`` from 0,
    one reconstruction for each of the first 20 classes): the mean probability, and the share of classes with a
    probability of at least ``confidence``, both by the *unrounded* model. A defence for a model that is queried: who
    has the weights is not hindered, and with larger ``sigma`` or more queries the attack comes further.
    """
    if not 0 < confidence <= 1:
        raise InputError(f"confidence={confidence}; a probability above 0 is needed.")
    model = replace(round_probabilities(case.model, unit), meter=case.model.meter)
    before, after, difference = compare_performance(case, model, held_out)
    given = {"steps": steps, "step": step, "draws": draws, "sigma": sigma, "confidence": confidence, "bounds": bounds}
    for numbers, one in ((before, case.model), (after, model)):
        numbers |= _inverted(case, one, given)
    text = (
        f"inversion by queries alone, {2 * draws} a step at a distance of {sigma:g}: the share of classes that are "
        f"reconstructed changes from {before[REACHED]:.0%} to {after[REACHED]:.0%}. Rounding hides small changes of "
        f"the probability, no more: it does not hinder who has the weights or asks from further away"
    )
    return {
        "model": model,
        "change": f"probabilities rounded to multiples of {unit:g}",
        "before": before,
        "after": after,
        "notes": (difference, Note("rounding", text)),
    }


def _inverted(case: Case, model: Model, given: Mapping[str, Any]) -> dict[str, float]:
    """What the attack on ``model`` reaches, read by the case's model."""
    classes = np.arange(
        min(case.prediction.shape[1] if not case.model.classes else len(case.model.classes), MAX_CLASSES)
    )
    rows = case.rows.x[np.zeros(len(classes), dtype=np.int64)]
    template = ask(model, rows, label=classes.tolist(), ids=list(map(str, classes)), seed=case.seed)
    template = replace(template, label=classes.astype(np.int64))
    found = find("attack", "model_inversion").call(template, gradient="nes", **given)
    own = replace(ask(case.model, found.x, target="probability", seed=case.seed), label=classes.astype(np.int64))
    reached = to_floats(own.value(own.rows.x))
    return {MEAN: float(reached.mean()), REACHED: float((reached >= given["confidence"]).mean())}
