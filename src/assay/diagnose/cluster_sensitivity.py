# SPDX-License-Identifier: Apache-2.0
"""Whether the clusters that a class needs stay the same when the input moves a little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import Basis, Interval, bounded_mean_interval, skewness_corrected_interval, spearman
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.check_findings import advice_for, judged_finding
from assay.engine.declare import diagnostic
from assay.engine.gibbs.cluster_game import ClusterGame, Clusters
from assay.engine.gibbs.moved_posterior import MovedPosterior, attack_clusters, random_distances, searched_distances
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import Check, Cost, Method
from assay.nouns.results.finding import MAX_ROWS, Finding

ROWS, DRAWS, STEPS, CLUSTERS, BUDGET = 16, 2, 5, 8, 256
"""Defaults: rows that are read, random points each, steps of the searches, clusters and masks of a row."""

SENSITIVE = Check(
    "ROB103",
    "Does the model need the same clusters of an input when it moves within the ball?",
    "Train on attacked or noisy rows (repair.adversarial_training, repair.curvature_penalty), and show no single "
    "explanation of such a row without its spread.",
    0.5,
    "at most",
    severe=0.8,
)

MEANING = (
    "Total variation, 0 to 1, between the posterior over the needed clusters of a row and that of a point of the ball "
    "around it, the largest that a search found, mean over rows: 0 the same sets of clusters, 1 disjoint ones; lower "
    "is better. The class, the clusters and β are those of the row. Misleading where the ball changes the picture "
    "itself, where the removal gives inputs unlike any the model knows, and where the search is weak: the true largest "
    "is at least this."
)


def _subject(inputs: AuditInputs) -> Case:
    return inputs.case if inputs.explained is None else inputs.explained


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    return [Call((_subject(inputs), inputs.ball), inputs.options_of(method))]


def _audit_cost(inputs: AuditInputs) -> Cost:
    given = {"rows": ROWS, "draws": DRAWS, "steps": STEPS, "clusters": CLUSTERS, "budget": BUDGET}
    given |= {name: one for name, one in inputs.options.get("cluster_sensitivity", {}).items() if name in given}
    case = _subject(inputs)
    rows, steps = min(given["rows"], len(case)), given["steps"]
    whole = rows * (given["budget"] * inputs.removal.fills + 1)
    parts = rows * len(case.features)
    forwards = whole * (2 + given["draws"] + 2 * steps) + parts * (steps + 3) + 3 * rows
    return Cost(forwards, steps * (whole + parts)) * inputs.model.passes_per_row


@diagnostic(
    source="li2024",
    needs={"classes", "numbers", "complete", "ball"},
    checks=(SENSITIVE,),
    calls=_calls,
    audit_cost=_audit_cost,
    has_exact_cost=False,
)
def cluster_sensitivity(
    case: Case,
    ball: Ball,
    *,
    remove: Removal = DEFAULT,
    prior: float = 0.1,
    fidelity: float = 0.9,
    clusters: int = CLUSTERS,
    budget: int = BUDGET,
    rows: int = ROWS,
    draws: int = DRAWS,
    steps: int = STEPS,
    level: float = 0.95,
) -> list[Finding]:
    """How much the posterior over the clusters that a class needs changes when the input moves within a ball.

    The posterior is that of ``explain.cluster_variational`` with its ``prior``, ``fidelity``, ``clusters`` and
    ``budget``. ROB103: the mean over at most ``rows`` rows, drawn by the seed, of the largest total variation between
    the posterior of the row and that at a point of the ball: of ``draws`` random points and of ``steps`` projected
    steps along its gradient from another (without gradients the random points alone). 0 … 1, at most 0.5; Student's
    interval with a value added at each bound. ``null`` is the mean at a random point, with its interval. ``rows`` of
    the finding are those whose posterior moves by more than half, the farthest first. Rows whose posterior is undefined
    (drawn masks worth too little, a class of probability 0) are left out; not applicable to more than ``budget``/2
    features that are not merged (a wide table).

    The evidence has the bits of the posterior (KL from the prior / ln 2), mean with limits: how much a model says about
    which clusters; near 0 says nothing. Where there are gradients it also has what an attack on one cluster alone
    achieves: the rank correlation of the fall of log p with the cluster's value, mean over rows, and the share of
    clusters that alone change the class. A cluster that is needed need not be easy to attack. ``InputError`` for
    options out of range.
    """
    if rows < 1 or draws < 1 or steps < 1 or not 0 < prior < 1 or not 0 < fidelity < 1 or clusters < 2:
        raise InputError(
            f"rows={rows}, draws={draws}, steps={steps}, prior={prior}, fidelity={fidelity}, clusters={clusters}; "
            f"needed are rows, draws and steps of at least 1, prior and fidelity strictly between 0 and 1, and at "
            f"least 2 clusters."
        )
    chosen = np.sort(case.seed.child("cluster sensitivity").generator().permutation(len(case))[:rows])
    part = case.take(chosen)
    ball.check_bounds(part.rows.x)
    most = int(Clusters.of(part, clusters).counts.max())
    if budget < min(2 * most, 2**most):
        return [_too_many(case, most, budget)]
    game = ClusterGame.of(part, remove, clusters, prior, budget)
    seen = _Seen(*(np.full(len(part), np.nan) for _ in range(5)))
    for group in game.groups():
        _read(MovedPosterior.of(game, group, remove, prior, budget, fidelity), ball, draws, steps, seen)
    return [_finding(part, ball, seen, level)]


def _too_many(case: Case, parts: int, budget: int) -> Finding:
    return Finding(
        SENSITIVE.code,
        "not applicable",
        f"{case.model.name}: {parts} features are too many for a posterior from {budget} masks",
        case.model.name,
        meaning=MEANING,
        advice="Group features (assay.groups), or raise budget to at least twice their number.",
    )


@dataclass(frozen=True, eq=False)
class _Seen:
    """One number a row: the largest and the random distance, bits, the rank correlation, the share that flips."""

    largest: Floats
    random: Floats
    bits: Floats
    agreement: Floats
    flips: Floats


def _read(moved: MovedPosterior, ball: Ball, draws: int, steps: int, seen: _Seen) -> None:
    """Fill in the numbers of some rows."""
    rows, own = moved.rows, moved.own.posterior
    worth = own.is_usable & moved.own.defined
    drawn = random_distances(moved, ball, draws)
    largest = drawn.max(axis=0)
    case = moved.game.worth.case
    if case.model.has_gradient and ball.norm != "l0":
        largest = np.maximum(largest, searched_distances(moved, ball, steps))
        fall, changed = attack_clusters(moved, ball, steps)
        seen.agreement[rows] = spearman(moved.own.values, fall)
        seen.flips[rows] = changed.mean(axis=1)
    seen.largest[rows] = np.where(worth, largest, np.nan)
    seen.random[rows] = np.where(worth, drawn.mean(axis=0), np.nan)
    seen.bits[rows] = np.where(worth, own.divergence() / np.log(2), np.nan)


def _mean(values: Floats, level: float) -> tuple[float, Interval]:
    known = values[np.isfinite(values)]
    return (float(known.mean()) if len(known) else float("nan")), skewness_corrected_interval(known, level)


def _finding(case: Case, ball: Ball, seen: _Seen, level: float) -> Finding:
    known: Masks = np.isfinite(seen.largest)
    largest, name = seen.largest[known], case.model.name
    evidence: dict[str, Any] = {"rows left out": int((~known).sum())}
    for text, values in (("bits", seen.bits), ("rank of attack and value", seen.agreement)):
        mean, limits = _mean(values, level)
        if np.isfinite(mean):
            evidence |= {text: mean, f"{text} low": limits.low, f"{text} high": limits.high}
    if np.isfinite(seen.flips).any():
        evidence["clusters that alone change the class"] = float(np.nanmean(seen.flips))
    fields: dict[str, Any] = {"subject": name, "n": len(largest), "meaning": MEANING, "evidence": evidence}
    if not len(largest):
        return Finding(
            SENSITIVE.code, "not applicable", f"{name}: no posterior is defined on {len(case)} rows", **fields
        )
    mean, random = float(largest.mean()), float(seen.random[known].mean())
    order = np.argsort(-np.where(known, seen.largest, -1.0), kind="stable")
    return judged_finding(
        SENSITIVE,
        Basis("bounded", {"values": largest, "bounds": np.array([0.0, 1.0])}),
        level,
        0.5,
        {verdict: advice_for(SENSITIVE, verdict) for verdict in ("pass", "fail", "undecided")},
        claim=f"{name}: within {ball.norm} {ball.radius:g} the sets of clusters that the class needs change by "
        f"{mean:.2f} of their probability ({random:.2f} at random points)",
        estimate=mean,
        null=random,
        null_interval=bounded_mean_interval(seen.random[known], 0.0, 1.0, level),
        affected=float((largest > 0.5).mean()),
        rows=tuple(case.rows.ids[i] for i in order if known[i] and seen.largest[i] > 0.5)[:MAX_ROWS],
        **fields,
    )
