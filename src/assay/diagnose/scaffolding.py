# SPDX-License-Identifier: Apache-2.0
"""Whether a model behaves differently on an explainer's queries than on real rows (scaffolding of LIME and SHAP)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.stats import Basis, auc
from assay.basics.types import Array, Floats, Ints
from assay.cases.case import Case
from assay.engine.attributions.value_units import column_scales
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.check_findings import judged_finding
from assay.engine.cost import Given, cost_of_explaining_again
from assay.engine.declare import diagnostic
from assay.engine.recompute import recompute
from assay.engine.retraining.labelled_rows import read_like
from assay.engine.retraining.split_statistics import classify_side
from assay.engine.search.threat import as_array
from assay.nouns.catalogue import Check, Cost, Method
from assay.nouns.inputs.rows import Rows, to_floats
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Explanation

MAX_UNDERSTATED = 0.25
"""Default threshold: share of the effects that an explanation leaves out of a column's."""

MAX_QUERIES = 1000
"""Queries of each half of the rows, and data rows, that the forest of ATK502 learns from."""

LEAST_ROWS = 20
"""The fewest queries, and rows of data, that a forest is fitted to."""

UNDERSTATED = Check(
    "ATK501",
    "Does a column matter less in the explanation than when it alone changes on real rows?",
    "Do not rely on this explanation: the model may detect its queries. Explain with real values (qii, shapley with "
    "Marginal(rows)), and judge the column by substitution on real rows.",
    -MAX_UNDERSTATED,
    "at least",
)
SEPARABLE = Check(
    "ATK502",
    "How easily can a model tell the explainer's queries from data?",
    "Informative; it has no threshold. Use an explainer whose queries are nearer to the data.",
)
CHECKS = (UNDERSTATED, SEPARABLE)

MEANING = {
    UNDERSTATED: "Share of the column in the explanation's energy (mean squared value, less the sampling variance) "
    "minus its share in the effects on real rows (mean squared change of the target when the column alone gets another "
    "real row's value), for the column that the explanation understates most. 0 for every additive target, whatever "
    "the columns' distributions; down to about −0.17 where honest columns interact; near −1 where the model answers "
    "the explainer's queries by another rule.",
    SEPARABLE: "Area under the ROC curve of a random forest that tells the explainer's queries from data rows: 0.5 "
    "where it cannot, 1 where every query is recognised. A model that recognises queries can be made to hide what it "
    "does; a high value does not show that it does.",
}
ADVICE = {
    "pass": "No action needed on this evidence.",
    "fail": UNDERSTATED.remedy,
    "undecided": "Give more rows; the interval contains the threshold.",
}


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    options = {"suspects": inputs.suspects, "data": inputs.x, **inputs.options_of(method)}
    return [Call((inputs.explained, inputs.explanation), options)]


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    changed = Cost(len(case) * case.model.passes_per_row) * (len(case.features) * o.draws)
    return changed + cost_of_explaining_again(case, again)


@diagnostic(
    source="slack2020",
    needs={"explanation", "table"},
    checks=CHECKS,
    optional={"suspects"},
    cost=_cost,
    calls=_calls,
)
def scaffolding(
    case: Case,
    explanation: Explanation,
    *,
    suspects: Sequence[str] = (),
    data: Any = None,
    draws: int = 8,
    level: float = 0.95,
    share: float = MAX_UNDERSTATED,
) -> list[Finding]:
    """How much less a column matters in an explanation than when it alone changes on real rows; negative means less.

    A scaffolded model (Slack et al. 2020) answers real rows by one rule and rows that look like an explainer's queries
    by another, so that LIME or KernelSHAP see the second rule only. One column of a real row, changed to the value of
    another real row, mostly leaves it looking real. ATK501: share of the column in the explanation, by squares, minus
    its share in the effects of such substitutions (``draws`` a row and column, drawn by row id); the smallest over
    ``suspects``, by default all columns; at least −``share``. Student's interval by the delta method, corrected for the
    number of columns. For an additive target both shares are equal: 2 · Var f_j in the one, Var f_j in the other.

    ATK502: how well a random forest tells the rows that the explainer asks about from rows of ``data`` that are not
    explained (by default every second row of the case is data, and the queries are those for the others); queries made
    for one half of the rows are judged by a forest that learned those for the other half. It informs how exploitable
    the explainer is.

    For explanations of effects: removal methods, LIME, and gradients (saliency and SmoothGrad are multiplied by the
    columns' standard deviations), from which fine-tuning can hide a column (Dimanov et al. 2020). A column may also be
    understated where many columns interact, by an explanation that looks at a narrow neighbourhood of a step function,
    and by one of low fidelity. A detector that notices single substitutions too escapes; then the model is often not
    what it hides either (its fidelity is low).
    """
    if draws < 1 or not 0 < share < 1:
        raise InputError(f"draws={draws}, share={share}; needed are draws ≥ 1 and share in (0, 1).")
    places = _places(case, suspects)
    return [
        _understated(case, explanation, _effects(case, draws), places, level, share),
        _separable(case, explanation, data),
    ]


