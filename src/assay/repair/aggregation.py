# SPDX-License-Identifier: Apache-2.0
"""The mean of several explainers in place of one, as a repair of explanations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.samples.correlation import spearman
from assay.cases.case import Case
from assay.engine.attributions.map_objectives import top_objective
from assay.engine.audit_inputs import AuditInputs
from assay.engine.declare import repairer
from assay.engine.performance.change_of_model import ATTACKED, RANDOM, Metrics
from assay.engine.recompute import recompute
from assay.engine.search.ball import Ball
from assay.engine.search.explanation_attack import begin_attack
from assay.nouns.catalogue import Cost, find
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import AttackResult, Explanation, Note

SEARCHED = "top-k overlap under search"
BEST_MEMBER = ", most robust member"
"""What follows the names of the numbers of the member that withstands most."""

STEP, SHARPNESS = 0.1, 20.0
"""Step of the gradient attack as a share of the radius, and the β of the softplus that it differentiates."""


def _proposals(inputs: AuditInputs, failed: Sequence[Finding]) -> list[Mapping[str, Any]]:
    """One attempt with the default members where the model has the gradients that they need."""
    return [{}] if inputs.model.differentiable else []


def _audit_cost(inputs: AuditInputs) -> Cost:
    """The most that an attempt with the defaults evaluates: some hundred explanations by each of three members."""
    case = inputs.explained if inputs.explained is not None else inputs.case
    return Cost(30_000, 30_000) * (len(case) * case.model.passes_per_row)


@repairer(
    source="hansen2020",
    needs={"classes", "numbers", "complete"},
    answers=("ATK401", "STA301"),
    proposals=_proposals,
    side_effects="The explanation is another one, and costs as much as all its members; a mean can hide that its "
    "members disagree.",
    audit_cost=_audit_cost,
)
def aggregation(
    case: Case,
    *,
    members: Sequence[str | Explanation] = ("saliency", "input_x_gradient", "integrated_gradients"),
    by: Literal["ranks", "values", "precision"] = "ranks",
    ball: Ball | None = None,
    k: float = 0.1,
    steps: int = 30,
    queries: int = 50,
) -> Mapping[str, Any]:
    """The mean of several explainers in place of the first, so that an attack has to change all of them at once.

    ``members`` are names of explainers or explanations of this case; ``explanation`` of the result is
    ``explain.aggregate`` of them (``by``), ``model`` the model as it was. After Rieger and Hansen (2020), who average
    normalised maps; ranks need no scale.

    With a ``ball``, two attacks that know the aggregate are run: ``attack.explanation_search`` with ``queries``
    queries, and ``steps`` steps of gradient ascent on the mean of the normalised maps of the members that can be
    differentiated, evaluated on the aggregate. ``before`` has the mean top-k overlaps (``k`` is the share of the
    features) of the first member under the same attacks and under random perturbations, ``after`` those of the
    aggregate, and those of the member that withstands most ("most robust member"), each attacked by itself: an
    aggregate that does not beat it is worth nothing. ``rank correlation`` is that of |value| with the first member: how
    far the explanation is another one. Without a ball a note says that the defence is not adaptively tested.

    A mean is not more faithful than its best member: score it, too.
    """
    if steps < 1 or queries < 1:
        raise InputError(f"steps={steps}, queries={queries}; at least 1 of each is needed.")
    aggregate: Explanation = find("explain", "aggregate").call(case, members=members, by=by)
    given = [members] if isinstance(members, str | Explanation) else list(members)
    each = [_explained(member, case) for member in given]
    before, after = {"rank correlation": 1.0}, {"rank correlation": _rank_correlation(aggregate, each[0])}
    notes: list[Note] = []
    if ball is None:
        text = "not adaptively tested: give ball, and the aggregate is searched and attacked by its members' gradients"
        notes.append(Note("not-adaptively-tested", text))
    else:
        search = {"k": k, "queries": queries}
        differentiable = [one for one in each if _can_be_differentiated(one, case)]
        alone = [_overlaps(one, case, ball, search, k, steps) for one in each]
        after |= _searched(aggregate, case, ball, search)
        if differentiable:
            attack = begin_attack(aggregate, case, ball, lambda: top_objective(aggregate, k), k)
            fields = replace(attack, members=tuple(differentiable)).by_gradient(
                steps=steps, step=STEP, sharpness=SHARPNESS
            )
            after[ATTACKED] = float(fields["after"].mean())
        if len(differentiable) < len(each):
            names = ", ".join(one.method for one in each if one not in differentiable)
            notes.append(Note("searched-only", f"no gradient attack: {names}; only the random search attacks these"))
        before |= alone[0]
        best = {name: max(one.get(name, -np.inf) for one in alone) for name in (ATTACKED, SEARCHED)}
        found = {f"{name}{BEST_MEMBER}": value for name, value in best.items() if np.isfinite(value)}
        before, after = (
            before | {name: before.get(name.removesuffix(BEST_MEMBER), np.nan) for name in found},
            after | found,
        )
    return {
        "model": case.model,
        "explanation": aggregate,
        "change": f"explained by the mean of the {by} of {', '.join(one.method for one in each)} in place of "
        f"{each[0].method}",
        "before": before,
        "after": after,
        "notes": tuple(notes),
    }


def _explained(member: Any, case: Case) -> Explanation:
    if isinstance(member, str):
        explained: Explanation = find("explain", member).call(case)
        return explained
    return recompute(member, case)


def _can_be_differentiated(explanation: Explanation, case: Case) -> bool:
    return case.model.differentiable and "differentiable" in find("explain", explanation.method).claims


def _overlaps(
    explanation: Explanation, case: Case, ball: Ball, search: Mapping[str, Any], k: float, steps: int
) -> Metrics:
    """The mean top-k overlaps of one member under the attacks on it alone, and under random perturbations."""
    found = _searched(explanation, case, ball, search)
    if _can_be_differentiated(explanation, case):
        attack = find("attack", "top_k")
        result: AttackResult = attack.call(explanation, case, ball, k=k, steps=steps, step=STEP, sharpness=SHARPNESS)
        found[ATTACKED] = float(result.after.mean())
    return found


def _searched(explanation: Explanation, case: Case, ball: Ball, search: Mapping[str, Any]) -> Metrics:
    result: AttackResult = find("attack", "explanation_search").call(explanation, case, ball, **search)
    return {SEARCHED: float(result.after.mean()), RANDOM: float(result.random.mean())}


def _rank_correlation(one: Explanation, other: Explanation) -> float:
    """The mean over the rows where it is defined; NaN where it is nowhere, as for constant maps."""
    found = spearman(np.abs(one.values), np.abs(other.values))
    known = found[np.isfinite(found)]
    return float(known.mean()) if len(known) else float("nan")
