# SPDX-License-Identifier: Apache-2.0
"""Weak features pruned, so that the decisions lean to no class: only experts of either direction are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Ints
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs
from assay.engine.declare import repairer
from assay.engine.fairness.bias_numbers import (
    BIAS,
    bias_numbers,
    copies_note,
    decisions_of,
    difference_note,
    labelled,
    shows_bias,
)
from assay.engine.fairness.decision_shift import best_offsets
from assay.engine.fairness.experts import (
    NET_STEPS,
    Choice,
    PrunableParts,
    best_experts,
    check_scores,
    measure_pair,
    parts_of,
    try_experts,
)
from assay.engine.fairness.unseen_rows import unseen_outputs, unseen_part
from assay.engine.retraining.model_retraining import comparable_model
from assay.model.linear_scores import is_linear, read_linear
from assay.model.transformations.shift_scores import movable_scores, shift_scores
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Note

SHIFTED, CONVERGED, AVERAGED = ", threshold shift", ", converged fit", ", mean of retrained models"
"""What follows the names of the numbers of the plain repairs."""

RETRAINED = 3
"""Models that are trained again and averaged."""

FEWEST = 20
"""Fewest training rows: half rank the features, half choose how many stay."""


def _proposals(inputs: AuditInputs, failed: Sequence[Finding]) -> list[Mapping[str, Any]]:
    """One attempt, where the model is a linear classifier or a net of two classes, and rows are enough to choose."""
    if inputs.train is None or len(inputs.train[1]) < FEWEST:
        return []
    is_binary = len(inputs.model.classes) == 2 or inputs.case.prediction.shape[1] <= 2
    return [{}] if is_binary and (is_linear(inputs.model) or inputs.model.net is not None) else []


def _audit_cost(inputs: AuditInputs) -> Cost:
    """The grid of a net on half of the training rows, the gradients on the other half, and the numbers of each model.

    The models that are trained again give their decisions on the held-out rows.
    """
    train = 0 if inputs.train is None else len(inputs.train[1])
    grid = (NET_STEPS + 1) ** 2 + 4
    return Cost(train * grid + 3 * train + 12 * len(inputs.case), train) * inputs.model.passes_per_row


@repairer(
    source="leino2019",
    needs={"classes", "labels", "train"},
    answers=("FAI302",),
    side_effects="Pruned features no longer count, also for rows that only they speak for; explanations of the "
    "same rows change.",
    proposals=_proposals,
    audit_cost=_audit_cost,
)
def prune_experts(
    case: Case,
    *,
    train: tuple[Any, Any],
    held_out: tuple[Any, Any],
    layer: str | None = None,
    variant: Literal["experts", "parity"] = "experts",
    recipe: Recipe | None = None,
) -> Mapping[str, Any]:
    """A model that keeps only the strongest features of either direction, since many weak ones make decisions lean.

    Feature-wise bias amplification (Leino et al. 2019): training by noisy steps gives many weak features of one
    direction together more weight than they deserve, so that B = P(decision) − P(label) of the second class is not 0.
    Features are the encoded columns of a linear classifier, with influence coefficient × standard deviation, or the
    units of ``layer`` of a torch net (by default the last hidden layer), with the mean gradient of the log odds. A
    column or unit that is pruned adds 0: for standardised columns, its mean.

    variant="experts": the α most positive and the β most negative stay. One half of the ``train`` rows, drawn by the
    seed, ranks the features; on the other half the pair (α, β) with the smallest |B| is chosen among those with no more
    errors than the whole model (at most 41 × 41 pairs, 13 × 13 of a net); a pair that decides for one class only is not
    chosen. Where B of the training rows is not shown to differ from 0, as in a model that learnt them by heart, and
    there is a ``recipe``, the pair is chosen with a model that the recipe trains on the first half, and the same shares
    of the model's own features stay.
    variant="parity": as many of either direction as there are of the rarer one. It collapses to a constant where nearly
    all features have one direction, which a note then says.

    ``before`` and ``after`` have the accuracy and B on ``held_out`` with limits at 95 %, of the model and of the plain
    repairs with the same training rows: "threshold shift" (``repair.threshold_shift``, the ``baseline``, which is 0 by
    construction up to the sample), "converged fit" of linear models (logistic regression of the same columns by L-BFGS,
    C = 1), and with a ``recipe`` "mean of retrained models" (the mean score of 3 models of other seeds). Pruning is
    worth its price only where it does better than these. ``CapabilityError`` where no pair has a smaller |B|.
    """
    rows, labels = labelled(case, train, "train")
    test, truth = labelled(case, held_out, "held_out")
    if len(rows) < FEWEST:
        raise InputError(f"{len(rows)} training rows; at least {FEWEST} are needed, half of them to choose.")
    parts, choice, text, notes = _chosen(case, rows, labels, layer, variant, recipe)
    up, down = parts.directions
    model = parts.prune(parts.remaining(choice.alpha, choice.beta), f"{case.model.name}, pruned to experts")
    plain = _plain_repairs(case, rows, labels, test, recipe)
    decided = {"": decisions_of(model, test)} | {name: one for name, (one, _) in plain.items()}
    was = decisions_of(case.model, test)
    before = bias_numbers(truth, was, 2)
    numbers = {name: bias_numbers(truth, one, 2) for name, one in decided.items()}
    after = {f"{key}{name}": value for name, own in numbers.items() for key, value in own.items() if _shown(key, name)}
    return {
        "model": model,
        "baseline": plain[SHIFTED][1] if SHIFTED in plain else None,
        "baseline_change": f"threshold moved to fit the shares of {len(rows)} training rows"
        if SHIFTED in plain
        else "",
        "change": (
            f"{choice.alpha} of {len(up)} positive and {choice.beta} of {len(down)} negative {parts.kind} kept "
            f"({text}): |B| {choice.bias:.3f} there"
        ),
        "before": before | {f"{key}{name}": before[key] for name in plain for key in before if _shown(key, name)},
        "after": after,
        "notes": (
            *notes,
            *copies_note(rows, test, (train[0], held_out[0])),
            difference_note((was == truth).astype(float), (decided[""] == truth).astype(float)),
            *_constant_note(decided[""], choice),
        ),
    }


def _shown(key: str, name: str) -> bool:
    """Whether a number is listed: all of the repair, and those without limits of plain repairs."""
    return not name or key in ("accuracy", BIAS)


def _chosen(
    case: Case, rows: Case, labels: Ints, layer: str | None, variant: str, recipe: Recipe | None
) -> tuple[PrunableParts, Choice, str, tuple[Note, ...]]:
    """The parts of the model, how many of them stay, and how that was chosen."""
    seed, decided = case.seed.child("experts"), predicted_class(rows.prediction, case.model.gives)
    other = None if shows_bias(labels, decided, 2) else recipe
    order = seed.generator().permutation(len(rows) if other is None else len(other.y))
    first, second = (np.sort(part) for part in np.array_split(order, 2))
    if other is None:
        parts, notes = parts_of(case, rows.take(first), layer)
        check_scores(parts, rows)
        choice, text = _choose(parts, rows.take(second), labels[second], variant)
        return parts, choice, f"{text} on {len(second)} training rows", notes
    half = unseen_part(case, other, second, seed)
    proxy, _ = parts_of(half.rows, half.trained_on, layer)
    check_scores(proxy, half.rows)
    found, text = _choose(proxy, half.rows, half.labels, variant)
    parts, notes = parts_of(case, rows, layer)
    check_scores(parts, rows)
    alpha, beta = (
        round(count * len(own) / max(len(theirs), 1))
        for count, own, theirs in zip((found.alpha, found.beta), parts.directions, proxy.directions)
    )
    how = f"{text} with a model of half of the rows, on the {len(second)} others"
    return parts, replace(found, alpha=alpha, beta=beta), how, notes


def _choose(parts: PrunableParts, rows: Case, labels: Ints, variant: str) -> tuple[Choice, str]:
    """How many features of either direction stay."""
    if variant == "parity":
        fewest = min(len(one) for one in parts.directions)
        return measure_pair(parts, fewest, fewest, rows, labels), "as many of either direction"
    whole, tried = try_experts(parts, rows, labels)
    best = best_experts(whole, tried)
    if best is None:
        raise CapabilityError(
            f"no choice of experts has a smaller |B| than the whole model ({whole.bias:.3f}) without more errors "
            f"({whole.error:.3f}) on {len(rows)} training rows ({len(tried)} tried). Give a recipe if the model learnt "
            f"these rows by heart, or use threshold_shift."
        )
    return best, f"of {len(tried)} pairs tried"


def _plain_repairs(
    case: Case, rows: Case, labels: Ints, test: Case, recipe: Recipe | None
) -> dict[str, tuple[Ints, Any]]:
    """The decisions on the held-out rows after each plain repair, and its model where there is one."""
    found: dict[str, tuple[Ints, Any]] = {}
    outputs, known = rows.prediction, labels
    if recipe is not None and not shows_bias(labels, predicted_class(outputs, case.model.gives), 2):
        outputs, known = unseen_outputs(case, recipe, 3, case.seed.child("threshold shift"))
    offsets = best_offsets(outputs, known, case.model.kind, "shares")
    if np.ptp(offsets) > 0:
        shifted = shift_scores(case.model, offsets)
        found[SHIFTED] = decisions_of(shifted, test), shifted
    if is_linear(case.model) and len(set(labels.tolist())) == 2:
        found[CONVERGED] = _converged(case, rows, labels, test), None
    if recipe is not None:
        total = 0.0
        for number in range(RETRAINED):
            fitted = recipe.train(recipe.x, recipe.y, case.seed.child("averaged", number))
            other = comparable_model(case, fitted)
            scores = movable_scores(_outputs(other, test), other.kind)
            total = total + scores[:, 1] - scores[:, 0]
        found[AVERAGED] = (np.asarray(total) > 0).astype(np.int64), None
    return found


def _outputs(model: Any, rows: Case) -> Any:
    return replace(rows, model=model).prediction


def _converged(case: Case, rows: Case, labels: Ints, test: Case) -> Ints:
    """Logistic regression of the same encoded columns, standardised, fitted until it converges."""
    from sklearn.linear_model import LogisticRegression

    matrix = read_linear(case.model).matrix
    table = matrix(rows.rows)
    mean, spread = table.mean(axis=0), table.std(axis=0)
    spread[spread == 0] = 1.0
    fitted = LogisticRegression(C=1.0, max_iter=2000).fit((table - mean) / spread, labels)
    return np.asarray(fitted.predict((matrix(test.rows) - mean) / spread), dtype=np.int64)


def _constant_note(decided: Ints, choice: Choice) -> tuple[Note, ...]:
    if len(np.unique(decided)) > 1 and not choice.constant:
        return ()
    text = "the pruned model decides for one class only: hardly any feature of the other direction is left"
    return (Note("constant-decision", text),)
