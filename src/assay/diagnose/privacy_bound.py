# SPDX-License-Identifier: Apache-2.0
"""Whether a membership attack refutes a claim of differential privacy."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.stats import Basis, clopper_pearson, newcombe
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.check_findings import judged_finding
from assay.engine.declare import diagnostic
from assay.engine.privacy.bounds import (
    VACUOUS_FROM,
    Guess,
    Relation,
    advantage_bound,
    audited_epsilon,
    comparable_budget,
    exponential_bound,
    one_run_epsilon,
    rate_bound,
)
from assay.engine.retraining.labelled_rows import losses, outputs_at, true_labels
from assay.nouns.catalogue import Check, Cost, Method
from assay.nouns.results.finding import Finding

RATES = (0.001, 0.01, 0.1)
"""False-positive rates at which the evidence says what ε allows."""

LEAST_ROWS = 20
"""Rows of each side that are needed."""

BOUND = Check(
    "PRV201",
    "Does a membership attack find more than the claimed differential privacy allows?",
    "Look for the fault in the training: preprocessing learnt on the same rows, gradients that are not clipped for "
    "each row, batches that are not sampled as the accountant assumes, duplicated rows, options tuned on these rows.",
    1.0,
    "at most",
    origin="the claimed ε, doubled where rows are added or removed",
    assumes=("DAT103",),
)

MEANING = (
    "Privacy loss ln((TPR − δ) / FPR) of the rule that was chosen on the other half of the rows: the least ε of a "
    "training that allows this attack; 0 for a guess, larger is worse. A lower limit above the threshold refutes the "
    "claim: the training, its accounting or its data are not as claimed. An attack that stays below proves nothing: a "
    "stronger one may exist, and the loss attack is a weak one. Misleading if the two sets are not a random split of "
    "one population."
)
ADVICE = {
    "pass": "The attack does not refute the claim, which is no proof of it.",
    "fail": f"Do not rely on the claimed privacy. {BOUND.remedy}",
    "undecided": "The attack does not refute the claim. Give more rows on both sides for narrower limits.",
}


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    """The case holds the training rows; the rows of the audit are the outside rows."""
    assert inputs.train is not None
    rows, labels = inputs.train
    inside = inputs.ask(rows, target="loss", label=labels)
    return [Call((inside, labels, inputs.x, inputs.labels), inputs.options_of(method))]


def _audit_cost(inputs: AuditInputs) -> Cost:
    assert inputs.train is not None
    return Cost(len(inputs.train[1]) + len(inputs.case)) * inputs.model.passes_per_row


@diagnostic(
    source="jagielski2020",
    needs={"labels", "train", "claimed_epsilon"},
    checks=(BOUND,),
    calls=_calls,
    audit_cost=_audit_cost,
)
def privacy_bound(
    case: Case,
    labels: Any,
    outside: Any,
    outside_labels: Any,
    *,
    epsilon: float,
    delta: float = 0.0,
    relation: Literal["add-remove", "replace-one"] = "add-remove",
    level: float = 0.95,
) -> list[Finding]:
    """The privacy loss that a membership attack shows, compared with the ε with which the model is said to be trained.

    The case holds training rows with their true ``labels``; ``outside`` holds rows of the same population that were not
    trained on. A rule "member where the loss is at most τ", or "not a member where it is above", is chosen on half of
    the rows of both sides and evaluated on the other half.

    PRV201: ln((TPR − δ) / FPR) of that rule, from Clopper–Pearson limits of both rates; the claim is refuted where its
    lower limit ε̂ = ln((TPR_lo − δ) / FPR_hi) is above what the claim allows, which happens in at most 5 % of audits of
    a model for which the claim holds. A row that another one replaces is the game that a random split plays: with
    ``relation`` "add-remove", that of Opacus, the limit is 2ε at (1 + e^ε) δ.

    The evidence has the largest advantage and true-positive rates that the claim allows, ε̂ of one run (Steinke et al.
    2023) where both sides have equally many rows, and e^ε − 1, the bound on the advantage of Yeom et al. (2018), which
    says nothing from ε = ln 2 = 0.693 on. TensorFlow Privacy's ε̂ is the largest over all thresholds on the rows on
    which they are chosen, which exceeds the true ε too often.
    """
    allowed, slack = comparable_budget(epsilon, delta, relation)
    outer, copies = outputs_at(case, outside)
    inside = losses(case.prediction, true_labels(case.model, labels, len(case), case.prediction), case.model)
    beyond = losses(outer, true_labels(case.model, outside_labels, len(outer), case.prediction), case.model)
    if min(len(inside), len(beyond)) < LEAST_ROWS:
        raise InputError(
            f"{len(inside)} rows inside and {len(beyond)} outside; at least {LEAST_ROWS} of each are needed."
        )
    halves = _halves(case.rows.ids, case.seed), _halves(range(len(beyond)), case.seed.child("out"))
    lowest, guess = audited_epsilon(inside, beyond, *halves, delta=slack, level=level)
    tested = inside[halves[0] == 1], beyond[halves[1] == 1]
    hits, trials = guess.counts(*tested)
    return [
        judged_finding(
            BOUND,
            Basis("privacy", {"hits": hits, "trials": trials, "delta": slack}),
            level,
            allowed,
            ADVICE,
            claim=_claim(lowest, epsilon, delta, allowed, relation, int(copies.sum())),
            subject=case.model.name,
            estimate=_loss(hits, trials, slack),
            null=0.0,
            n=int(trials.sum()),
            meaning=MEANING,
            evidence=_evidence(tested, guess, level, epsilon, delta, relation),
        )
    ]


def _claim(lowest: float, epsilon: float, delta: float, allowed: float, relation: str, copies: int) -> str:
    shown = f"at least {lowest:.3g}" if lowest > 0 else "of no size that these rows could show"
    twice = "" if relation == "replace-one" else f", {allowed:.3g} for a replaced row"
    also = f" ({copies} of the unseen rows also occur among the training rows)" if copies else ""
    claimed = f"claimed are ε = {epsilon:g} and δ = {delta:.2g}{twice}"
    return f"A membership attack shows a privacy loss {shown}; {claimed}{also}."


def _loss(hits: Ints, trials: Ints, delta: float) -> float:
    rates = hits / trials
    if rates[0] <= delta:
        return float("-inf")
    return float(np.log((rates[0] - delta) / rates[1])) if rates[1] > 0 else float("inf")


def _halves(ids: Any, seed: Seed) -> Ints:
    """0 or 1 for each row, half of each, by row id and not by position."""
    order = np.argsort(np.array([str(one) for one in ids]), kind="stable")
    half = np.empty(len(order), dtype=np.int64)
    half[order] = seed.child("privacy bound", "halves").generator().permutation(len(order)) % 2
    return half


def _evidence(
    tested: tuple[Floats, Floats], guess: Guess, level: float, epsilon: float, delta: float, relation: Relation
) -> dict[str, Any]:
    """What the rule found, and what the claim allows."""
    inside, outside = tested
    allowed, slack = comparable_budget(epsilon, delta, relation)
    hits, trials = guess.counts(inside, outside)
    true, false = (clopper_pearson(int(hit), int(trial), level) for hit, trial in zip(hits, trials))
    advantage = newcombe(int(hits[0]), int(trials[0]), int(hits[1]), int(trials[1]), level)
    named = "member" if guess.of_members else "not a member"
    found = {
        "rule": f"{named} where the loss is {'at most' if guess.of_members else 'above'} {guess.threshold:.6g}",
        "true positive rate": float(hits[0] / trials[0]),
        "true positive rate low": true.low,
        "false positive rate": float(hits[1] / trials[1]),
        "false positive rate high": false.high,
        "relation": relation,
        "allowed ε": allowed,
        "allowed δ": slack,
        "advantage": float(hits[0] / trials[0] - hits[1] / trials[1]),
        "advantage low": advantage.low,
        "largest advantage allowed": advantage_bound(allowed, slack),
        "e^ε − 1": exponential_bound(epsilon),
        "e^ε − 1 says nothing": epsilon >= VACUOUS_FROM,
        "largest true positive rates allowed": {
            f"{rate:g}": float(bound) for rate, bound in zip(RATES, rate_bound(np.array(RATES), allowed, slack))
        },
    }
    if len(inside) == len(outside) and not delta:
        found["ε̂ of one run"] = one_run_epsilon(int(hits[0]), int(hits.sum()), level)
    return found
