# SPDX-License-Identifier: Apache-2.0
"""The attack by one training row: its parts read from the case, its result verified by a refit, and its baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.samples.correlation import spearman
from assay.basics.stats import clopper_pearson
from assay.basics.types import Array, Floats, Masks
from assay.cases.case import Case
from assay.engine.influence.linear_fit import LinearFit
from assay.engine.influence.point_changes import PointChanges
from assay.engine.influence.point_inputs import Region, head_inputs, position_of
from assay.engine.influence.point_search import PointAim, PointSearch
from assay.engine.influence.read_fit import estimator_fit, is_linear_fit, read_last_layer
from assay.engine.influence.training_rows import require_finite_losses, training_case
from assay.engine.search.ball import Ball
from assay.engine.search.threat import Goal, Labels
from assay.engine.search.validity import BOUNDARY, accuracy_fields, classes_found, prediction_changed, trap_notes
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Note

TRAVEL = 4.0
"""Radii of the first step times their number: steps fall to 0, so that all cover about two."""


@dataclass(frozen=True)
class PointOptions:
    """How the attack is run; see ``attack.training_point``."""

    aim: Literal["each", "together"] = "each"
    row: str | None = None
    candidates: int = 8
    steps: int = 20
    step: float | None = None
    draws: int = 1
    weight_decay: float = 0.0
    decay_bias: bool = True
    ranges: bool | None = None
    tolerance: float = 1e-4

    @property
    def size(self) -> float:
        """The size of a step in radii."""
        return TRAVEL / max(1, self.steps) if self.step is None else self.step

    def check(self) -> None:
        """Raise ``InputError`` for numbers that make no search."""
        counts = {"candidates": self.candidates, "steps": self.steps, "draws": self.draws}
        if min(counts.values()) < 1 or self.size <= 0 or not 0 < self.tolerance < 1:
            raise InputError(
                f"{', '.join(f'{name}={value}' for name, value in counts.items())}, step={self.step}, "
                f"tolerance={self.tolerance}; counts are at least 1, step above 0, tolerance between 0 and 1."
            )


def begin_search(
    case: Case, train: Any, ids: Sequence[str], ball: Ball, labels: Labels | None, options: PointOptions
) -> tuple[PointSearch, float, tuple[Note, ...]]:
    """The search, the gradient of the head as it was given, and what to say about the fit."""
    options.check()
    goal = Goal.of(case, labels, None)
    rows = training_case(case, train, ids)
    fit, notes = _head(case, rows, options)
    share = fit.require_optimum()
    if share > options.tolerance:
        raise InputError(
            f"the head is not at its optimum: the gradient of its training loss is {share:.1e} of its rows' own, "
            f"tolerance={options.tolerance:g}. A refit would change predictions without any attack. Train it to the "
            f"end (a smaller tol), give weight_decay= as it was trained, or a larger tolerance=."
        )
    is_table = len(rows.rows.shape) == 1
    region = Region.of(rows, ball, within_ranges=is_table if options.ranges is None else options.ranges)
    return PointSearch(goal, rows, PointChanges(fit.at_optimum()), head_inputs(rows), region), share, notes


def _head(case: Case, train: Case, options: PointOptions) -> tuple[LinearFit, tuple[Note, ...]]:
    """The fit of the linear model, or of the net's last layer."""
    require_finite_losses(train)
    if is_linear_fit(case.model):
        return estimator_fit(case, train, 0.0)
    if case.model.net is None:
        raise CapabilityError(
            f"attack.training_point needs a torch net, or a LogisticRegression of scikit-learn, also behind a "
            f"pipeline; {case.model.name} is none."
        )
    fit, notes = read_last_layer(case, train, 0.0, options.weight_decay, decay_bias=options.decay_bias)
    return fit, tuple(one for one in notes if one.code != "not-converged")


def aims_of(search: PointSearch, options: PointOptions) -> list[PointAim]:
    """Which tests each changed row is aimed at, and which training row is changed."""
    tests = np.arange(len(search.goal.case))
    groups = [tests] if options.aim == "together" else [tests[one : one + 1] for one in tests]
    if options.row is not None:
        row = position_of(search.train, options.row)
        return [PointAim(group, row) for group in groups]
    return search.best_rows(groups, options.candidates)


@dataclass(frozen=True, eq=False)
class Verified:
    """Refits to changed rows: margins (test,) and outputs (test, out) of the tests of each, and how near the optimum.

    ``rank`` (test,) is the share of the other training rows whose self-influence is below that of the changed row.
    ``read`` (aim, column) is what the head reads of the changed rows.
    """

    after: Floats
    outputs: Floats
    gradient: Floats
    rank: Floats
    read: Floats


def verify(search: PointSearch, aims: Sequence[PointAim], x: Array) -> Verified:
    """Each changed row read again, and the head refitted to the end."""
    read = search.inputs.read(x, np.array([one.row for one in aims]))
    tests = len(search.goal.case)
    after, gradient, rank = np.empty(tests), np.empty(tests), np.empty(tests)
    outputs = np.empty((tests, search.outputs(search.fit.weights, np.arange(1)).shape[1]))
    for aim, line in zip(aims, read):
        fitted = search.changes.with_row(aim.row, line).refitted()
        after[aim.tests] = search.margins(fitted.weights, aim.tests)
        outputs[aim.tests] = search.outputs(fitted.weights, aim.tests)
        gradient[aim.tests], rank[aim.tests] = fitted.fit.gradient_share(), _rank(fitted.fit, aim.row)
    return Verified(after, outputs, gradient, rank, read)


