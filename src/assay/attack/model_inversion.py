# SPDX-License-Identifier: Apache-2.0
"""Model inversion (MI-FACE): reconstruct what the model takes for a typical input of a class."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.cases.new_case import case as ask
from assay.engine.cost import Given
from assay.engine.declare import attacker
from assay.engine.privacy.inversion import (
    ClassProbability,
    Inversion,
    InversionOptions,
    checked_auxiliary,
    compare_with_members,
    invert,
    processing,
)
from assay.engine.retraining.fine_tuning import require_pair
from assay.engine.retraining.labelled_rows import true_labels
from assay.engine.search.threat import Labels
from assay.model.adapters.wrap import wrap
from assay.model.model import Model
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.result import Note

MEAN_NOTE = Note(
    "class-mean",
    "an input that looks like its class is a leak only where a class is one person: a reconstruction that is no nearer "
    "to training rows than to held-out rows of its class (nearer_to_member near ½) shows the class, not a member",
)


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """The most: all steps for all rows."""
    each = o.steps * (1 if o.gradient == "exact" else 2 * o.draws)
    total = Cost(o.steps + 1 + each + 4, o.steps if o.gradient == "exact" else 0)
    return total * (len(case) * case.model.passes_per_row)


@attacker(source="fredrikson2015", needs={"classes", "numbers"}, cost=_cost, has_exact_cost=False)
def model_inversion(
    case: Case,
    *,
    labels: Labels | None = None,
    start: float | None = 0.0,
    steps: int = 1000,
    patience: int = 100,
    confidence: float = 0.99,
    step: float = 0.1,
    bounds: tuple[float, ...] = (),
    denoise: float = 0.0,
    process: Any = None,
    auxiliary: Any = None,
    gradient: Literal["exact", "nes", "spsa"] = "exact",
    draws: int = 20,
    sigma: float = 0.01,
    evaluator: Any = None,
    train: Any = None,
    held_out: Any = None,
) -> dict[str, Any]:
    """The probability of a class at an input that is searched for it: what the model says about its training classes.

    MI-FACE (Fredrikson et al. 2015), one reconstruction for each row of the case, of the row's class (``labels``, by
    default the classes that the case explains). From ``start`` (a number for all elements; ``None``: the rows),
    x ← process(x − λ ∇c) with c = 1 − p(class) + auxiliary. α = ``steps``, λ = ``step``; a row ends where p reaches
    γ = ``confidence``, or where c is at least the largest of the last β = ``patience`` costs. The point of least cost
    is returned. Processing: ``denoise`` mixes in so much of a 3 × 3 mean (images), then ``process``, a function of
    points (row, *shape), then clipping to ``bounds``. ``auxiliary`` maps points to a further cost (row,) and its
    derivative. Without gradients: ``gradient`` "nes" or "spsa" estimates them from ``draws`` pairs of probabilities at
    a distance of ``sigma``.

    ``before`` and ``after`` are the probabilities at the start and at the result, ``random`` that at a random point as
    far from the start; success: p ≥ γ. ``extra`` and ``validity`` have, where they are given: whether an ``evaluator``
    (another model) names the class, and with ``train`` and ``held_out`` (rows and labels) the correlation with the
    class mean and the distances to the nearest training row and to the nearest of equally many held-out rows of the
    class. A class mean is no leak: only closeness to members is.

    ART's MIFace has the stopping rule inverted, returns the last point and not the best, reads logits as probabilities,
    and gives up where p is below 0.01. Taken literally, c ≤ γ = 0.99 ends at once; here γ is a probability.
    """
    options = InversionOptions(steps, patience, confidence, step)
    if draws < 1 or not sigma > 0:
        raise InputError(f"draws={draws}, sigma={sigma}; needed are draws ≥ 1 and sigma > 0.")
    if (train is None) != (held_out is None):
        raise InputError("train and held_out are both needed for a comparison: rows with their labels.")
    for name, pair in (("train", train), ("held_out", held_out)):
        if pair is not None:
            require_pair(name, pair)
    clean = processing(bounds, denoise, process, case.rows.shape)
    further = None if auxiliary is None else checked_auxiliary(auxiliary)
    classes = case.label if labels is None else true_labels(case.model, labels, len(case), case.prediction)
    probability = ClassProbability(replace(case.with_target("probability"), label=np.asarray(classes, dtype=np.int64)))
    slope = (
        probability.exact_slope
        if gradient == "exact"
        else probability.estimated_slope(gradient, draws, sigma, case.seed.child("inversion"))
    )
    rows = to_floats(case.rows.x)
    begun = clean(rows.copy() if start is None else np.full(rows.shape, float(start)))
    found = invert(probability, slope, begun, options, clean, further)
    everyone = np.arange(len(case))
    distance = np.linalg.norm((found.x - begun).reshape(len(rows), -1), axis=1)
    points = probability.rows(found.x)
    extra, report = _comparisons(probability, found, evaluator, train, held_out)
    return {
        "x": points,
        "success": found.probability >= confidence,
        "prediction_unchanged": case.predicted(probability.rows(begun), everyone) == case.predicted(points, everyone),
        "distance": distance,
        "before": probability.at(begun, everyone),
        "after": found.probability,
        "random": probability.at(clean(_random_points(case, begun, distance)), everyone),
        "quantity": "probability of the class",
        "validity": {"gradient": gradient, **report},
        "extra": extra,
        "notes": (MEAN_NOTE, *_flat(case, found)),
    }


def _comparisons(
    probability: ClassProbability, found: Inversion, evaluator: Any, train: Any, held_out: Any
) -> tuple[dict[str, Floats], dict[str, Any]]:
    """Numbers a row, and their means: steps, the evaluator's agreement, and closeness to members."""
    case = probability.case
    extra: dict[str, Floats] = {"steps_taken": found.steps.astype(np.float64)}
    report: dict[str, Any] = {"steps_taken": float(found.steps.mean())}
    if evaluator is not None:
        extra["evaluator_agrees"] = _agreement(case, evaluator, probability.rows(found.x), case.label)
        report["evaluator_agreement"] = float(extra["evaluator_agrees"].mean())
    if train is not None and held_out is not None:
        compared = compare_with_members(case, found.x, case.label, train, held_out)
        extra |= {"nearest_member": compared.member, "nearest_held_out": compared.other}
        extra["correlation_with_class_mean"] = compared.correlation
        report |= compared.summary()
    return extra, report


