# SPDX-License-Identifier: Apache-2.0
"""The result of an attack on predictions, evaluated again and reported with what makes its number valid or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.stats import clopper_pearson
from assay.basics.types import Array, Floats, Masks
from assay.cases.case import Case
from assay.engine.search.threat import Goal, Threat, choose_rows
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Note

BOUNDARY = 1e-6
"""A success with a smaller margin may be a matter of rounding."""

RISING = 0.05
"""A row is still rising where so much of the fall of its margin came in the last tenth of the steps."""

RISING_ROWS = 0.1
"""The share of rows still rising from which a note says so."""

VANISHING = 0.1
"""A note says so where the share of gradient elements that are 0 grows by so much during the search."""

NARROW = 0.05
"""Rows that fill less than this share of the range of the bounds may be in other units."""

SUM_SLACK = 1e-3
"""How far the outputs of a row may sum from 1 and still look like probabilities."""

REPORT_PASSES = 3
"""Passes of all rows for the report: the rows once more, and the points found in two batch sizes."""

MEANINGS = {
    "labels": "rows that are classified correctly",
    "predictions": "rows whose prediction does not change",
    "targets": "rows that do not reach the target class",
}
"""What the robust accuracy is a share of."""


def attack_report(
    threat: Threat,
    x: Array,
    *,
    edges: Sequence[Array],
    late: Floats | None = None,
    restarts: int = 1,
    notes: Sequence[Note] = (),
    extra: Mapping[str, Floats] | None = None,
    more: Mapping[str, Any] | None = None,
    uses_gradient: bool = True,
) -> dict[str, Any]:
    """The fields of an ``AttackResult`` from the points found: success is computed again, in two batch sizes.

    ``edges`` are random perturbations of full size; ``late`` is the share of progress at the end of the search.
    ``REPORT_PASSES`` passes of all rows, and one for each of ``edges``.
    """
    case, rows, ball = threat.case, threat.x, threat.ball
    again, at_start = threat.outputs(rows), threat.successes(case.prediction)
    x = ball.confine(choose_rows(at_start, rows, x), rows)
    outputs, (sizes, halves) = threat.outputs(x), outputs_in_halves(case, x)
    confirmed, other = threat.successes(outputs), threat.successes(halves)
    distance = np.asarray(ball.length(to_floats(x) - to_floats(rows)))
    inside = (distance <= ball.radius * (1 + 1e-6)) & _within_bounds(x, ball.low, ball.high)
    success = confirmed & other & inside
    after = threat.margins(outputs)
    random = np.min([threat.margins(threat.outputs(edge)) for edge in edges], axis=0)
    clear = success & ~at_start
    validity = {
        **accuracy_fields(threat, success),
        **model_fields(case, again),
        **_input_fields(threat),
        **_point_fields(distance, inside, after[clear], random),
        **{"batch_sizes": sizes, "batches_agree": bool((confirmed == other).all())},
        **{"still_rising": _rising(late, success), "restarts": restarts},
        **(_gradient_fields(threat) if uses_gradient else {}),
        **(more or {}),
    }
    traps = {
        **_model_traps(threat, validity),
        "boundary-success": clear & (after > -BOUNDARY),
        "batch-dependent": confirmed != other,
        "still-rising": _rising_rows(late, success),
        **_search_traps(threat, (random < after) & ~success, uses_gradient=uses_gradient),
    }
    return {
        "x": x,
        "success": success,
        "prediction_unchanged": ~prediction_changed(threat, outputs),
        "distance": distance,
        "before": threat.margins(case.prediction),
        "after": after,
        "random": random,
        "quantity": "margin",
        "notes": (*notes, *trap_notes(case, traps)),
        **{"validity": validity, "extra": {"class": classes_found(threat, outputs), **(extra or {})}},
    }


def accuracy_fields(threat: Goal, success: Masks) -> dict[str, Any]:
    """The robust accuracy with its interval, and what it is a share of."""
    robust, rows = int((~success).sum()), len(success)
    limits = clopper_pearson(robust, rows)
    return {
        "robust_accuracy": robust / rows,
        "robust_accuracy_interval": (limits.low, limits.high),
        "robust_accuracy_of": _meaning(threat),
        "rows": rows,
        "targeted": threat.target is not None,
    }


def model_fields(case: Case, again: Floats) -> dict[str, Any]:
    """Whether the outputs ``again`` of a second pass agree, the mode of the net, and what the outputs are."""
    return {
        "deterministic": bool(np.allclose(again, case.prediction, rtol=1e-4, atol=1e-5)),
        "evaluation_mode": _is_in_evaluation(case),
        "outputs": str(case.model.kind),
        "rows_sum_to_one": _sum_to_one(case.prediction),
    }


def _input_fields(threat: Threat) -> dict[str, Any]:
    ball = threat.ball
    return {
        "input_range": _range(threat.x),
        "bounds": (float(ball.low), float(ball.high)),
        "radius": float(ball.radius),
        "norm": ball.norm,
    }


def _point_fields(distance: Floats, inside: Masks, margins: Floats, random: Floats) -> dict[str, Any]:
    return {
        "largest_distance": float(distance.max()),
        "inside_ball_and_bounds": bool(inside.all()),
        "smallest_margin_of_success": float(-margins.max()) if len(margins) else None,
        "random_robust_accuracy": float((random >= 0).mean()),
    }


def _model_traps(threat: Threat, validity: Mapping[str, Any]) -> dict[str, Masks]:
    case, ball = threat.case, threat.ball
    return {
        "not-deterministic": everywhere(case, not validity["deterministic"]),
        "probabilities-as-logits": everywhere(case, validity["rows_sum_to_one"] and case.model.kind == "logits"),
        "range-and-bounds": everywhere(case, _is_narrow(threat.x, ball.low, ball.high)),
    }


def _search_traps(threat: Threat, random_better: Masks, *, uses_gradient: bool) -> dict[str, Masks]:
    broken = threat.record.broken | threat.record.output_broken
    if not uses_gradient:
        return {"not-finite": broken, "random-better": random_better}
    zero = threat.record.zero & threat.record.evaluated
    return {
        "not-finite": broken,
        "zero-gradient": zero,
        "random-better": random_better & ~zero,
        "vanishing-gradient": everywhere(threat.case, _vanishes(threat)),
    }


def _rising_rows(late: Floats | None, success: Masks) -> Masks:
    """The rows in which the margin was still falling, where they are more than ``RISING_ROWS`` of all."""
    rising = np.zeros(len(success), dtype=bool) if late is None else (late > RISING) & ~success
    return rising if rising.mean() > RISING_ROWS else np.zeros(len(success), dtype=bool)


TEXTS = {
    "not-deterministic": "two passes of the same rows give other outputs, so that success is a matter of chance: use "
    "assay.model.expectation_over_transformations, or make the model deterministic",
    "probabilities-as-logits": "the outputs sum to 1 in every row but are read as logits, so that cross-entropy and "
    "DLR saturate: wrap the model with gives='probabilities'",
    "range-and-bounds": "the rows fill less than a twentieth of the range of the ball's bounds, as normalised data do "
    "where the bounds are those of raw data: give radius and bounds in the units of the rows",
    "random-better": "a random perturbation lowers the margin more than the attack: the gradient is masked or the "
    "search too short, and a failed attack there is no evidence of robustness",
    "boundary-success": "the attack succeeds by a margin below 1e-6, which rounding can undo",
    "batch-dependent": "success depends on the batch size, and is not counted: it is a matter of rounding",
    "not-finite": "a gradient or an output was NaN or infinite; such gradients count as 0, such outputs as failures",
    "still-rising": "the margin still falls at the last step: more steps would find more successes",
    "zero-gradient": "the gradient of the loss is zero at every step: the gradient is masked, and a failed attack "
    "there is no evidence of robustness. Use loss='margin' where scores saturate, assay.model.straight_through where "
    "the input is quantised, or attack.square",
    "vanishing-gradient": "more and more elements of the gradient are zero as the search goes on, as where the model "
    "clamps its input: give the ball the bounds of valid inputs, or wrap the clamp in assay.model.straight_through",
}
"""What each trap means and what to do about it, by the code of its note."""


def trap_notes(case: Case, traps: Mapping[str, Masks]) -> tuple[Note, ...]:
    """One note for each trap that some rows are in."""
    return tuple(
        Note(
            code,
            f"{TEXTS[code]} ({int(hit.sum())} of {len(case)} rows)",
            tuple(name for name, found in zip(case.rows.ids, hit) if found),
        )
        for code, hit in traps.items()
        if hit.any()
    )


def everywhere(case: Case, holds: bool) -> Masks:
    """The same answer for all rows."""
    return np.full(len(case), bool(holds))


def _meaning(threat: Goal) -> str:
    return MEANINGS["targets" if threat.target is not None else "labels" if threat.has_truth else "predictions"]


def prediction_changed(threat: Goal, outputs: Floats) -> Masks:
    """Where the prediction is another than at the rows."""
    from assay.nouns.inputs.target import predicted_class

    found = classes_found(threat, outputs)
    before = predicted_class(threat.case.prediction, threat.gives)
    return np.asarray(np.isfinite(found) & (found != before))


def classes_found(threat: Goal, outputs: Floats) -> Floats:
    """The position of the class predicted at the points found; NaN where an output is not finite."""
    from assay.nouns.inputs.target import predicted_class

    finite = np.isfinite(outputs).all(axis=1)
    safe = np.where(finite[:, None], outputs, threat.case.prediction)
    return np.where(finite, predicted_class(safe, threat.gives), np.nan)


def outputs_in_halves(case: Case, x: Array) -> tuple[tuple[int, int], Floats]:
    """Two batch sizes, and the outputs (row, out) in the smaller one, about half the larger."""
    first = min(len(x), case.max_batch_rows())
    second = max(1, (first + 1) // 2)
    outputs = replace(case, model=replace(case.model, batch=min(second, case.model.batch))).outputs(x)
    return (first, second), to_floats(outputs)


def _within_bounds(x: Array, low: float, high: float) -> Masks:
    flat = to_floats(x).reshape(len(x), -1)
    return np.asarray(((flat >= low) & (flat <= high)).all(axis=1))


def _range(rows: Array) -> tuple[float, float]:
    values = to_floats(rows)
    return float(values.min()), float(values.max())


def _is_narrow(rows: Array, low: float, high: float) -> bool:
    least, most = _range(rows)
    return bool(np.isfinite([low, high]).all() and 0 < most - least < NARROW * (high - low))


def _sum_to_one(outputs: Floats) -> bool:
    sums = outputs.sum(axis=1)
    return bool(
        outputs.shape[1] > 1 and (outputs >= 0).all() and (outputs <= 1).all() and (abs(sums - 1) < SUM_SLACK).all()
    )


def _is_in_evaluation(case: Case) -> bool:
    net = case.model.net
    return net is None or not any(module.training for module in net.modules())


def _rising(late: Floats | None, success: Masks) -> float | None:
    """The share of the rows that the attack did not change in which its margin was still falling."""
    if late is None or success.all():
        return None
    return float((late[~success] > RISING).mean())


def _gradient_fields(threat: Threat) -> dict[str, Any]:
    record = threat.record
    evaluated = max(1, int(record.evaluated.sum()))
    return {
        "zero_gradient_rows": float((record.zero & record.evaluated).sum() / evaluated),
        "zero_gradient_elements": float(np.mean(record.shares)) if record.shares else None,
        "not_finite_gradient_rows": float(record.broken.sum() / evaluated),
    }


def _vanishes(threat: Threat) -> bool:
    """Whether the share of gradient elements that are 0 grows during the search, on rows that have a gradient."""
    shares = threat.record.shares
    return len(shares) > 1 and shares[0] < 1 and max(float(np.mean(shares[1:])), shares[-1]) - shares[0] > VANISHING
