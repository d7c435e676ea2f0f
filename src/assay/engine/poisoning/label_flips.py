# SPDX-License-Identifier: Apache-2.0
"""Labels of training rows changed so that the loss on other rows rises most, for fits that are linear in weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints
from assay.engine.influence.linear_fit import LinearFit

STEPS, SMALLEST, OPTIMAL = 60, 1e-6, 1e-11
"""Newton steps of a fit, the smallest share of a step, and the gradient, as a share of the rows' own, at which it ends.
"""


@dataclass(frozen=True, eq=False)
class Flips:
    """Training rows ``which`` (flip,) and the ``labels`` of all rows (row,), theirs changed."""

    which: Ints
    labels: Ints | Floats


def flip_effects(fit: LinearFit, tests: Floats, true: Ints | Floats) -> tuple[Floats, Ints | Floats]:
    """What the mean loss at ``tests`` (test, column) rises by for each changed label, and that label, both (row,).

    To first order: Δθ = H⁻¹ (∇ℓ(y) − ∇ℓ(y′)) for each row, times the gradient of the mean loss; for squared error the
    weights are exact. Of several classes the worst; of a regression the end of the training labels that raises the
    loss.
    """
    at = replace(fit, x=tests, labels=true, importance=np.ones(len(tests)))
    slope = at.row_gradients.mean(axis=0)
    solved = fit.solve(slope[:, None]).reshape(fit.weights.shape)
    pull = fit.importance[:, None] * (fit.x @ solved.T)
    labels = np.asarray(fit.labels)
    if fit.link == "identity":
        own = labels.reshape(len(labels), -1)[:, 0]
        moved = np.where(pull[:, 0] > 0, own.max(), own.min())
        return np.asarray(pull[:, 0] * (moved - own)), np.asarray(moved)
    if fit.link == "sigmoid":
        return np.asarray(pull[:, 0] * (1 - 2 * labels)), np.asarray(1 - labels)
    rise = pull - pull[np.arange(len(labels)), labels][:, None]
    rise[np.arange(len(labels)), labels] = -np.inf
    return np.asarray(rise.max(axis=1)), np.asarray(rise.argmax(axis=1))


def worst_flips(fit: LinearFit, tests: Floats, true: Ints | Floats, count: int) -> Flips:
    """The ``count`` changes of a label with the largest effects, all at once."""
    effects, moved = flip_effects(fit, tests, true)
    which = np.sort(np.argsort(-effects, kind="stable")[:count])
    return _changed(fit, which, moved)


def random_flips(fit: LinearFit, count: int, seed: Seed) -> Flips:
    """As many rows drawn by the seed, each with another class, or the farther end of the training labels."""
    generator, labels = seed.generator(), np.asarray(fit.labels)
    which = np.sort(generator.choice(len(labels), count, replace=False))
    if fit.link == "identity":
        own = labels.reshape(len(labels), -1)[:, 0]
        return _changed(fit, which, np.where(generator.random(len(own)) < 0.5, own.max(), own.min()))
    classes = 2 if fit.link == "sigmoid" else len(fit.weights)
    return _changed(fit, which, (labels + generator.integers(1, classes, len(labels))) % classes)


def _changed(fit: LinearFit, which: Ints, moved: Ints | Floats) -> Flips:
    labels = np.array(fit.labels)
    labels[which] = np.asarray(moved)[which].reshape(labels[which].shape)
    return Flips(which, labels)


def refitted(fit: LinearFit, labels: Ints | Floats) -> LinearFit:
    """The optimum of the same objective with other labels, by Newton steps, halved until the objective falls."""
    found = replace(fit, labels=labels)
    for _ in range(STEPS):
        slopes = found.importance[:, None] * found.slopes
        total = slopes.T @ found.x + found.penalty * found.weights
        step = found.solve(total.reshape(-1, 1)).reshape(found.weights.shape)
        before, size = _objective(found), 1.0
        moved = replace(found, weights=found.weights - step)
        while _objective(moved) > before and size > SMALLEST:
            size /= 2
            moved = replace(found, weights=found.weights - size * step)
        found = moved
        if found.gradient_share() < OPTIMAL:
            break
    return found


def _objective(fit: LinearFit) -> float:
    """Σ w ℓ + ½ Σ λ θ², with ½ of the squared error."""
    half = 0.5 if fit.link == "identity" else 1.0
    return float(fit.importance @ fit.losses(fit.scores)) * half + 0.5 * float((fit.penalty * fit.weights**2).sum())