def _rank(fit: LinearFit, row: int) -> float:
    """The share of the other training rows whose self-influence ∇ℓᵀ H⁻¹ ∇ℓ is below that of this row."""
    own = (fit.row_gradients.T * fit.solve(fit.row_gradients.T)).sum(axis=0)
    return float((np.delete(own, row) < own[row]).mean())


def predictions(search: PointSearch, aims: Sequence[PointAim], read: Floats) -> dict[str, Floats]:
    """The margins (test,) that the changed rows predict without a refit: by influence, and by one Newton step."""
    names = {"predicted": False, "predicted_newton": True}
    found = {name: np.empty(len(search.goal.case)) for name in names}
    for aim, line in zip(aims, read):
        for name, newton in names.items():
            changed, step = search.changes.weight_changes(aim.row, line, newton=newton)
            found[name][aim.tests] = search.margins(search.fit.weights + changed.of_columns(step), aim.tests)
    return found


def run_attack(
    case: Case, ball: Ball, train: Any, ids: Sequence[str], labels: Labels | None, options: PointOptions
) -> dict[str, Any]:
    """The fields of the ``AttackResult``."""
    search, share, notes = begin_search(case, train, ids, ball, labels, options)
    aims = aims_of(search, options)
    x = search.run(aims, options.steps, options.size).x
    verified = verify(search, aims, x)
    random, chance = _random(search, aims, options.draws)
    before = search.margins(search.fit.weights, np.arange(len(case)))
    line = np.empty(len(case), dtype=np.int64)
    for place, aim in enumerate(aims):
        line[aim.tests] = place
    rows = np.array([one.row for one in aims])
    distance = np.asarray(ball.length(to_floats(x) - to_floats(search.train.rows.x[rows])))
    predicted = predictions(search, aims, verified.read)
    return {
        "x": x[line],
        "success": search.goal.successes(verified.outputs),
        "prediction_unchanged": ~prediction_changed(search.goal, verified.outputs),
        "distance": distance[line],
        "before": before,
        "after": verified.after,
        "random": random,
        "quantity": "margin after refitting the head",
        "notes": (*notes, *_notes(search, verified, before >= 0)),
        "extra": {
            **predicted,
            "training_row": rows[line].astype(np.float64),
            "gradient": verified.gradient,
            "self_influence_rank": verified.rank,
            "class": classes_found(search.goal, verified.outputs),
        },
        "validity": {
            **_shares(search, verified, before, random),
            **agreement(before, verified.after, predicted),
            **{"detected": float(verified.rank.mean()), "random_detected": chance},
            "aim": options.aim,
            "training_rows_changed": len(set(rows.tolist())),
            "gradient_given": share,
            "radius": float(ball.radius),
            "norm": ball.norm,
        },
    }


def _shares(search: PointSearch, verified: Verified, before: Floats, random: Floats) -> dict[str, Any]:
    """The robust accuracy, the shares of correct decisions that were turned, and what the head is."""
    fit, right = search.fit, ~search.goal.successes(search.outputs(search.fit.weights, np.arange(len(before))))
    success = search.goal.successes(verified.outputs)
    return {
        **accuracy_fields(search.goal, success),
        **_flips(success & right, right, "flipped"),
        **_flips((random < 0) & right, right, "random_flipped"),
        "gradient_refitted": float(verified.gradient.max()),
        "weights": int(fit.weights.size),
        "training_rows": len(search.train),
    }


def _random(search: PointSearch, aims: Sequence[PointAim], draws: int) -> tuple[Floats, float]:
    """The lowest margin (test,) after refits to random changes of full size of the same rows, and their mean rank."""
    rows = search.train.rows.take(np.array([one.row for one in aims]))
    named = [f"{place} {name}" for place, name in enumerate(rows.ids)]
    found = []
    for draw in range(draws):
        seed = search.goal.case.seed.child("training point", draw)
        drawn = search.region.ball.draw(replace(rows, ids=tuple(named)), seed, edge=True)
        found.append(verify(search, aims, search.region.nearest(drawn, rows.x)))
    return np.asarray(np.min([one.after for one in found], axis=0)), float(np.mean([one.rank for one in found]))


def _flips(hit: Masks, right: Masks, name: str) -> dict[str, Any]:
    """The share of the tests decided for their label that were turned, with its interval."""
    count, among = int(hit.sum()), int(right.sum())
    limits = clopper_pearson(count, among)
    return {
        f"{name}": count / among if among else float("nan"),
        f"{name}_interval": (limits.low, limits.high),
        **({"flipped_of": among} if name == "flipped" else {}),
    }


def agreement(before: Floats, after: Floats, predicted: Mapping[str, Floats]) -> dict[str, float]:
    """Predicted changes of the margin regressed on the refitted ones through 0, and their correlation by ranks."""
    exact = after - before
    scale, found = float(exact @ exact), {}
    for name, margins in predicted.items():
        moved = margins - before
        found[f"{name}_slope"] = float(moved @ exact) / scale if scale else float("nan")
        found[f"{name}_rank_correlation"] = float(spearman(moved[None], exact[None])[0])
    return found


def _notes(search: PointSearch, verified: Verified, right: Masks) -> tuple[Note, ...]:
    """In which regime the head is, and flips that rounding may undo."""
    fit = search.fit
    found = []
    if fit.weights.shape[1] > len(fit.x):
        text = (
            f"the head has {fit.weights.shape[1]:,} weights a score and {len(fit.x):,} training rows: it fits every "
            f"row, so that one row moves it far. Such flips say little about a head with more rows than weights, or "
            f"about a net all of whose layers are trained again"
        )
        found.append(Note("over-parameterised", text))
    near = right & (verified.after < 0) & (verified.after > -BOUNDARY)
    return (*found, *trap_notes(search.goal.case, {"boundary-success": near}))
