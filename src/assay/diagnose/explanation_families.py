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
from assay.engine.attributions.tangent_space import NEIGHBOURS, project_on_data
from assay.engine.attributions.value_units import column_scales
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.capabilities import NEEDS
from assay.engine.check_findings import judged_finding
from assay.engine.cost import Given, cost_of
from assay.engine.declare import diagnostic
from assay.engine.retraining.labelled_rows import read_like
from assay.nouns.catalogue import Check, Cost, Method, find
from assay.nouns.inputs.rows import count_rows, to_floats
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Explanation

MAX_UNSUPPORTED = 0.35
"""Default threshold: share of the gradient's mass in excess of the effects of removal."""

MAX_OFF_DATA = 0.25
"""Default threshold: share of the gradient's mass in excess of the gradient along the data."""

LEAST_DATA = 100
"""Rows of data from which the directions of the data near a row are estimated."""

MAX_DATA = 2000
"""Rows of data among which neighbours are looked for."""

LEAST_ROWS = 4
"""Rows of which two halves are left: one chooses the features in excess, the other measures them."""

UNSUPPORTED = Check(
    "ATK503",
    "How much of the gradient explanation lies where removal finds no effect?",
    "Do not use gradients to explain this model: they may have been manipulated. Use a removal method (shapley, "
    "occlusion), and find out how the model was trained.",
    MAX_UNSUPPORTED,
    "at most",
    severe=0.6,
)
RANKS = Check(
    "ATK504",
    "How far do gradient and removal rank the features of a row in the same order?",
    "Informative; it has no threshold.",
)
OFF_DATA = Check(
    "ATK506",
    "How much of the gradient lies where the gradient along the data does not?",
    "Do not use gradients to explain this model: they may have been manipulated off the data. Use a removal method "
    "(shapley, occlusion), and find out how the model was trained.",
    MAX_OFF_DATA,
    "at most",
)
CHECKS = (UNSUPPORTED, RANKS, OFF_DATA)

MEANING = {
    UNSUPPORTED: "Sum over features of mean share of Σ|explanation| minus mean share of Σ|effect of removal|, over the "
    "features where the first is larger: 0 where both have the same profile over features, 1 where they share no "
    "feature. The features are chosen on one half of the rows and measured on the other. Only what rows have in "
    "common counts, not how a single row's maps differ. 0.1 to 0.3 for nets trained without regard to explanations.",
    RANKS: "Mean over rows of Spearman's correlation of |explanation| with |effect of removal| over features, −1 … 1. "
    "Between 0.2 and 0.8 for nets trained without regard to explanations.",
    OFF_DATA: "The same sum for the gradient of the target at the rows, against the part of it that lies in the space "
    "spanned by the first principal directions of each row's neighbours in the data: 0 where both have the same "
    "profile over features. 0.1 to 0.2 for nets of images trained without regard to explanations.",
}
NOT_FAILED = {
    "pass": "No action needed on this evidence.",
    "undecided": "Give more rows; the interval contains the threshold.",
}


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    data = inputs.x if inputs.train is None else inputs.train[0]
    return [Call((inputs.explained, inputs.explanation), {"data": data, **inputs.options_of(method)})]


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    removal = cost_of(find("explain", "occlusion"), case, {"remove": o.remove})
    projected = len(case) if not _why_no_projection(case, o.data) else 0
    return removal + Cost(1, 1) * (projected * case.model.passes_per_row)


@diagnostic(source="heo2019", needs={"explanation"}, checks=CHECKS, cost=_cost, calls=_calls)
def explanation_families(
    case: Case,
    explanation: Explanation,
    *,
    remove: Removal = DEFAULT,
    data: Any = None,
    level: float = 0.95,
    mass: float = MAX_UNSUPPORTED,
    off_data: float = MAX_OFF_DATA,
) -> list[Finding]:
    """The share of a gradient explanation on features that removal gives less of the effect, over all rows; 0 is best.

    Fine-tuning can move the gradients of a net to any place, or away from a column, at almost the same predictions
    (Heo et al. 2019, Dimanov et al. 2020), but not what happens when a feature is removed. ATK503: with g and r the
    shares of a row's Σ|explanation| and Σ|effect of removing one feature|, the sum of mean(g − r) over the features
    where it is above 0 on the other half of the rows; at most ``mass``. Its expectation is at most the total variation
    distance of the mean profiles. Student's interval. ATK504 is the mean rank correlation of g and r, which informs.

    ATK506 compares the gradient of the target with its projection on the directions of the data: the first 16
    principal directions of the 32 rows of ``data`` (by default the rows explained) that are nearest to the row, the
    defence of Anders et al. (2020). The same sum, at most ``off_data``. A net can be given any gradient across the data
    at the same outputs on it. It needs a gradient, at least 100 rows of data, and no removal.

    ``explanation`` should be of the gradient family (saliency, integrated gradients, LRP, Grad-CAM). In tables,
    saliency and SmoothGrad are multiplied by the column's standard deviation, since they are per unit. There is no
    reference net to compare with, so the threshold is a default: measure it on nets of the same kind that you trained
    yourself. A net may also fail honestly where it is flat at the rows and steep elsewhere. Removal by rows of the
    data asks more of the net than by a constant that features often have already. Rows with other features each are
    refused.
    """
    if not 0 < mass < 1 or not 0 < off_data < 1:
        raise InputError(f"mass={mass}, off_data={off_data}; shares in (0, 1) are needed.")
    if case.features.per_row:
        raise CapabilityError(
            "diagnose.explanation_families compares features over rows, and each row has features of its own; "
            "give a grid (features=assay.grid(…))."
        )
    removal: Explanation = find("explain", "occlusion").call(case, remove=remove)
    sizes = np.abs(explanation.values) * column_scales(explanation, case)
    effects = np.abs(removal.values)
    shares = _shares(sizes, effects)
    projected = _off_data(case, data, level, off_data)
    if len(shares[0]) < LEAST_ROWS:
        return [_not_applicable(check, explanation.method, len(shares[0])) for check in (UNSUPPORTED, RANKS)] + [
            projected
        ]
    words = (explanation.method, "features that removal gives less of the effect", "effects")
    return [
        _excess(UNSUPPORTED, case, shares, words, level, mass),
        _rank_correlation(explanation, *shares, level),
        projected,
    ]


