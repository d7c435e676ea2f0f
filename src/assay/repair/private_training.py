# SPDX-License-Identifier: Apache-2.0
"""Training with differential privacy as a repair."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.cases.new_case import case as ask
from assay.engine.audit_inputs import AuditInputs
from assay.engine.declare import repairer
from assay.engine.performance.held_out import compare_performance, overlap_notes
from assay.engine.privacy.bounds import VACUOUS_FROM, advantage_bound, comparable_budget, exponential_bound
from assay.engine.privacy.private_fit import (
    PrivateOptions,
    TrainingRows,
    fit_privately,
    fit_with_early_stopping,
    model_of_net,
    new_net,
    require_private_layers,
)
from assay.engine.retraining.fine_tuning import require_pair
from assay.engine.retraining.labelled_rows import read_like, true_labels
from assay.model.model import Model
from assay.nouns.catalogue import Cost, find
from assay.nouns.results.result import Note

ADVANTAGE = "advantage of the loss attack"
PLAIN = ", without privacy"
"""What follows the names of the numbers of the net that is trained without privacy."""

EPOCHS = 20
"""Default number of epochs."""


def _audit_cost(inputs: AuditInputs) -> Cost:
    """Twice so many epochs on the training rows, the validation rows, and both measurements of three models."""
    assert inputs.train is not None
    rows, held_out = len(inputs.train[1]), len(inputs.case)
    return Cost(rows * (4 * EPOCHS + 5) + 8 * held_out) * inputs.model.passes_per_row


@repairer(
    source="abadi2016",
    needs={"gradient", "net", "classes", "numbers", "train", "labels"},
    answers=("PRV101", "PRV102", "PRV104"),
    side_effects="Accuracy falls, most in small groups and rare classes, since noise outweighs their clipped "
    "gradients; the net is another one, and explanations of the same rows change.",
    audit_cost=_audit_cost,
)
def private_training(
    case: Case,
    *,
    train: tuple[Any, Any],
    held_out: tuple[Any, Any],
    epsilon: float = 1.0,
    delta: float | None = None,
    max_grad_norm: float = 1.0,
    epochs: int = EPOCHS,
    batch: int = 64,
    rate: float = 0.5,
    fresh: Any = None,
) -> Mapping[str, Any]:
    """A net trained again with (ε, δ) differential privacy, which limits what any attack can find out about a row.

    DP-SGD (Opacus): a row enters each batch with probability ``batch`` / rows, its gradient is clipped to the norm
    ``max_grad_norm``, and normal noise is added to the sum. The PRV accountant finds the noise with which ``epochs``
    passes spend ``epsilon`` at ``delta`` (default: 1 / (10 · rows)). The guarantee compares training sets with and
    without one row. ``fresh()`` returns a new net of the same inputs and outputs; by default the case's net gets new
    weights. BatchNorm and other layers that mix rows are refused (``CapabilityError``).

    ``before`` and ``after``: accuracy on ``held_out`` with limits at 95 %, and the advantage TPR − FPR of the loss
    attack (``diagnose.membership``) with limits. ``baseline`` is trained from the same new weights without privacy,
    by SGD with the same rate, weight decay 0.01 and early stopping on a fifth of the training rows; its numbers have
    names that end in "without privacy". Needs Opacus: pip install 'assay[privacy]'.

    Choosing options by trying several on the same training rows is not covered by the guarantee. A row is not a person:
    someone with k rows is protected with kε. Opacus' noise comes from torch's generator, not from a cryptographic one.
    """
    require_pair("train", train)
    require_pair("held_out", held_out)
    true_labels(case.model, held_out[1], len(read_like(case, held_out[0])), case.prediction)
    if fresh is not None and not _takes_nothing(fresh):
        raise InputError(
            f"fresh is a {type(fresh).__name__}; give a function without arguments that returns a new net."
        )
    rows, seed = TrainingRows.of(case, train), case.seed.child("private training")
    if not len(rows):
        raise InputError("train has no rows; give the rows the net was trained on, with their labels.")
    options = PrivateOptions(
        epsilon=float(epsilon),
        delta=1 / (10 * len(rows)) if delta is None else float(delta),
        max_grad_norm=float(max_grad_norm),
        epochs=epochs,
        batch=min(batch, len(rows)),
        rate=float(rate),
    )
    options.check(len(rows))
    first, second = new_net(case, fresh, seed), new_net(case, fresh, seed)
    require_private_layers(first)
    fitted = fit_privately(first, rows, options, seed)
    plain, stopped = fit_with_early_stopping(second, rows, options, seed)
    model = model_of_net(case, fitted.net, f"trained with ε = {options.epsilon:g}")
    simple = model_of_net(case, plain, "trained without privacy")
    before, after, difference = _measured(case, model, simple, train, held_out)
    return {
        "model": model,
        "baseline": simple,
        "baseline_change": f"trained again without privacy, with weight decay and early stopping (epoch {stopped})",
        "change": f"trained again on {len(rows)} rows with differential privacy, ε = {fitted.epsilon:.3g} and δ = "
        f"{options.delta:.2g}: noise of {fitted.noise:.3g} times the clipping norm {options.max_grad_norm:g}",
        "before": before,
        "after": after,
        "notes": (*overlap_notes(train[0], held_out[0]), difference, _guarantee(options), *_cut(batch, len(rows))),
    }


def _measured(
    case: Case, model: Model, simple: Model, train: Any, held_out: Any
) -> tuple[dict[str, float], dict[str, float], Note]:
    """Accuracy and advantage before and after, each also of the baseline, and the paired difference of accuracy."""
    before, after, difference = compare_performance(case, model, held_out)
    other = compare_performance(case, simple, held_out)[1]
    was, now, plain = (
        numbers | _advantage(case, one, train, held_out)
        for numbers, one in ((before, case.model), (after, model), (other, simple))
    )
    compared = [name for name in plain if not name.endswith((", low", ", high"))]
    own = {f"{name}{PLAIN}": was[name] for name in compared}
    return was | own, now | {f"{name}{PLAIN}": plain[name] for name in compared}, difference


def _takes_nothing(call: Any) -> bool:
    """Whether something can be called without arguments."""
    try:
        inspect.signature(call).bind()
    except (TypeError, ValueError):
        return False
    return True


def _advantage(case: Case, model: Model, train: Any, held_out: Any) -> dict[str, float]:
    """The advantage of the loss attack with its limits at 95 %."""
    inside = ask(model, train[0], target="loss", label=train[1], seed=case.seed)
    finding = find("diagnose", "membership").call(inside, train[1], *held_out)[0]
    limits = {f"{ADVANTAGE}, low": finding.interval.low, f"{ADVANTAGE}, high": finding.interval.high}
    return {ADVANTAGE: float(finding.estimate), **limits}


def _guarantee(options: PrivateOptions) -> Note:
    epsilon, delta = comparable_budget(options.epsilon, options.delta, "add-remove")
    empty = f" (from ε = {VACUOUS_FROM:.3f} on this says nothing)" if epsilon >= VACUOUS_FROM else ""
    text = (
        f"(ε, δ) = ({options.epsilon:g}, {options.delta:.2g}) for a row added or removed, ({epsilon:g}, {delta:.2g}) "
        f"for a row replaced: no membership attack on a random split has an advantage above "
        f"{advantage_bound(epsilon, delta):.3f}; e^ε − 1 = {exponential_bound(epsilon):.3g}{empty}. Options that were "
        f"tried on the same rows before are not counted"
    )
    return Note("differential-privacy", text)


def _cut(batch: int, rows: int) -> tuple[Note, ...]:
    return (Note("batch", f"batch={batch} for {rows} rows; all rows are in every batch"),) if batch > rows else ()
