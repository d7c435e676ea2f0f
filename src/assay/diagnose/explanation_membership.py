# SPDX-License-Identifier: Apache-2.0
"""Whether explanations leak more about membership than predictions do."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.new_case import case as ask
from assay.engine.audit_inputs import AuditInputs
from assay.engine.declare import diagnostic
from assay.engine.privacy.explanation_leak import (
    area_of,
    attribution_numbers,
    auc_gain,
    cross_fitted_attack,
    prediction_numbers,
)
from assay.engine.retraining.labelled_rows import true_labels
from assay.nouns.catalogue import Check, Cost
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.finding import Finding

FOLDS = 5
LEAST_ROWS = 50
"""Fewest rows on either side."""

BEYOND = Check(
    "PRV107",
    "Do gradient explanations leak more about membership than predictions do?",
    "Publish explanations that do not follow the gradient at the row itself (averaged, by removal, or with noise).",
    assumes=("DAT103",),
)

MEANING = (
    "Area under the ROC curve of an attack that reads predictions and attributions, minus that of the same attack on "
    "predictions alone, on the same rows: 0 if the explanation adds nothing, at most 0.5. Below 0 the attributions add "
    "only noise to the attack. It is about these attributions and this attack: another one may find more. Attributions "
    "of the loss would contain the residual, and so the loss itself; those of the margin do not."
)


def _audit_cost(inputs: AuditInputs) -> Cost:
    assert inputs.train is not None
    rows = len(inputs.train[1]) + len(inputs.case)
    return Cost(3 * rows, rows) * inputs.model.passes_per_row


@diagnostic(
    source="shokri2021",
    needs={"labels", "train", "classes", "gradient", "numbers"},
    checks=(BEYOND,),
    audit_cost=_audit_cost,
    has_exact_cost=False,
)
def explanation_membership(
    case: Case,
    labels: Any,
    train: Any,
    train_labels: Any,
    *,
    times_input: bool = False,
    rows: int = 2000,
    level: float = 0.95,
) -> list[Finding]:
    """Membership inference from explanations: what attributions show about membership beyond predictions.

    The case holds rows that the model was not trained on. PRV107: two logistic attacks are fitted on the same folds
    (five, each row scored by an attack fitted on the others): one reads the prediction (confidence in the label and in
    the class predicted, the second class, entropy, whether it is correct), the other also the variance and the ℓ₁ norm
    of the gradient of the margin of the predicted class, with ``times_input`` multiplied by the input. The estimate is
    the gain in area under the ROC curve, with DeLong's paired interval. At most ``rows`` rows of either side, drawn by
    the seed; under 50 it is not run.

    Published attacks report the area of the attributions alone, which is high wherever attributions reveal the
    confidence. Perturbation-based explanations leak less than gradients do.
    """
    if rows < LEAST_ROWS:
        raise InputError(f"rows={rows}; at least {LEAST_ROWS} rows of either side are needed.")
    sides = [(case, labels), (_case_of(case, train), train_labels)]
    if min(len(one) for one, _ in sides) < LEAST_ROWS:
        return [_not_run(case, min(len(one) for one, _ in sides))]
    read = [_numbers(one, given, rows, times_input) for one, given in sides]
    predictions, attributions = (np.concatenate([one[part] for one in read]) for part in (0, 1))
    is_inside = np.arange(len(predictions)) >= len(read[0][0])
    return [_gain(case, predictions, attributions, is_inside, times_input, level)]


def _gain(
    case: Case, predictions: Floats, attributions: Floats, is_inside: Masks, times_input: bool, level: float
) -> Finding:
    folds = _assign_folds(is_inside, case)
    base = cross_fitted_attack(predictions, is_inside, folds)
    both = cross_fitted_attack(np.concatenate([predictions, attributions], axis=1), is_inside, folds)
    gain, interval = auc_gain(base, both, is_inside, level)
    scores = {
        "predictions": base,
        "predictions and attributions": both,
        "attributions": cross_fitted_attack(attributions, is_inside, folds),
        "a low variance": -attributions[:, 0],
        "a low norm": -attributions[:, 1],
    }
    areas = {f"auc of {name}": area_of(values, is_inside) for name, values in scores.items()}
    return Finding(
        BEYOND.code,
        "informative",
        f"Reading gradient attributions in addition to predictions changes the area of a membership attack by "
        f"{gain:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}], from {areas['auc of predictions']:.3f}.",
        case.model.name,
        estimate=gain,
        interval=interval,
        null=0.0,
        n=len(is_inside),
        meaning=MEANING,
        advice="An interval above 0 is a leak of the explanations themselves; one that contains 0 is no proof of "
        "privacy.",
        evidence={
            **areas,
            "attributions": "gradient × input" if times_input else "gradient",
            "inside": int(is_inside.sum()),
            "outside": int((~is_inside).sum()),
        },
    )


def _case_of(case: Case, data: Any) -> Case:
    """The same model about other rows."""
    return ask(case.model, data, label=None, seed=case.seed)


def _numbers(one: Case, labels: Any, rows: int, times_input: bool) -> tuple[Floats, Floats]:
    """What the attacks read from predictions (row, number) and from attributions (row, 2)."""
    true = np.asarray(true_labels(one.model, labels, len(one), one.prediction))
    if len(one) > rows:
        chosen = np.sort(one.seed.child("leak rows").generator().choice(len(one), rows, replace=False))
        one, true = one.take(chosen), true[chosen]
    asked = one.with_target("margin", "predicted")
    gradient = asked.gradient(asked.rows.x)
    values = to_floats(gradient.detach() if is_torch_array(gradient) else gradient)
    values = values * to_floats(asked.rows.x) if times_input else values
    return prediction_numbers(asked.prediction, true, asked.model), attribution_numbers(values)


def _assign_folds(is_inside: Masks, case: Case) -> Ints:
    """Folds of equal size on either side."""
    folds = np.empty(len(is_inside), dtype=np.int64)
    for side in (False, True):
        which = np.flatnonzero(is_inside == side)
        folds[which] = case.seed.child("leak folds", side).generator().permutation(len(which)) % FOLDS
    return folds


def _not_run(case: Case, rows: int) -> Finding:
    return Finding(
        BEYOND.code,
        "not run",
        f"{rows} rows on one side are too few to fit attacks; at least {LEAST_ROWS} are needed.",
        case.model.name,
        n=rows,
        meaning=MEANING,
        advice=f"Give at least {LEAST_ROWS} training rows and as many unseen rows.",
    )