def _shares(sizes: Floats, others: Floats) -> tuple[Floats, Floats]:
    """Both as shares of each row's sum, for the rows where both are finite and not all 0."""
    defined = np.isfinite(sizes).all(axis=1) & np.isfinite(others).all(axis=1)
    defined &= (np.nansum(sizes, axis=1) > 0) & (np.nansum(others, axis=1) > 0)
    first, second = (one[defined] / one[defined].sum(axis=1, keepdims=True) for one in (sizes, others))
    return first, second


def _why_no_projection(case: Case, data: Any) -> str:
    """Why the gradient cannot be compared with its part along the data; empty where it can."""
    if not all(NEEDS[need][0](case) for need in ("gradient", "numbers", "complete")):
        return "needs a gradient with respect to rows of numbers"
    rows = len(case) if data is None else count_rows(data)
    return f"has {rows} rows of data; {LEAST_DATA} are needed" if rows < LEAST_DATA else ""


def _off_data(case: Case, data: Any, level: float, off_data: float) -> Finding:
    why = _why_no_projection(case, data)
    if why:
        return _not_applicable(OFF_DATA, "gradient", 0, f"The comparison with the gradient along the data {why}.")
    x = to_floats(case.rows.x if data is None else read_like(case, data))
    drawn = case.seed.child("tangent space").generator().permutation(len(x))[:MAX_DATA]
    gradient = to_floats(case.gradient(case.rows.x))
    own = to_floats(case.rows.x)
    scale = np.nanstd(x, axis=0) if own.ndim == 2 else np.ones(own.shape[1:])
    along = project_on_data(own, gradient, x[drawn], scale)
    sizes, others = (case.features.pool(np.abs(one * scale)) for one in (gradient, along))
    shares = _shares(sizes, others)
    if len(shares[0]) < LEAST_ROWS:
        return _not_applicable(OFF_DATA, "gradient", len(shares[0]))
    words = (
        "the gradient",
        f"features that its part along the {NEIGHBOURS} nearest rows has less of",
        "gradient along",
    )
    return _excess(OFF_DATA, case, shares, words, level, off_data)


def _excess(
    check: Check,
    case: Case,
    both: tuple[Floats, Floats],
    words: tuple[str, str, str],
    level: float,
    threshold: float,
) -> Finding:
    """The finding about how much of the first shares (row, feature) exceeds the second ones."""
    subject, where, other = words
    shares, others = both
    gaps = shares - others
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
        check,
        Basis("student", {"values": excess}),
        level,
        threshold,
        {**NOT_FAILED, "fail": check.remedy},
        claim=f"{estimate:.0%} of {subject} lies on {where}, most of all `{worst}`.",
        subject=subject.removeprefix("the "),
        estimate=estimate,
        null=0.0,
        n=len(gaps),
        meaning=MEANING[check],
        evidence={
            "features": [
                {
                    "name": case.features.names[place],
                    "share of explanation": float(shares[:, place].mean()),
                    f"share of {other}": float(others[:, place].mean()),
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
        return _not_applicable(RANKS, explanation.method, 0)
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


def _not_applicable(check: Check, subject: str, rows: int, why: str = "") -> Finding:
    claim = why or f"{rows} rows have a gradient and an effect of removal other than 0; {LEAST_ROWS} are needed."
    advice = "Give other rows, more data, or another removal."
    return Finding(check.code, "not applicable", claim, subject=subject, n=rows, meaning=MEANING[check], advice=advice)
