# SPDX-License-Identifier: Apache-2.0
"""Poisoned backgrounds: whether the background of explanations is drawn like fresh rows, and what it changes."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import Basis, auc
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs
from assay.engine.check_findings import counted_finding, judged_finding
from assay.engine.declare import diagnostic
from assay.engine.poisoning.background_tests import CurveGap, column_p_values, curve_gaps
from assay.engine.retraining.labelled_rows import read_like, rows_also_in
from assay.engine.retraining.split_statistics import SplitData, classify_side, sample_side, split_data
from assay.nouns.catalogue import Check, Cost
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.finding import Finding

LEAST_P, MAX_AREA, LEAST_ROWS = 0.001, 0.65, 20
"""Default thresholds: the smallest corrected p, the area under the ROC curve; and the fewest rows of each side."""

_REMEDY = (
    "Draw the background again from rows whose source is known, and explain again; the evidence has the curves on "
    "fresh rows. Keep a fingerprint of the background with the explanation."
)

COLUMNS = Check(
    "DAT402",
    "Is some column of the background distributed unlike fresh rows?",
    _REMEDY,
    LEAST_P,
    "at least",
)
CLASSIFIER = Check(
    "DAT403",
    "Can a classifier tell background rows from fresh rows?",
    _REMEDY,
    MAX_AREA,
    "at most",
    severe=0.8,
)
CURVES = Check(
    "DAT404",
    "Does the background change the explanation of some column?",
    _REMEDY,
    LEAST_P,
    "at least",
)

MEANING = {
    COLUMNS: "The smallest p over columns after Holm's correction, Kolmogorov–Smirnov for numbers and χ² for levels: "
    "small where a column of the background is not drawn like the fresh rows. A background that was chosen on purpose "
    "(one group, one year) is found, too. Moves that keep each column's distribution are not.",
    CLASSIFIER: "Area under the ROC curve of a random forest that tells background rows from fresh ones, on rows that "
    "it was not fitted on: 0.5 where both are drawn the same way, 1 where each is recognised. It sees combinations of "
    "columns that no single column shows.",
    CURVES: "The smallest p over columns of a permutation test: how often a random split of all rows gives two partial "
    "dependence curves, of any column, that differ more than that on the background and that on fresh rows. It reads "
    "only what changes the explanation.",
}
ADVICE = {
    "pass": "No action needed on this evidence.",
    "fail": _REMEDY,
    "undecided": "Give more background rows and more fresh rows; the interval contains the threshold.",
}


def _audit_cost(inputs: AuditInputs) -> Cost:
    """Every row of both sides at every point of each column, at most."""
    given = inputs.options.get("background", {})
    rows, most = len(inputs.case) + len(inputs.background), given.get("most", 400)
    points, columns = given.get("points", 8) + 1, int(np.prod(inputs.case.rows.shape))
    return Cost(min(rows, 2 * most) * points * columns) * inputs.model.passes_per_row


@diagnostic(
    source="lopezpaz2017",
    needs={"table", "background"},
    optional={"train"},
    checks=(COLUMNS, CLASSIFIER, CURVES),
    audit_cost=_audit_cost,
    has_exact_cost=False,
)
def background(
    case: Case,
    background: Any,
    train: Any = None,
    *,
    points: int = 8,
    splits: int = 4999,
    most: int = 400,
    least: float = LEAST_P,
    area: float = MAX_AREA,
    level: float = 0.95,
) -> list[Finding]:
    """Whether the background of explanations is drawn like fresh rows, by columns, by a classifier and by curves.

    The case holds fresh rows, which no attacker could have changed; ``background`` are the rows by which explanations
    fill absent features.

    DAT402: the smallest p over columns (Kolmogorov–Smirnov; χ² for levels and for numbers of at most 20 values),
    corrected by Holm; at least ``least``. DAT403: classifier two-sample test, the area under the ROC curve of a random
    forest fitted on one half and evaluated on the other, both ways; at most ``area``. DAT404: the partial dependence of
    each column on the background and on fresh rows at ``points`` points; p of a permutation test with ``splits`` random
    splits on the root mean square difference of the centred curves, the largest over columns in units of its mean over
    the splits (Westfall and Young); at least ``least``. At most ``most`` rows of each side are evaluated, drawn by the
    seed.

    The evidence has both curves of the column that differs most, and with ``train``, from which the background should
    be drawn, how many background rows occur there: where only some do, someone changed the others. The p-values are
    facts about these rows and take no part in corrections over the audit; without a change a check fails once in
    1 / ``least`` audits.

    A test of the predictions alone sees less: moves of a quarter of a standard deviation keep them
    (``attack.background`` has its p-value).
    """
    _check(points, splits, most, least, area, level)
    other = to_floats(read_like(case, background))
    fresh = to_floats(case.rows.x)
    if min(len(other), len(fresh)) < LEAST_ROWS:
        return [_too_few(check, case, len(other), len(fresh)) for check in (COLUMNS, CLASSIFIER, CURVES)]
    split = split_data(case, other)
    known = None if train is None else int(rows_also_in(other, to_floats(read_like(case, train))).sum())
    seed = case.seed.child("background")
    drawn = [one[_some(len(one), most, seed.child(name).generator())] for name, one in zip("ab", (other, fresh))]
    gaps = curve_gaps(case, drawn[0], drawn[1], points, splits, seed.child("splits"))
    return [
        _columns(case, split, known, least),
        _classifier(case, split, area, level),
        _curves(case, gaps, sum(map(len, drawn)), least),
    ]


def _check(points: int, splits: int, most: int, least: float, area: float, level: float) -> None:
    if not (points >= 2 and splits >= 99 and most >= LEAST_ROWS and 0 < least < 1 and 0.5 <= area <= 1):
        raise InputError(
            f"points={points}, splits={splits}, most={most}, least={least}, area={area}; needed are points ≥ 2, splits "
            f"≥ 99, most ≥ {LEAST_ROWS}, least in (0, 1), area in [0.5, 1]."
        )
    if not 0 < level < 1:
        raise InputError(f"level={level}; a level between 0 and 1 is needed.")


def _some(rows: int, most: int, generator: np.random.Generator) -> Any:
    return np.sort(generator.permutation(rows)[:most])


def _columns(case: Case, split: SplitData, known: int | None, least: float) -> Finding:
    p = column_p_values(split)
    order = np.argsort(p, kind="stable")
    name, rows = split.names[order[0]], len(split.train)
    found = "" if known is None else f" {known} of {rows} background rows occur among the training rows."
    return counted_finding(
        COLUMNS,
        float(p[order[0]]),
        least,
        ADVICE,
        claim=f"`{name}` differs most clearly between {rows} background and {len(split.held_out)} fresh rows: p = "
        f"{p[order[0]]:.2g} after correction for {len(p)} columns.{found}",
        subject=case.model.name,
        n=rows + len(split.held_out),
        meaning=MEANING[COLUMNS],
        evidence={
            "column": name,
            "columns": [{"name": split.names[i], "p": float(p[i])} for i in order[:20].tolist()],
            "background rows in the training rows": known,
        },
    )


def _classifier(case: Case, split: SplitData, limit: float, level: float) -> Finding:
    fresh, other = sample_side(split, "held out"), sample_side(split, "train")
    scores, importances = classify_side(fresh, other, split.seed)
    area = auc(scores[len(fresh) :], scores[: len(fresh)])
    names = [split.names[i] for i in np.argsort(-importances, kind="stable")[:5].tolist()]
    return judged_finding(
        CLASSIFIER,
        Basis("area", {"area": area, "count": len(other) // 2, "other": len(fresh) // 2}),
        level,
        limit,
        ADVICE,
        claim=f"A random forest tells background rows from fresh ones with an area under the ROC curve of "
        f"{area:.2f}; it uses {', '.join(names[:3])} most.",
        subject=case.model.name,
        estimate=float(area),
        null=0.5,
        n=len(fresh) + len(other),
        meaning=MEANING[CLASSIFIER],
        evidence={"columns by importance": names},
    )


def _curves(case: Case, gaps: list[CurveGap], rows: int, least: float) -> Finding:
    p = np.array([one.p for one in gaps])
    place = min(range(len(gaps)), key=lambda one: (p[one], -gaps[one].gap))
    worst, name = gaps[place], case.features.names[place]
    return counted_finding(
        CURVES,
        float(p[place]),
        least,
        ADVICE,
        claim=f"The partial dependence of `{name}` on the background differs from that on fresh rows by "
        f"{worst.gap:.0%} of its size: p = {p[place]:.2g} after correction for {len(gaps)} columns.",
        subject=case.model.name,
        n=rows,
        meaning=MEANING[CURVES],
        evidence={
            "column": name,
            "curve on the background": worst.curves[0].tolist(),
            "curve on fresh rows": worst.curves[1].tolist(),
            "columns": [
                {"name": case.features.names[i], "p": float(p[i]), "gap": gaps[i].gap}
                for i in np.argsort(p, kind="stable")[:20].tolist()
            ],
        },
    )


def _too_few(check: Check, case: Case, background: int, fresh: int) -> Finding:
    return Finding(
        check.code,
        "not run",
        f"{background} background rows and {fresh} fresh rows; at least {LEAST_ROWS} of each are needed.",
        case.model.name,
        n=background + fresh,
        meaning=MEANING[check],
        advice=f"Give at least {LEAST_ROWS} rows of each; two hundred are better.",
    )
