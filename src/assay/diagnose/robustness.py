# SPDX-License-Identifier: Apache-2.0
"""Which share of the decisions withstands every change within a ball, from above and from below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.samples.binomial_limits import lower_rate_limits
from assay.basics.stats import Basis, Interval, clopper_pearson
from assay.basics.types import Ints, Masks
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.check_findings import judged_finding
from assay.engine.declare import diagnostic
from assay.engine.retraining.labelled_rows import true_labels
from assay.engine.robustness.both_sides import BothSides, Effort, How, both_sides
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import ONLY_GIVEN, Check, Cost, Method
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.finding import MAX_ROWS, Finding

ROWS = 100
"""Default number of rows that are attacked."""

NOISE = 10
"""Default number of random points of the ball around each row."""

ROBUST = Check(
    "ROB101",
    "Which share of the decisions withstands every change within the ball?",
    "Train on attacked rows (repair.adversarial_training), or a net whose robustness is proved (repair.gloro).",
    0.0,
    "at least",
    origin=ONLY_GIVEN,
)

MEANING = (
    "Share of rows, 0 to 1, whose right class (without labels: predicted class) the attack did not change anywhere in "
    "the ball; higher is better. The true share is at most this, and at least the share that is proved. The interval "
    "reaches from the lower limit of what is proved to the upper limit of what stands, so that a failure is shown by "
    "inputs that exist, a pass by proofs. Misleading where the attack is weak (zero gradients, few steps), and where "
    "the ball allows changes that change the true class too, or misses those that an adversary would make."
)
ADVICE = {
    "pass": "The decisions are proved to withstand changes of this size on enough rows.",
    "fail": ROBUST.remedy,
    "undecided": "Neither shown nor refuted: give more rows, a stronger attack (attack='auto'), or train a net that "
    "can be certified (repair.gloro).",
}
NO_THRESHOLD = "No threshold was given, so that nothing fails; threshold=0.8 demands four of five decisions."


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    return [Call((inputs.case, inputs.ball), inputs.options_of(method) | {"labels": tuple(inputs.known_labels)})]


def _audit_cost(inputs: AuditInputs) -> Cost:
    given = dict(inputs.options.get("robustness", {}))
    count, noise = min(int(given.pop("rows", ROWS)), len(inputs.case)), int(given.pop("noise", NOISE))
    effort = Effort(**{name: value for name, value in given.items() if name in Effort.__dataclass_fields__})
    assert inputs.ball is not None
    part = inputs.case.take(np.arange(count))
    return effort.cost(part, inputs.ball) + Cost(noise * count) * inputs.model.passes_per_row


@diagnostic(
    source="carlini2019evaluating",
    needs={"classes", "numbers", "complete", "ball"},
    optional={"labels"},
    checks=(ROBUST,),
    calls=_calls,
    audit_cost=_audit_cost,
    has_exact_cost=False,
)
def robustness(
    case: Case,
    ball: Ball,
    *,
    labels: Any = (),
    threshold: float | None = None,
    rows: int = ROWS,
    attack: Literal["pgd", "auto"] = "pgd",
    steps: int = 40,
    restarts: int = 1,
    queries: int = 300,
    proofs: bool = True,
    how: How = "crown",
    max_nodes: int = 2000,
    noise: int = NOISE,
    level: float = 0.95,
) -> list[Finding]:
    """The share of decisions that withstands every change within the ball: an attack above it, a proof below it.

    ROB101: the share of ``rows`` rows, drawn by the seed, that are classified correctly (without ``labels``: all of
    them) and whose class ``attack`` does not change anywhere in the ball, an upper bound on the share that withstands
    everything. The lower bound is the share whose class is proved to stay: of trees by ``certify.tree_robustness`` with
    ``max_nodes`` boxes a row, of nets by ``certify.bound_propagation`` or ``certify.lipschitz_margin``, whichever
    proves a row; proofs cover a millionth more than the ball. Where no certificate applies the lower bound is 0, and
    the evidence says why. A model without gradient is attacked by ``attack.auto`` (Square with ``queries``).

    The interval goes from the lower Clopper–Pearson limit of the certified share to the upper one of the share that
    stands. Without a ``threshold`` the check informs. With one it fails if the upper limit lies below it, passes if the
    lower limit reaches it, and is undecided otherwise, however many rows there are if the bounds lie on both sides.

    ``rows`` of the finding are those that fall, the smallest margin first. ``null`` is the share that keeps its class
    at random points of the ball, ``noise`` for each row: with limits in the evidence (Clopper–Pearson over all points,
    for these rows), and with the share of rows whose own lower limit is above ½. What random changes leave alone says
    nothing about chosen ones.
    """
    _check_options(case, threshold, rows, noise, level)
    chosen = np.sort(case.seed.child("robustness").generator().permutation(len(case))[:rows])
    part = case.take(chosen)
    right = np.ones(len(part), dtype=bool)
    if labels is not None and not (hasattr(labels, "__len__") and len(labels) == 0):
        true = np.asarray(true_labels(case.model, labels, len(case), case.prediction))[chosen]
        right = np.asarray(predicted_class(part.prediction, case.model.gives) == true)
    found = both_sides(part, ball, Effort(attack, steps, restarts, queries, proofs, how, max_nodes))
    return [_finding(_Seen(part, ball, right, found, _kept_in_noise(part, ball, noise), noise, level), threshold)]


def _check_options(case: Case, threshold: float | None, rows: int, noise: int, level: float) -> None:
    if rows < 1 or noise < 0 or not 0 < level < 1 or not (threshold is None or 0 <= threshold <= 1):
        raise InputError(
            f"rows={rows}, noise={noise}, level={level}, threshold={threshold}; needed are rows ≥ 1, noise ≥ 0, and a "
            f"level and a threshold between 0 and 1."
        )
    if not case.model.kind.exclusive:
        raise CapabilityError(
            f"robustness needs classes that exclude each other; {case.model.name} has several labels a row. "
            f"attack.pgd attacks each decision."
        )


def _kept_in_noise(case: Case, ball: Ball, noise: int) -> Ints:
    """How often (row,) the predicted class stays at random points of the ball."""
    own, kept = predicted_class(case.prediction, case.model.gives), np.zeros(len(case), dtype=np.int64)
    for number in range(noise):
        kept += case.predicted(ball.draw(case.rows, case.seed.child("noise", number))) == own
    return kept


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the finding is made of: the rows attacked, which are right, both sides, and the noise."""

    case: Case
    ball: Ball
    right: Masks
    sides: BothSides
    kept: Ints
    noise: int
    level: float

    @property
    def unchanged(self) -> Masks:
        """Right, and not changed by the attack."""
        return self.right & ~self.sides.changed

    @property
    def certified(self) -> Masks:
        """Right, and proved to stay."""
        return self.right & self.sides.certified

    def share(self, hits: Masks) -> tuple[float, Interval]:
        """A share of the rows with its limits."""
        return float(hits.mean()), clopper_pearson(int(hits.sum()), len(hits), self.level)