def _places(case: Case, suspects: Sequence[str]) -> Ints:
    if isinstance(suspects, str):
        raise InputError(f"suspects={suspects!r} is a single text; give a list of column names.")
    names = case.features.names
    unknown = [name for name in suspects if name not in names]
    if unknown:
        raise InputError(f"suspects: no column {', '.join(map(repr, unknown[:5]))}; there are {list(names[:8])}.")
    return np.array([names.index(name) for name in dict.fromkeys(suspects)] or range(len(names)), dtype=np.int64)


def _effects(case: Case, draws: int) -> Floats:
    """Mean squared change (row, column) of the target when the column alone gets another row's value."""
    rows, x = np.arange(len(case)), to_floats(case.rows.x)
    donors = np.stack(
        [
            case.seed.child("scaffolding", name).generator().integers(len(case), size=(len(case.features), draws))
            for name in case.rows.ids
        ]
    )
    squares = np.zeros((len(case), len(case.features)))
    for column in range(len(case.features)):
        members = np.reshape(case.features.index == column, (-1, x.shape[1]))
        for draw in range(draws):
            changed = np.where(members, x[donors[:, column, draw]], x)
            value = case.value(as_array(changed, case.rows.x), rows)
            squares[:, column] += (value - case.output) ** 2 / draws
    return squares


def _understated(
    case: Case, explanation: Explanation, effects: Floats, places: Ints, level: float, share: float
) -> Finding:
    error = 0.0 if explanation.stderr is None else explanation.stderr**2
    energies = (explanation.values**2 - error) * column_scales(explanation, case) ** 2
    finite = np.isfinite(energies).all(axis=1) & np.isfinite(effects).all(axis=1)
    energies, effects = energies[finite], effects[finite]
    if len(effects) < 2 or effects.sum() == 0 or energies.mean(axis=0).clip(min=0).sum() <= 0:
        what = "No single column changes the target" if effects.sum() == 0 else "The explanation is 0 within its errors"
        return Finding(
            code=UNDERSTATED.code,
            verdict="not applicable",
            claim=f"{what} on {len(effects)} row(s) with finite values, so there are no shares to compare.",
            subject=explanation.method,
            n=len(effects),
            meaning=MEANING[UNDERSTATED],
            advice="Give more rows, or an explanation of the model's effects.",
        )
    explained, real = _shares(energies), _shares(effects)
    gaps = (explained - real)[:, places]
    order = places[np.argsort(gaps.mean(axis=0), kind="stable")]
    worst, name = order[0], case.features.names[order[0]]
    return judged_finding(
        UNDERSTATED,
        Basis("least", {"values": gaps}),
        level,
        -share,
        ADVICE,
        claim=(
            f"`{name}` has {explained[:, worst].mean():.0%} of {explanation.method} and {real[:, worst].mean():.0%} of "
            f"the effects of single columns on real rows."
        ),
        subject=explanation.method,
        estimate=float(gaps.mean(axis=0).min()),
        null=0.0,
        n=len(effects),
        meaning=MEANING[UNDERSTATED],
        evidence={
            "column": name,
            "rows left out": int((~finite).sum()),
            "columns": _table(case, order[:20], explained, real, effects),
        },
    )


def _table(case: Case, places: Ints, explained: Floats, real: Floats, effects: Floats) -> list[dict[str, Any]]:
    return [
        {
            "name": case.features.names[place],
            "share of explanation": float(explained[:, place].mean()),
            "share of effects": float(real[:, place].mean()),
            "mean squared effect": float(effects[:, place].mean()),
        }
        for place in places
    ]


