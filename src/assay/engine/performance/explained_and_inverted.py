# SPDX-License-Identifier: Apache-2.0
"""How well the gradients of a net explain its classes, and how well the classes can be reconstructed from it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from assay.basics.stats import pearson
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.cases.new_case import case as ask
from assay.nouns.catalogue import find
from assay.nouns.inputs.rows import to_floats

ALIGNMENT, VISUALISATION = "gradient alignment", "visualisation correlation"
INVERSION, NEAREST = "reconstruction correlation", "reconstructions nearest to their class"

STEPS = 60
"""Steps of a visualisation, and of a reconstruction."""

MOST_CLASSES = 10
"""Classes that are visualised and reconstructed, the first ones among the rows."""

PASSES = 2 * MOST_CLASSES * (2 * STEPS + 20)
"""The most passes of the visualisations and reconstructions of one net."""


def explained_and_inverted(case: Case, labels: Ints) -> Mapping[str, float]:
    """Four numbers of a net, from rows with their labels; a robust net tends to have more of each.

    ``gradient alignment``: mean cosine of the gradient of the label's score with (mean of its class − mean of all).
    ``visualisation correlation``, for pictures: mean correlation of ``explain.feature_visualisation`` of each class
    with the mean of its rows. ``reconstruction correlation``: the same of ``attack.model_inversion`` from the middle
    of the range of the rows; ``reconstructions nearest to their class``: the share that correlate most with their own
    class mean; a constant picture counts as 0. Empty where the rows hold fewer than two classes. High numbers are good
    for who explains, and a risk where a class is one person.
    """
    x = to_floats(case.rows.x).reshape(len(case), -1)
    classes = np.unique(labels)[:MOST_CLASSES]
    if len(np.unique(labels)) < 2 or not np.ptp(x) > 0:
        return {}
    means = np.stack([x[labels == one].mean(axis=0) for one in np.unique(labels)])
    low, high = float(x.min()), float(x.max())
    scores = case.with_target("log_odds", label=labels)
    slope = to_floats(scores.gradient(scores.rows.x)).reshape(len(case), -1)
    towards = means[np.searchsorted(np.unique(labels), labels)] - x.mean(axis=0)
    found = {ALIGNMENT: _mean((slope * towards).sum(axis=1), slope, towards)}
    if len(case.rows.shape) == 3:
        options = {"units": tuple(map(int, classes)), "bounds": (low, high), "starts": 1, "steps": STEPS}
        pictures = find("explain", "feature_visualisation").call(case, **options).extra["pictures"]
        found[VISUALISATION] = float(_with_own(pictures, means)[0].mean())
    middle = np.full((len(classes), *case.rows.shape), (low + high) / 2)
    start = ask(case.model, case.rows.convert(middle), seed=case.seed)
    options = {"labels": classes, "start": None, "steps": STEPS, "patience": STEPS, "bounds": (low, high)}
    own, is_nearest = _with_own(to_floats(find("attack", "model_inversion").call(start, **options).x), means)
    return {**found, INVERSION: float(own.mean()), NEAREST: float(is_nearest.mean())}


def _mean(product: Floats, one: Floats, other: Floats) -> float:
    length = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    known = length > 0
    return float((product[known] / length[known]).mean()) if known.any() else float("nan")


def _with_own(x: Floats, means: Floats) -> tuple[Floats, Floats]:
    """Correlations (class,) of points with their class mean, and whether it is the highest among all class means."""
    flat = x.reshape(len(x), -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        every = np.stack([pearson(flat, np.tile(one, (len(flat), 1))) for one in means], axis=1)
    place = np.arange(len(flat))
    every = np.nan_to_num(every)  # a constant picture correlates with nothing
    own = every[place, place]
    return own, np.asarray((own > 0) & (own >= every.max(axis=1)), dtype=np.float64)
