# SPDX-License-Identifier: Apache-2.0
"""Whether a gradient explanation and removal agree on where the effects are (detects nets with fooled gradients)."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.samples.correlation import spearman
from assay.basics.stats import Basis, skewness_corrected_interval
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.attributions.value_units import column_scales
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.check_findings import judged_finding
from assay.engine.cost import Given, cost_of
from assay.engine.declare import diagnostic
from assay.nouns.catalogue import Check, Cost, Method, find
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Explanation

MAX_UNSUPPORTED = 0.35
"""Default threshold: share of the gradient's mass in excess of the effects of removal."""

LEAST_ROWS = 4
"""Rows of which two halves are left: one chooses the features in excess, the other measures them."""

UNSUPPORTED = Check(
    "ATK503",
    "How much of the gradient explanation lies where removal finds no effect?",
    "Do not use gradients to explain this model: they may have been manipulated. Use a removal method (shapley, "
    "occlusion), and find out how the model was trained.",
    MAX_UNSUPPORTED,
    "at most",
)
RANKS = Check(
    "ATK504",
    "How far do gradient and removal rank the features of a row in the same order?",
    "Informative; it has no threshold.",
)
CHECKS = (UNSUPPORTED, RANKS)

MEANING = {
    UNSUPPORTED: "Sum over features of mean share of Σ|explanation| minus mean share of Σ|effect of removal|, over the "
    "features where the first is larger: 0 where both have the same profile over features, 1 where they share no "
    "feature. The features are chosen on one half of the rows and measured on the other. Only what rows have in "
    "common counts, not how a single row's maps differ. 0.1 to 0.3 for nets trained without regard to explanations.",
    RANKS: "Mean over rows of Spearman's correlation of |explanation| with |effect of removal| over features, −1 … 1. "
    "Between 0.2 and 0.8 for nets trained without regard to explanations.",
}
ADVICE = {
    "pass": "No action needed on this evidence.",
    "fail": UNSUPPORTED.remedy,
    "undecided": "Give more rows; the interval contains the threshold.",
}


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    return [Call((inputs.explained, inputs.explanation), inputs.options_of(method))]


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    return cost_of(find("explain", "occlusion"), case, {"remove": o.remove})


@diagnostic(source="heo2019", needs={"explanation"}, checks=CHECKS, cost=_cost, calls=_calls)
def explanation_families(
    case: Case,
    explanation: Explanation,
    *,
    remove: Removal = DEFAULT,
    level: float = 0.95,
    mass: float = MAX_UNSUPPORTED,
) -> list[Finding]:
    """The share of a gradient explanation on features that removal gives less of the effect, over all rows; 0 is best.

    Fine-tuning can move the gradients of a net to any place, or away from a column, at almost the same predictions
    (Heo et al. 2019, Dimanov et al. 2020), but not what happens when a feature is removed. ATK503: with g and r the
    shares of a row's Σ|explanation| and Σ|effect of removing one feature|, the sum of mean(g − r) over the features
    where it is above 0 on the other half of the rows; at most ``mass``. Its expectation is at most the total variation
    distance of the mean profiles. Student's interval. ATK504 is the mean rank correlation of g and r, which informs.

    ``explanation`` should be of the gradient family (saliency, integrated gradients, LRP, Grad-CAM). In tables,
    saliency and SmoothGrad are multiplied by the column's standard deviation, since they are per unit. There is no
    reference net to compare with, so the threshold is a default: measure it on nets of the same kind that you trained
    yourself. A net may also fail honestly where it is flat at the rows and steep elsewhere. Removal by rows of the
    data asks more of the net than by a constant that features often have already. Rows with other features each are
    refused.
    """
    if not 0 < mass < 1:
        raise InputError(f"mass={mass}; a share in (0, 1) is needed.")
    if case.features.per_row:
        raise CapabilityError(
            "diagnose.explanation_families compares features over rows, and each row has features of its own; "
            "give a grid (features=assay.grid(…))."
        )
    removal: Explanation = find("explain", "occlusion").call(case, remove=remove)
    sizes = np.abs(explanation.values) * column_scales(explanation, case)
    effects = np.abs(removal.values)
    defined = np.isfinite(sizes).all(axis=1) & np.isfinite(effects).all(axis=1)
    defined &= (np.nansum(sizes, axis=1) > 0) & (np.nansum(effects, axis=1) > 0)
    if defined.sum() < LEAST_ROWS:
        return [_not_applicable(check, explanation, int(defined.sum())) for check in CHECKS]
    shares = [one[defined] / one[defined].sum(axis=1, keepdims=True) for one in (sizes, effects)]
    return [
        _unsupported(case, explanation, shares[0], shares[1], level, mass),
        _rank_correlation(explanation, sizes[defined], effects[defined], level),
    ]


def _unsupported(
    case: Case, explanation: Explanation, shares: Floats, effects: Floats, level: float, mass: float
) -> Finding:
    gaps = shares - effects
    half = np.arange(len(gaps)) % 2
    excess = np.zeros(len(gaps))
    for one in (0, 1):
        chosen = gaps[half != one].mean(axis=0) > 0
        excess[half == one] = gaps[half == one][:, chosen].sum(axis=1)
    profile = gaps.mean(axis=0)
    order = np.argsort(-np.abs(profile), kind="stable")[:20]
    estimate = float(excess.mean())
    worst = case.features.names[int(profile.argmax())]
    return judged_finding(
        UNSUPPORTED,
        Basis("student", {"values": excess}),
        level,
        mass,
        ADVICE,
        claim=f"{estimate:.0%} of {explanation.method} lies on features that removal gives less of the effect, most "
        f"of all `{worst}`.",
        subject=explanation.method,
        estimate=estimate,
        null=0.0,
        n=len(gaps),
        meaning=MEANING[UNSUPPORTED],
        evidence={
            "features": [
                {
                    "name": case.features.names[place],
                    "share of explanation": float(shares[:, place].mean()),
                    "share of effects": float(effects[:, place].mean()),
                }
                for place in order
            ],
            "rows left out": len(case) - len(gaps),
        },
    )


def _rank_correlation(explanation: Explanation, sizes: Floats, effects: Floats, level: float) -> Finding:
    found = spearman(sizes, effects)
    found = found[~np.isnan(found)]
    if not len(found):
        return _not_applicable(RANKS, explanation, 0)
    return Finding(
        code=RANKS.code,
        verdict="informative",
        claim=f"The rank correlation of {explanation.method} with the effects of removal is {found.mean():.2f}.",
        subject=explanation.method,
        estimate=float(found.mean()),
        interval=skewness_corrected_interval(found, level),
        null=0.0,
        n=len(found),
        meaning=MEANING[RANKS],
        advice=RANKS.remedy,
    )


def _not_applicable(check: Check, explanation: Explanation, rows: int) -> Finding:
    fields: dict[str, Any] = {"subject": explanation.method, "n": rows, "meaning": MEANING[check]}
    claim = f"{rows} rows have a gradient and an effect of removal other than 0; {LEAST_ROWS} are needed."
    return Finding(check.code, "not applicable", claim, advice="Give other rows, or another removal.", **fields)