def _shares(squares: Floats) -> Floats:
    """Numbers (row, column) whose means are the columns' shares, and whose variances are those of the shares."""
    mean = squares.mean(axis=0)
    total = max(float(mean.sum()), float(np.finfo(float).tiny))
    shares = mean / total
    return np.asarray(shares + (squares - shares * squares.sum(axis=1, keepdims=True)) / total)


def _queries(case: Case, explanation: Explanation) -> tuple[Floats, Ints]:
    """The rows that the explainer asks the model about, and the position of the row that each was made for."""
    model, position = case.model, {name: place for place, name in enumerate(case.rows.ids)}
    inputs, origins = [to_floats(case.rows.x)[:0]], [np.zeros(0, dtype=np.int64)]

    def forward(rows: Rows) -> Array:
        inputs.append(to_floats(rows.x))
        origins.append(np.array([position[name] for name in rows.ids], dtype=np.int64))
        return model.forward(rows)

    recompute(
        explanation,
        replace(case, model=replace(model, forward=forward, fast=False), seed=explanation.provenance.seed),
    )
    return np.concatenate(inputs), np.concatenate(origins)


def _separable(case: Case, explanation: Explanation, data: Any) -> Finding:
    own, seed = to_floats(case.rows.x), case.seed.child("separability")
    given = own if data is None else to_floats(read_like(case, data))
    real = np.unique(given[~_are_among(given, own)], axis=0)
    queries, origins = _queries(case, explanation)
    if len(real) < LEAST_ROWS:  # no row may be both data and the origin of queries: it would be recognised
        real = np.unique(np.concatenate([real, own[1::2]]), axis=0)
        queries, origins = queries[origins % 2 == 0], origins[origins % 2 == 0] // 2
    asked, first = np.unique(queries, axis=0, return_index=True)
    is_new = ~_are_among(asked, np.concatenate([own, given]))
    asked, halves = asked[is_new], origins[first][is_new] % 2
    fields: dict[str, Any] = {
        "code": SEPARABLE.code,
        "subject": explanation.method,
        "meaning": MEANING[SEPARABLE],
        "advice": SEPARABLE.remedy,
    }
    if min(2 * (halves == 0).sum(), 2 * (halves == 1).sum(), len(real)) < LEAST_ROWS:
        claim = (
            f"{explanation.method} asks about {len(asked)} rows that are not in the data, of which there are "
            f"{len(real)}; {LEAST_ROWS} are needed of each."
        )
        return Finding(verdict="not applicable", claim=claim, n=len(asked), **fields)
    area, count, others = _area(asked, halves, real, seed)
    rows = len(np.unique(origins))  # queries for one row are not independent
    basis = Basis("area", {"area": area, "count": max(rows // 2, 1), "other": others // 2})
    return Finding(
        verdict="informative",
        claim=f"A random forest tells the queries of {explanation.method} from data rows with an AUC of {area:.2f}.",
        estimate=area,
        interval=basis.at(0.95),
        null=0.5,
        n=count + others,
        evidence={"queries": len(asked), "data rows": len(real)},
        basis=basis,
        **fields,
    )


def _area(asked: Floats, halves: Ints, real: Floats, seed: Seed) -> tuple[float, int, int]:
    """The AUC of queries against data, and the numbers of both; ``halves`` (query,) is the half of its row, 0 or 1."""
    even, odd = (_sample(asked[halves == half], seed.child("queries", half)) for half in (0, 1))
    count = min(len(even), len(odd))
    paired = np.stack([even[:count], odd[:count]], axis=1).reshape(2 * count, -1)  # the forest's halves alternate
    sampled = _sample(real, seed.child("data"))
    scores, _ = classify_side(np.nan_to_num(paired), np.nan_to_num(sampled), seed)
    return auc(scores[len(paired) :], scores[: len(paired)]), len(paired), len(sampled)


def _are_among(rows: Floats, known: Floats) -> np.ndarray:
    contents = {row.tobytes() for row in known}
    return np.array([row.tobytes() in contents for row in rows], dtype=bool)


def _sample(rows: Floats, seed: Seed) -> Floats:
    """At most ``MAX_QUERIES`` rows of one kind in random order."""
    return np.asarray(rows[seed.generator().permutation(len(rows))[:MAX_QUERIES]])
