# SPDX-License-Identifier: Apache-2.0
"""The stages of an ensemble of attacks, each on the rows that those before it left standing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from assay.basics.types import Ints
from assay.cases.case import Case
from assay.engine.cost import Given
from assay.engine.search.attack_run import AttackRun
from assay.engine.search.first_order import BestPoints, check_steps, projected_descent, scheduled_ascent
from assay.engine.search.losses import LOSSES
from assay.engine.search.minimum_norm import NearestPoints, fast_minimum_norm
from assay.engine.search.random_squares import random_squares
from assay.engine.search.threat import Threat, choose_rows
from assay.engine.search.validity import BOUNDARY, REPORT_PASSES
from assay.nouns.results.result import Note

SHORT_STEPS, SHORT_STEP = 10, 0.25
"""Steps, and their size as a share of the radius, of the attacks that compare the losses on all rows."""

STEP = 0.1
"""The step of PGD, a share of the radius."""

DISAGREEMENT = 0.15
"""A note says so where the robust accuracies of two losses differ by more."""

BLACK_BOX_SHARE = 0.02
"""A note says so where Square changes more than this share of the rows after every attack with gradients failed."""

NOT_ALLOWED = {"l1": ("apgd", "square"), "l0": ("pgd", "apgd", "square")}
"""Stages that are undefined in a norm."""

Stage = Callable[[Threat, BestPoints], None]


def run_stages(run: AttackRun, *, steps: int, targets: int, queries: int) -> tuple[dict[str, Any], tuple[Note, ...]]:
    """Run the stages; what the validity report gets of them, and notes."""
    check_steps(steps=steps, queries=queries)
    threat, has_gradient = run.threat, run.threat.case.model.has_gradient
    left_out = set(NOT_ALLOWED.get(threat.ball.norm, ())) | (set() if has_gradient else {"pgd", "apgd", "fmn"})
    counts = [("clean", int(_standing(run).sum()))]
    losses: dict[str, float] = {}
    if "pgd" not in left_out:
        losses = _compare_losses(run)
        counts.append(("pgd, short", int(_standing(run).sum())))
    found_by_square = 0
    for name, kind, stage in _stages(threat, steps, targets, queries):
        if kind in left_out:
            continue
        if _standing(run).any():
            _run_stage(run, stage)
        counts.append((name, int(_standing(run).sum())))
        found_by_square = counts[-2][1] - counts[-1][1] if kind == "square" else 0
    more = {"stages": tuple(counts), "short_robust_accuracy": losses, "found_by_square_only": found_by_square}
    return more, _notes(threat, sorted(left_out), losses, found_by_square)


def _notes(threat: Threat, left_out: list[str], losses: dict[str, float], found_by_square: int) -> tuple[Note, ...]:
    notes = []
    if left_out:
        why = f"undefined in {threat.ball.norm}" if threat.case.model.has_gradient else "the model has no gradient"
        notes.append(Note("stages-left-out", f"stages left out ({why}): {', '.join(left_out)}"))
    if threat.case.rows.text is not None:
        text = (
            "changes of words are left out (attack.token_substitution): the embeddings of the words are moved, and no "
            "text may have such embeddings"
        )
        notes.append(Note("words-left-out", text))
    if losses and max(losses.values()) - min(losses.values()) > DISAGREEMENT:
        shares = ", ".join(f"{name} {value:.0%}" for name, value in losses.items())
        text = (
            f"the losses leave different shares of rows unchanged after {SHORT_STEPS} steps ({shares}): the weaker one "
            f"saturates or its gradient is masked, and its number alone is too high"
        )
        notes.append(Note("loss-disagreement", text))
    if "fmn" not in left_out and found_by_square > BLACK_BOX_SHARE * len(threat):
        text = (
            f"Square, which needs no gradient, changed {found_by_square} rows that no attack with gradients changed: "
            f"the gradient is masked"
        )
        notes.append(Note("black-box-better", text))
    return tuple(notes)


def _stages(threat: Threat, steps: int, targets: int, queries: int) -> list[tuple[str, str, Stage]]:
    ball, count = threat.ball, _aim_count(threat.case, targets, threat.target is not None)

    def pgd(part: Threat, best: BestPoints) -> None:
        projected_descent(part, "margin", best, starts=[part.x], steps=steps, step=STEP)

    def apgd(part: Threat, best: BestPoints) -> None:
        loss, _ = part.usable("cross_entropy")
        scheduled_ascent(part, loss, best, start=_start(part, "apgd"), steps=steps)

    def aimed(part: Threat, best: BestPoints) -> None:
        _aim(part, best, [0], steps)

    def aimed_further(part: Threat, best: BestPoints) -> None:
        _aim(part, best, range(1, count), steps)

    def fmn(part: Threat, best: BestPoints) -> None:
        nearest = NearestPoints.of(part.x)
        fast_minimum_norm(part, nearest, steps=steps, step=1.0, start=part.x)
        x = nearest.within(ball, part.x)
        best.offer(x, part.search_margins(part.outputs(x)))

    def square(part: Threat, best: BestPoints) -> None:
        random_squares(part, best, queries=queries, share=0.8)

    stages = [("pgd margin", "pgd", pgd), ("apgd cross-entropy", "apgd", apgd)]
    if count:
        stages.append(("apgd targeted 1", "apgd", aimed))
    if count > 1:
        stages.append((f"apgd targeted 2 to {count}", "apgd", aimed_further))
    return [*stages, ("fmn", "fmn", fmn), ("square", "square", square)]


def _aim(part: Threat, best: BestPoints, ranks: Sequence[int], steps: int) -> None:
    """Auto-PGD at several other classes at once: one copy of the rows for each."""
    loss, _ = part.usable("dlr", aimed=True)
    places = np.tile(np.arange(len(part)), len(ranks))
    copies = part.take(places)
    aim = None if part.target is not None else np.concatenate([part.ranked(rank) for rank in ranks])
    margin = copies.search_margins(copies.case.prediction)
    own = BestPoints(copies.x, margin, [margin])
    scheduled_ascent(copies, loss, own, start=_start(copies, "aimed"), steps=steps, aim=aim)
    for number in range(len(ranks)):
        which = slice(number * len(part), (number + 1) * len(part))
        best.offer(own.x[which], own.margin[which])


def _aim_count(case: Case, targets: int, is_targeted: bool) -> int:
    classes = len(case.model.classes) or case.prediction.shape[1]
    return 1 if is_targeted else max(0, min(targets, classes - 1))


def _start(part: Threat, *names: object) -> Any:
    return part.ball.draw(part.case.rows, part.case.seed.child(*names))


def _standing(run: AttackRun) -> Any:
    """The rows that no attack has changed, or only by so little that rounding can undo it."""
    return run.best.margin > -BOUNDARY


def _run_stage(run: AttackRun, stage: Stage, rows: Ints | None = None) -> BestPoints:
    """Run a stage on the rows that stand, and take over what it found; its own best points."""
    which = np.flatnonzero(_standing(run)) if rows is None else rows
    part = run.threat.take(which)
    margin = part.search_margins(part.case.prediction)
    own = BestPoints(part.x, margin, [margin])
    stage(part, own)
    everywhere = np.full(len(run.threat), np.inf)
    everywhere[which] = own.margin
    better = everywhere < run.best.margin
    whole = run.best.x.copy() if isinstance(run.best.x, np.ndarray) else run.best.x.clone()
    whole[which] = own.x
    run.best.x = choose_rows(better, whole, run.best.x)
    run.best.margin = np.where(better, everywhere, run.best.margin)
    return own


def _compare_losses(run: AttackRun) -> dict[str, float]:
    """The share of rows that stand after a short PGD with each loss alone."""
    which = np.flatnonzero(_standing(run))
    found: dict[str, float] = {}
    for name in LOSSES if len(which) else ():
        loss, note = run.threat.usable(name)
        if note:
            continue

        def stage(part: Threat, best: BestPoints, loss: Any = loss) -> None:
            projected_descent(part, loss, best, starts=[part.x], steps=SHORT_STEPS, step=SHORT_STEP)

        own = _run_stage(run, stage, which)
        found[name] = float((own.margin > -BOUNDARY).sum() / len(run.threat))
    return found


def ensemble_cost(case: Case, o: Given) -> tuple[int, int]:
    """The most passes of a row, forwards and backwards."""
    if not case.model.has_gradient:
        return o.queries + 1 + 1 + REPORT_PASSES, 0
    aims = _aim_count(case, o.targets, o.target_label is not None)
    short = len(LOSSES) * SHORT_STEPS
    gradients = short + o.steps + (1 + aims) * (o.steps + 1) + o.steps
    forwards = gradients + len(LOSSES) + 1 + 1 + o.queries + 1
    return forwards + 1 + REPORT_PASSES, gradients