def _finding(seen: _Seen, threshold: float | None) -> Finding:
    sides, case = seen.sides, seen.case
    hits = np.array([int(seen.certified.sum()), int(seen.unchanged.sum())])
    basis = Basis("bracket", {"hits": hits, "trials": len(case)})
    changed = np.flatnonzero(seen.right & sides.changed)
    first = changed[np.argsort(sides.margin[changed], kind="stable")][:MAX_ROWS]
    fields: dict[str, Any] = {
        "claim": _claim(seen),
        "subject": case.model.name,
        "estimate": float(seen.unchanged.mean()),
        "null": float((seen.kept / seen.noise * seen.right).mean()) if seen.noise else None,
        "n": len(case),
        "meaning": MEANING,
        "evidence": _evidence(seen),
        "affected": float((seen.right & sides.changed).mean()),
        "rows": tuple(case.rows.ids[i] for i in first),
    }
    if threshold is None:
        advice = NO_THRESHOLD
        return Finding(ROBUST.code, "informative", interval=basis.at(seen.level), advice=advice, basis=basis, **fields)
    return judged_finding(ROBUST, basis, seen.level, threshold, ADVICE, **fields)


def _claim(seen: _Seen) -> str:
    what = "are classified right and keep their class" if not seen.right.all() else "keep their class"
    unchanged, above = seen.share(seen.unchanged)
    ball = f"{seen.ball.norm} {seen.ball.radius:g}{' of the scale of each column' if seen.ball.scale else ''}"
    text = (
        f"{unchanged:.0%} [{above.low:.0%}, {above.high:.0%}] of {len(seen.case)} rows {what} under "
        f"attack.{seen.sides.attack} within {ball}"
    )
    if not seen.sides.by:
        why = "since no certificate applies" if seen.sides.refused else "since no proof was tried"
        return f"{text}; none is proved to, {why}."
    proved, below = seen.share(seen.certified)
    return f"{text}; {proved:.0%} [{below.low:.0%}, {below.high:.0%}] are proved to."


def _evidence(seen: _Seen) -> dict[str, Any]:
    sides = seen.sides
    (unchanged, above), (proved, below) = seen.share(seen.unchanged), seen.share(seen.certified)
    found: dict[str, Any] = {
        "right without a change": float(seen.right.mean()),
        "unchanged under attack": unchanged,
        "unchanged low": above.low,
        "unchanged high": above.high,
        "attack": sides.attack,
        "certified": proved,
        "certified low": below.low,
        "certified high": below.high,
        "certified by": list(sides.by),
        "rows open": int((seen.unchanged & ~seen.certified).sum()),
        "rows changed": int((seen.right & sides.changed).sum()),
        "certified and attacked": sides.contradicted,
    }
    if sides.refused:
        found["no certificate because"] = list(sides.refused)
    if sides.warnings:
        found["notes of the attack"] = list(sides.warnings)
    if seen.noise:
        points = len(seen.kept) * seen.noise
        limits = clopper_pearson(int(seen.kept.sum()), points, seen.level)
        each = lower_rate_limits(seen.kept, seen.noise, 1 - seen.level)
        found |= {
            "class kept at random points": float(seen.kept.sum() / points),
            "class kept low": limits.low,
            "class kept high": limits.high,
            "rows shown to keep it at most points": float((each > 0.5).mean()),
        }
    return found
