# SPDX-License-Identifier: Apache-2.0
"""Label poisoning: the training labels whose change harms a linear model most."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.stats import clopper_pearson
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.cost import Given
from assay.engine.declare import attacker
from assay.engine.influence.linear_fit import LinearFit
from assay.engine.influence.read_fit import is_linear_fit, read_estimator, read_last_layer
from assay.engine.influence.training_rows import training_case
from assay.engine.poisoning.label_flips import random_flips, refitted, worst_flips
from assay.engine.retraining.fine_tuning import require_pair
from assay.engine.retraining.labelled_rows import true_labels
from assay.engine.search.threat import Labels
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.target import predicted_class, probabilities


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """The training rows once; for a last layer those and the rows once more, to read what it receives."""
    rows = len(o.train[1])
    more = 0 if is_linear_fit(case.model) else rows + len(case)
    return Cost(rows + more) * case.model.passes_per_row


@attacker(source="koh2017", needs={"train"}, cost=_cost)
def labels(
    case: Case,
    *,
    train: Any,
    labels: Labels | None = None,
    share: float = 0.05,
    draws: int = 5,
    weight_decay: float = 0.0,
    damping: float = 0.0,
) -> dict[str, Any]:
    """The probability of the true class after the labels of a share of the training rows were changed.

    For a LogisticRegression, LinearRegression or Ridge of scikit-learn (also behind a pipeline), or the last linear
    layer of a net, the layers before it held fixed. ``train`` (rows, labels) trained the model; of a net give its
    ``weight_decay`` and a ``damping`` where its layer is not determined. The case holds rows with true ``labels``
    (default: what the model predicts). The change of each label moves the weights by H⁻¹ (∇ℓ(y) − ∇ℓ(y′)) to first
    order; the share ``share`` of the training rows with the largest rise of the mean loss on a random half of the
    case's rows gets the other label (of a regression the end of the range of labels), all at once: greedy rounds are no
    better. The model is then fitted again, exactly, to the optimum of the same objective.

    ``before`` and ``after`` are the probability of the true class at each row (of a regression the squared error),
    ``random`` its mean over ``draws`` models with as many labels changed at random. A row succeeds where the decision
    was right and is wrong (the squared error rose). ``distance`` is the share of labels changed. ``x`` are the rows,
    unchanged. ``validity`` has the accuracies (mean squared errors) on the half that chose nothing, with
    Clopper–Pearson limits. ``extra["changed"]`` are positions of the training rows, ``extra["label"]`` their new
    labels.

    ``diagnose.label_errors`` looks for such labels; it finds labels that contradict the model, and the worst flips are
    often of rows that lie far out and pull the model to agree with them.
    """
    if not (0 < share < 1 and draws >= 1):
        raise InputError(f"share={share}, draws={draws}; needed are a share in (0, 1) and draws ≥ 1.")
    require_pair("train", train)
    fit = _fit(case, train, damping, weight_decay)
    true = case.prediction[:, 0] if case.model.gives == "values" else _decisions(case, case.prediction)
    if labels is not None:
        true = np.asarray(true_labels(case.model, labels, len(case), case.prediction))
    count = max(1, round(share * len(fit.x)))
    order = case.seed.child("labels", "rows").generator().permutation(len(case))
    chosen, judged = np.sort(order[: (len(case) + 1) // 2]), np.sort(order[(len(case) + 1) // 2 :])
    flips = worst_flips(fit, fit.tests[chosen], true[chosen], count)
    seeds = [case.seed.child("labels", "random", number) for number in range(draws)]
    models = [refitted(fit, fit.labels), refitted(fit, flips.labels)]
    models += [refitted(fit, random_flips(fit, count, seed).labels) for seed in seeds]
    outputs = [one.outputs(fit.tests @ one.weights.T) for one in models]
    quality = np.stack([_quality(case, one, true) for one in outputs])
    decided = [true if case.model.gives == "values" else _decisions(case, one) for one in outputs[:2]]
    is_value = case.model.gives == "values"
    return {
        "x": case.rows.x,
        "success": quality[1] > quality[0] if is_value else (decided[0] == true) & (decided[1] != true),
        "prediction_unchanged": decided[0] == decided[1],
        "distance": np.full(len(case), count / len(fit.x)),
        "before": quality[0],
        "after": quality[1],
        "random": quality[2:].mean(axis=0),
        "quantity": "squared error" if is_value else "probability of the true class",
        "validity": {"labels changed": count, "training rows": len(fit.x), **_on(case, outputs, true, judged)},
        "extra": {
            "changed": flips.which.astype(np.float64),
            "label": np.asarray(flips.labels, dtype=np.float64)[flips.which].ravel(),
        },
    }


def _fit(case: Case, train: Any, damping: float, weight_decay: float) -> LinearFit:
    """The linear fit, at the optimum of its objective."""
    if not is_linear_fit(case.model) and case.model.net is None:
        raise CapabilityError(
            f"attack.labels needs a LogisticRegression, LinearRegression or Ridge of scikit-learn, or a torch net; "
            f"{case.model.name} is none."
        )
    rows = training_case(case, train)
    if is_linear_fit(case.model):
        return read_estimator(case, rows, damping)[0]
    return read_last_layer(case, rows, damping, weight_decay)[0]


def _decisions(case: Case, outputs: Floats) -> Ints:
    return np.asarray(predicted_class(outputs, case.model.gives))


def _quality(case: Case, outputs: Floats, true: Ints | Floats) -> Floats:
    """Probability of the true class (row,), or the squared error."""
    if case.model.gives == "values":
        return np.asarray((outputs[:, 0] - true) ** 2)
    chances = np.asarray(probabilities(outputs, case.model.gives))
    return np.asarray(chances[np.arange(len(chances)), true.astype(np.int64)])


def _on(case: Case, outputs: list[Floats], true: Ints | Floats, judged: Ints) -> dict[str, Any]:
    """Accuracy, or mean squared error, on the rows that chose nothing: before, after, and after random changes."""
    found: dict[str, Any] = {"rows that chose nothing": len(judged)}
    if not len(judged):
        return found
    if case.model.gives == "values":
        errors = [float(_quality(case, one, true)[judged].mean()) for one in outputs]
        names = ("mean squared error before", "mean squared error", "mean squared error after random changes")
        return {**found, **dict(zip(names, (errors[0], errors[1], float(np.mean(errors[2:])))))}
    right = [(_decisions(case, one) == true)[judged] for one in outputs]
    for name, one in zip(("accuracy before", "accuracy"), right[:2]):
        limits = clopper_pearson(int(one.sum()), len(judged))
        found |= {name: float(one.mean()), f"{name}, limits": [limits.low, limits.high]}
    return {**found, "accuracy after random changes": float(np.mean([one.mean() for one in right[2:]]))}