def _random_points(case: Case, begun: Floats, distance: Floats) -> Floats:
    """A point in a random direction for each row, at the distance of its result."""
    drawn = [
        case.seed.child("inversion", "random", one).generator().normal(size=begun.shape[1:]) for one in case.rows.ids
    ]
    directions = np.stack(drawn).reshape(len(begun), -1)
    directions *= (distance / np.linalg.norm(directions, axis=1))[:, None]
    return begun + directions.reshape(begun.shape)


def _agreement(case: Case, evaluator: Any, points: Any, classes: Ints) -> Floats:
    """1 where another model predicts the class, else 0 (row,); classes correspond by name, else by position."""
    model = evaluator if isinstance(evaluator, Model) else wrap(evaluator)
    outputs = ask(model, points, seed=case.seed).prediction
    predicted = predicted_class(outputs, model.gives)
    if not case.model.classes or not model.classes or set(case.model.classes) != set(model.classes):
        return (predicted == classes).astype(np.float64)
    named = np.array(model.classes)[predicted] == np.array(case.model.classes)[classes]
    return np.asarray(named.astype(np.float64))


def _flat(case: Case, found: Inversion) -> tuple[Note, ...]:
    if not len(found.flat):
        return ()
    ids = tuple(case.rows.ids[int(row)] for row in found.flat)
    text = (
        f"the slope of the probability is zero at the start of {len(ids)} rows, so that the search cannot move: "
        f"another start, or gradient='nes' with a larger sigma, may succeed where it is rounded or saturated"
    )
    return (Note("zero-gradient", text, ids),)
