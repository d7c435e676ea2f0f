# SPDX-License-Identifier: Apache-2.0
"""Attack by the training data: one training row is changed a little so that predictions at other rows turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from assay.cases.case import Case
from assay.engine.cost import Given
from assay.engine.declare import attacker
from assay.engine.influence.point_attack import PointOptions, run_attack
from assay.engine.influence.point_search import TRIAL
from assay.engine.influence.read_fit import is_linear_fit
from assay.engine.search.ball import Ball
from assay.engine.search.threat import Labels
from assay.nouns.catalogue import Cost


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """The training rows and the tests once more, then a pass for every step of every changed row."""
    rows, tests = len(o.train[1]), len(case)
    if is_linear_fit(case.model):
        return Cost(rows)
    aims = 1 if o.aim == "together" else tests
    tried = min(o.candidates, rows) if o.row is None and o.candidates > 1 else 0
    forwards = aims * (tried * (TRIAL + 1) + o.steps + 1 + 1 + o.draws)
    found = Cost(2 * rows + tests + forwards, aims * (tried * TRIAL + o.steps))
    return found * case.model.passes_per_row


@attacker(source="koh2017", needs={"classes", "train"}, cost=_cost)
def training_point(
    case: Case,
    ball: Ball,
    *,
    train: Any,
    aim: Literal["each", "together"] = "each",
    row: str | None = None,
    candidates: int = 8,
    steps: int = 20,
    step: float | None = None,
    draws: int = 1,
    labels: Labels | None = None,
    weight_decay: float = 0.0,
    decay_bias: bool = True,
    ranges: bool | None = None,
    tolerance: float = 1e-4,
    ids: Sequence[str] = (),
) -> dict[str, Any]:
    """The margin of a decision after one training row was changed within the ball and the head was fitted again.

    Below 0 the decision turned, though the row explained is as it was. ``train`` are the training rows and labels; the
    ball is around a training row. The head is a LogisticRegression of scikit-learn, also behind a pipeline whose steps
    stay fixed, or a net's last linear layer on the features of the others, trained to its optimum with
    ``weight_decay`` as in ``torch.optim`` (``decay_bias``: of its bias too). x ← Π(x − α · sign ∇ₓ[sᵀ ∇ℓ(x)]) with
    s = H⁻¹ ∇L(tests), the head refitted and s renewed at each of ``steps`` steps (Koh and Liang 2017, section 5.2);
    α falls from ``step`` radii (4 / ``steps``) to 0, and the changed row of the lowest refitted margin is returned.
    ``aim="each"``: one changed row for each row explained, and ``x`` (row, *shape) are these; ``"together"``: one for
    all, with L the sum of the probabilities of other classes than the label instead of the cross-entropy. ``row`` is
    the id of the training row; by default the ``candidates`` rows that would have the largest influence if the head
    did not fit them are tried for two steps, and the best is taken. In a table every column stays in its range in the
    training rows (``ranges``), columns of whole numbers stay whole, columns of levels do not move.

    ``before`` and ``after`` are the margins at the optimum of the training rows and of the changed ones, to a gradient
    of ``extra["gradient"]`` of the rows' own; success is counted after this refit only. ``random`` is the lowest margin
    after refits to ``draws`` random changes of full size of the same training row. ``extra["predicted"]`` is the margin
    that influence predicts without a refit, −H⁻¹(∇ℓ(z_δ) − ∇ℓ(z)), ``extra["predicted_newton"]`` that of one Newton
    step; of changes this large only the ranks can be trusted. ``validity`` has the share of correct decisions turned
    (``flipped``) with its Clopper–Pearson interval, the same of the random changes, and slopes and rank correlations
    of predicted and refitted changes. ``extra["self_influence_rank"]`` is a detector: the share of the other training
    rows whose self-influence ∇ℓᵀ H⁻¹ ∇ℓ at the refitted head is below that of the changed row; its mean ``detected`` is
    the area under the ROC curve of that ranking, ``random_detected`` the same for the random changes.

    Where the given head is not at its optimum (its gradient is above ``tolerance`` of the rows' own) ``InputError``
    says so with the figure. A failed attack proves nothing, and nothing is said about training all layers again. The
    falling steps, the momentum of the derivative and the choice of the row are this package's own.
    """
    options = PointOptions(aim, row, candidates, steps, step, draws, weight_decay, decay_bias, ranges, tolerance)
    return run_attack(case, ball, train, ids, labels, options)
