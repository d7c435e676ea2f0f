# SPDX-License-Identifier: Apache-2.0
"""Influence of training data."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.influence.changes import (
    MEMORY,
    InfluenceOptions,
    TrainingChanges,
    influence_cost,
    training_changes,
    with_labels,
)
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.results.result import Estimate

MOST_ROWS, MOST_PARTS = 20, 5
"""Rows described, and training rows named on either side of each."""


@explainer(source="koh2017", needs={"train"}, cost=influence_cost)
def training_influence(
    case: Case,
    *,
    train: Any,
    method: Literal["auto", "newton", "gauss_newton", "ek_fac", "tracin", "gradient", "refit"] = "auto",
    recipe: Recipe | None = None,
    groups: Sequence[str] = (),
    ids: Sequence[str] = (),
    damping: float | None = None,
    weight_decay: float = 0.0,
    checkpoints: Sequence[Any] = (),
    rates: tuple[float, ...] = (),
    steps: int = 3,
    refits: int = 100,
    seeds: int = 1,
    memory: int = MEMORY,
) -> Estimate:
    """How much the target at a row would change if a training row were left out of the training.

    Values (row, training row), in units of the target: T without − T with. For the target "loss" a positive value means
    that the training row helps there; for a score or a probability a negative value means that it supports the class.
    ``train`` is the pair of training rows and labels; the parts are its rows, named by ``ids`` (default: a unique
    index, else 0, 1, …), or with ``groups``, one name a training row, groups that are left out together. Nothing is
    normalised.

    ``"newton"``: ``steps`` Newton steps of the training loss without the row, whose leverage enters (Cook, Pregibon
    1981), and the target evaluated there: amounts. Of LogisticRegression, LinearRegression (exact) and Ridge, also
    behind a pipeline, whose steps are held fixed; of nets for the last linear layer, the others fixed, with
    ``weight_decay`` as in ``torch.optim``. Steps beyond the first cost the square of the training rows.
    ``"gauss_newton"``: the influence function (Koh and Liang 2017), (1/n) ∇T · (G + λI)⁻¹ ∇ℓ, with the Gauss–Newton
    matrix G of a net's linear and convolutional layers, λ = ``damping`` (1) times its mean eigenvalue +
    ``weight_decay``; by one factorisation up to 5,000 weights, by conjugate gradients above; of linear models G is the
    Hessian and λ 0. ``"ek_fac"``: the same with EK-FAC (Grosse et al. 2023), λ from ``damping`` (0.1) times the mean of
    each layer. These two rank training rows; the size of their values depends on λ. ``"tracin"``: (1/n) Σ rate · ∇T ·
    ∇ℓ over ``checkpoints`` (Pruthi et al. 2020), ``rates`` their learning rate times the steps that each stands for.
    ``"gradient"``: ∇T · ∇ℓ, in no unit of the target. ``"refit"``: the ``recipe`` trains again without each part, at
    most ``refits`` times; with several ``seeds`` their mean and standard error. ``"auto"`` takes newton for linear
    models, gauss_newton for nets of up to 5,000 weights, ek_fac for larger ones, refit for others.

    ``extra["self_influence"]`` (training row,) is the same for the training row's own loss (not for groups and refits);
    high values are atypical or mislabelled rows. ``extra["train_label"]`` (training row,) is its class position, or
    number. ``memory`` bounds the bytes of matrices and gradients.

    Single rows of nets are within the noise of the training's seed: use groups, and
    ``evaluate.linear_datamodeling_score``. Values of dattri have the opposite sign, those of kronfluence lack the 1/n,
    and neither has the step with leverage.
    """
    options = InfluenceOptions(
        method, recipe, groups, ids, damping, weight_decay, checkpoints, rates, steps, refits, seeds, memory
    )
    found = training_changes(case, train, options)
    extra = {} if found.own is None else {"self_influence": found.own}
    if not found.parts.grouped:
        extra["train_label"] = np.asarray(found.train.label, dtype=np.float64)
    return Estimate(
        found.values,
        found.stderr,
        notes=found.notes,
        extra=extra,
        features=found.parts.features,
        description=_describe(case, found),
    )


def _describe(case: Case, found: TrainingChanges) -> tuple[str, ...]:
    """For the first rows, the training rows without which the target falls most, and those without which it rises."""
    names = with_labels(found)
    what = "group" if found.parts.grouped else "training row"
    lines = [f"method {found.method}; {len(names):,} {what}s; T is {case.target_text}"]
    for row in range(min(len(case), MOST_ROWS)):
        values = found.values[row]
        order = np.argsort(values, kind="stable")
        down = [f"{names[i]} {values[i]:+.3g}" for i in order[:MOST_PARTS] if values[i] < 0]
        up = [f"{names[i]} {values[i]:+.3g}" for i in order[::-1][:MOST_PARTS] if values[i] > 0]
        lines.append(f"row {case.rows.ids[row]}: T falls without {', '.join(down) or 'none'}")
        lines.append(f"row {case.rows.ids[row]}: T rises without {', '.join(up) or 'none'}")
    return tuple(lines)
