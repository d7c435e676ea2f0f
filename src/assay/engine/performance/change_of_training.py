# SPDX-License-Identifier: Apache-2.0
"""What fine-tuning changes: accuracy, and what withstands attacks, and the same of plain fine-tuning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.paired_tests import paired_rate_interval
from assay.basics.stats import clopper_pearson
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.new_case import case as ask
from assay.engine.audit_inputs import AuditInputs
from assay.engine.performance.change_of_model import NOT_TESTED, Metrics, overlap_under_attack
from assay.engine.performance.explained_and_inverted import PASSES, explained_and_inverted
from assay.engine.performance.held_out import compare_performance, overlap_notes
from assay.engine.retraining.fine_tuning import require_pair
from assay.engine.retraining.labelled_rows import read_like, true_labels
from assay.engine.search.ball import Ball
from assay.model.model import Model
from assay.nouns.catalogue import Cost, find
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.result import AttackResult, Note

ROBUST, CERTIFIED = "robust accuracy", "certified accuracy"
PLAIN = ", plain fine-tuning"
"""What follows the names of the numbers of the net fine-tuned without the defence."""

RESTARTS = 2
"""Starts of the PGD that measures the robust accuracy."""

Prove = Callable[[Case, Ball], Masks]
"""The rows (row,) of a case whose predicted class is proved to stay in the ball."""


@dataclass(frozen=True)
class AdaptiveTest:
    """How a fine-tuned net is attacked: ``steps`` of both attacks, on the case's rows and on ``rows`` held-out ones.

    ``attack.top_k`` attacks saliency of the rows of the case; ``attack.pgd`` the decisions on held-out rows drawn by
    the case's seed, from ``RESTARTS`` starts that training did not use. Both differentiate the fine-tuned net itself.
    The same held-out rows give the numbers of ``explained_and_inverted``.
    """

    ball: Ball | None
    steps: int
    rows: int

    def check(self, case: Case, train: Any, held_out: Any) -> None:
        """Raise ``InputError`` for options with which the tests would fail after training."""
        require_pair("train", train)
        require_pair("held_out", held_out)
        read_like(case, held_out[0])
        if self.steps < 1 or self.rows < 1:
            raise InputError(f"steps={self.steps}, rows={self.rows}; at least 1 of each is needed.")
        if self.ball is not None:
            self.ball.check_bounds(case.rows.x)
            if self.ball.norm == "l0":
                raise InputError("the ball's norm is 'l0', which has no steepest direction: use linf, l2 or l1.")


def fine_tuning_cost(inputs: AuditInputs, passes: int, epochs: int = 5) -> Cost:
    """The most that fine-tuning with the defaults, and its tests, evaluate; ``passes`` of a row in each epoch.

    Two nets are trained for ``epochs`` on 5,000 rows; three are tested on the held-out rows and attacked for 30 steps.
    """
    train = 0 if inputs.train is None else len(inputs.train[1])
    case = inputs.explained if inputs.explained is not None else inputs.case
    trained = 2 * train + min(train, 5000) * epochs * (passes + 1)
    attacked = 3 * (len(case) * 150 + 100 * 100 + PASSES)
    return Cost(trained + 20 * len(inputs.case) + attacked, attacked) * case.model.passes_per_row


def fine_tuned_fields(
    case: Case,
    model: Model,
    plain: Model,
    change: str,
    train: Any,
    held_out: Any,
    test: AdaptiveTest,
    prove: Prove | None = None,
) -> dict[str, Any]:
    """The fields of a ``Repair`` by fine-tuning on ``train``: of the case's model, of ``model`` and of ``plain``.

    ``plain`` is fine-tuned in the same way without the defence; its numbers have names that end in ``PLAIN``. Accuracy
    is that on the held-out rows; with a ball there are the mean top-k overlaps and the robust accuracy too, how well
    the net is explained and inverted (``explained_and_inverted``), and with ``prove`` the certified accuracy on the
    rows that are attacked.
    """
    before, after, difference = compare_performance(case, model, held_out)
    simple = compare_performance(case, plain, held_out)[1]
    notes = [*overlap_notes(train[0], held_out[0]), difference]
    if test.ball is None:
        notes.append(NOT_TESTED)
    else:
        was, now, dumb = (overlap_under_attack(case, one, test.ball, test.steps) for one in (case.model, model, plain))
        before, after, simple = before | was, after | now, simple | dumb
        attacked = [_withstands(case, one, held_out, test) for one in (case.model, model, plain)]
        for one, metrics, (robust, _) in zip((case.model, model, plain), (before, after, simple), attacked):
            metrics |= _with_limits(ROBUST, robust)
            metrics |= explained_and_inverted(*_drawn_rows(case, one, held_out, test))
            if prove is not None:
                metrics |= _with_limits(CERTIFIED, _proved(case, one, held_out, test, prove))
        notes += [_robust_difference(attacked[0][0], attacked[1][0], test), *attacked[1][1]]
    return {
        "model": model,
        "baseline": plain,
        "baseline_change": "fine-tuned in the same way without the defence",
        "change": change,
        "before": before | {f"{name}{PLAIN}": before[name] for name in _compared(simple)},
        "after": after | {f"{name}{PLAIN}": simple[name] for name in _compared(simple)},
        "notes": tuple(notes),
    }


def _compared(metrics: Metrics) -> list[str]:
    """The numbers that are also given for plain fine-tuning: those that are not limits."""
    return [name for name in metrics if not name.endswith((", low", ", high"))]


def _withstands(case: Case, model: Model, held_out: Any, test: AdaptiveTest) -> tuple[Floats, tuple[Note, ...]]:
    """1 for held-out rows that ``model`` decides for their label wherever PGD looks in the ball, else 0; its notes."""
    assert test.ball is not None
    attacked, labels = _drawn_rows(case, model, held_out, test)
    result: AttackResult = find("attack", "pgd").call(
        attacked, test.ball, steps=test.steps, restarts=RESTARTS, labels=labels
    )
    return (~result.success).astype(np.float64), result.notes


def _drawn_rows(case: Case, model: Model, held_out: Any, test: AdaptiveTest) -> tuple[Case, Ints]:
    """A case of ``model`` about the held-out rows that are attacked, the same for every model, and their labels."""
    x = read_like(case, held_out[0])
    seed = case.seed.child("robust accuracy")
    chosen = np.sort(seed.generator().permutation(len(x))[: test.rows])
    whole = ask(model, x, seed=seed)
    labels = true_labels(case.model, held_out[1], len(x), whole.prediction)[chosen]
    return ask(model, x[chosen], ids=[str(place) for place in chosen], seed=seed), np.asarray(labels)


def _proved(case: Case, model: Model, held_out: Any, test: AdaptiveTest, prove: Prove) -> Floats:
    """1 for the same rows where ``model`` is proved to decide for the label in the whole ball, else 0."""
    assert test.ball is not None
    rows, labels = _drawn_rows(case, model, held_out, test)
    right = predicted_class(rows.prediction, model.gives) == labels
    return np.asarray(right & prove(rows, test.ball), dtype=np.float64)


def _with_limits(name: str, hits: Floats) -> Metrics:
    limits = clopper_pearson(int(hits.sum()), len(hits))
    return {name: float(hits.mean()), f"{name}, low": limits.low, f"{name}, high": limits.high}


def _robust_difference(was: Floats, now: Floats, test: AdaptiveTest) -> Note:
    interval, change = paired_rate_interval(was, now), float(now.mean() - was.mean())
    assert test.ball is not None
    text = (
        f"{ROBUST} on {len(was)} held-out rows, {test.ball.norm} {test.ball.radius:g}, PGD of {test.steps} steps from "
        f"{RESTARTS} starts: paired difference {change:+.4g} [{interval.low:+.4g}, {interval.high:+.4g}] at 95 %; an "
        f"upper bound on what withstands every perturbation"
    )
    return Note("robust-accuracy", text)
