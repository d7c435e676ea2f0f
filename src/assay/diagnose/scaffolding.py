# SPDX-License-Identifier: Apache-2.0
"""Whether a model behaves differently on an explainer's queries than on real rows (scaffolding of LIME and SHAP)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.stats import Basis, student_interval
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.attributions.value_units import column_scales
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.check_findings import judged_finding
from assay.engine.cost import Given, cost_of_explaining_again
from assay.engine.declare import diagnostic
from assay.engine.recompute import recompute
from assay.engine.removal.drawn_backgrounds import energies, explain_with_drawn_backgrounds, mean_shares
from assay.engine.retraining.explainer_queries import are_among, explainer_queries, separability
from assay.engine.retraining.labelled_rows import model_outputs, read_like
from assay.engine.search.threat import as_array
from assay.engine.surrogates.learned_model import learn_model
from assay.nouns.catalogue import Check, Cost, Method
from assay.nouns.inputs.rows import count_rows, to_floats
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Explanation

MAX_UNDERSTATED = 0.25
"""Default threshold: share of the effects that an explanation leaves out of a column's."""

MAX_HIDDEN = 0.5
"""Default threshold: share of a surrogate's explanation that an explanation leaves out of a column's."""

MIN_SKILL = 0.5
"""R² on rows that it does not know, below which a surrogate says nothing about the model."""

MAX_DATA = 2000
"""Rows of data that a surrogate learns from."""

MAX_OUTPUTS = 20
"""Outputs up to which a surrogate learns a model."""

MAX_QUERIES = 1000
"""Queries of each half of the rows, and data rows, that the forest of ATK502 learns from."""

LEAST_ROWS = 20
"""The fewest queries, and rows of data, that trees are fitted to."""

UNDERSTATED = Check(
    "ATK501",
    "Does a column matter less in the explanation than when it alone changes on real rows?",
    "Do not rely on this explanation: the model may detect its queries. Explain with real values (qii, shapley with "
    "Marginal(rows)), and judge the column by substitution on real rows.",
    -MAX_UNDERSTATED,
    "at least",
    severe=-0.75,
)
SEPARABLE = Check(
    "ATK502",
    "How easily can a model tell the explainer's queries from data?",
    "Informative; it has no threshold. Use an explainer whose queries are nearer to the data.",
)
HIDDEN = Check(
    "ATK505",
    "Does a column matter less in the explanation than in that of a surrogate that learned from real rows only?",
    "Do not rely on this explanation: the model may answer the explainer's queries by another rule than real rows. "
    "Judge the column by the model's outputs on real rows, and find out how the model was made.",
    -MAX_HIDDEN,
    "at least",
)
BACKGROUND = Check(
    "ATK507",
    "How far are the explanation's shares from those with backgrounds drawn from the data?",
    "Informative; it has no threshold. Where it is far above the distance between two drawn backgrounds, use rows of "
    "data drawn by a seed, and ask why this background was chosen.",
)
CHECKS = (UNDERSTATED, SEPARABLE, HIDDEN, BACKGROUND)

MEANING = {
    UNDERSTATED: "Share of the column in the explanation's energy (mean squared value, less the sampling variance) "
    "minus its share in the effects on real rows (mean squared change of the target when the column alone gets another "
    "real row's value), for the column that the explanation understates most. 0 for every additive target, whatever "
    "the columns' distributions; down to about −0.17 where honest columns interact; near −1 where the model answers "
    "the explainer's queries by another rule.",
    SEPARABLE: "Area under the ROC curve of a random forest that tells the explainer's queries from data rows: 0.5 "
    "where it cannot, 1 where every query is recognised. A model that recognises queries can be made to hide what it "
    "does; a high value does not show that it does.",
    HIDDEN: "Share of the column in the explanation's energy (mean squared value, less the sampling variance) minus "
    "its share in the same explanation of boosted trees that learned the model's outputs at rows of data, for the "
    "column where it is least. Near 0 where the trees learned the model, near −1 where the model answers the "
    "explainer's queries by a rule of other columns than real rows.",
    BACKGROUND: "Mean over drawn backgrounds of ½ Σ |share of the column in the explanation − its share with the drawn "
    "background|, shares of the mean squared value: 0 equal, 1 no column in common. Compare it with the null, the mean "
    "distance between two drawn backgrounds.",
}
NOT_FAILED = {
    "pass": "No action needed on this evidence.",
    "undecided": "Give more rows; the interval contains the threshold.",
}


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    data = inputs.x if inputs.train is None else inputs.train[0]
    options = {"suspects": inputs.suspects, "data": data, **inputs.options_of(method)}
    return [Call((inputs.explained, inputs.explanation), options)]


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    learned = min(len(case) if o.data is None else count_rows(o.data), MAX_DATA)
    changed = Cost(case.model.passes_per_row) * (len(case) * len(case.features) * o.draws + learned)
    return changed + cost_of_explaining_again(case, again) * (1 + o.backgrounds)


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
    hidden_share: float = MAX_HIDDEN,
    backgrounds: int = 0,
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

    ATK505 needs no rows near the data: boosted trees learn the model's outputs at up to 2,000 rows of ``data`` (by
    default the rows explained) and are explained by the same method with the same options. Share of the column in the
    explanation, by squares, minus its share in that of the trees; the smallest over ``suspects``; at least
    −``hidden_share``. A model that answers queries as it answers rows has nearly the explanation of what can be learned
    from rows. Not applicable where the trees predict rows that they do not know with an R² below 0.5, and for methods
    that need more than outputs (gradients, trees). Give many rows of data, best those that the model was trained on.

    ATK507 is about a background that was chosen to mislead (Laberge et al. 2023) or poisoned. With ``backgrounds``
    above 0 the method explains that often with as many rows of ``data``, drawn by the seed, as background: the mean
    distance ½ Σ |difference of shares| of the explanation from these; the null is that between two of these.
    ``CapabilityError`` for a method without background rows.

    For explanations of effects: removal methods, LIME, and gradients (saliency and SmoothGrad are multiplied by the
    columns' standard deviations), from which fine-tuning can hide a column (Dimanov et al. 2020). A column may also be
    understated where many columns interact, by an explanation that looks at a narrow neighbourhood of a step function,
    and by one of low fidelity. A detector that notices single substitutions too escapes; then the model is often not
    what it hides either (its fidelity is low).
    """
    if draws < 1 or not 0 < share < 1 or not 0 < hidden_share < 1 or backgrounds not in (0, *range(3, 1001)):
        raise InputError(
            f"draws={draws}, share={share}, hidden_share={hidden_share}, backgrounds={backgrounds}; needed are "
            f"draws ≥ 1, shares in (0, 1), and no or 3 to 1,000 backgrounds."
        )
    places = _places(case, suspects)
    return [
        _understated(case, explanation, _effects(case, draws), places, level, share),
        _separable(case, explanation, data),
        _hidden(case, explanation, data, places, level, hidden_share),
        _background(case, explanation, data, level, backgrounds),
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
    return _share_gap(
        UNDERSTATED,
        case,
        explanation,
        (energies(explanation, column_scales(explanation, case)), effects),
        places,
        level,
        -share,
        ("effects", "the effects of single columns on real rows", "No single column changes the target"),
    )


def _hidden(
    case: Case, explanation: Explanation, data: Any, places: Ints, level: float, hidden_share: float
) -> Finding:
    x = case.rows.x if data is None else read_like(case, data)
    x = x[case.seed.child("surrogate rows").generator().permutation(len(x))[:MAX_DATA]]
    outputs = model_outputs(case, x)
    finite = np.isfinite(outputs).all(axis=1)
    if finite.sum() < LEAST_ROWS or outputs.shape[1] > MAX_OUTPUTS:
        claim = f"No surrogate: {finite.sum()} rows of data with finite outputs, {outputs.shape[1]} outputs."
        return _not_applicable(HIDDEN, explanation, int(finite.sum()), claim)
    learned = learn_model(case.model, to_floats(x)[finite], outputs[finite], case.seed.child("surrogate"))
    skill = f"boosted trees that learned {len(x)} rows predict others with an R² of {learned.skill:.2f}"
    if not learned.skill >= MIN_SKILL:
        return _not_applicable(HIDDEN, explanation, len(x), f"No surrogate: {skill}.")
    try:
        other = recompute(explanation, replace(case, model=learned.model, seed=explanation.provenance.seed))
    except CapabilityError as error:
        return _not_applicable(HIDDEN, explanation, len(x), f"No explanation of a surrogate: {error}")
    return _share_gap(
        HIDDEN,
        case,
        explanation,
        tuple(energies(one, column_scales(one, case)) for one in (explanation, other)),
        places,
        level,
        -hidden_share,
        ("surrogate", f"the same for a surrogate ({skill})", "The explanation of the surrogate is 0"),
    )


def _background(case: Case, explanation: Explanation, data: Any, level: float, backgrounds: int) -> Finding:
    if backgrounds == 0:
        return _not_applicable(BACKGROUND, explanation, 0, "No background was drawn (backgrounds=0).")
    given, known, others = explain_with_drawn_backgrounds(case, explanation, data, backgrounds)
    scales = column_scales(explanation, case)
    own, drawn = mean_shares(explanation, scales), np.stack([mean_shares(one, scales) for one in others])
    distances = np.abs(drawn - own).sum(axis=1) / 2
    apart = np.abs(drawn[:, None] - drawn[None]).sum(axis=2)[np.triu_indices(backgrounds, 1)] / 2
    order, names = np.argsort(-np.abs(own - drawn.mean(axis=0)), kind="stable")[:20], case.features.names
    table = [
        {
            "name": names[place],
            "share of explanation": float(own[place]),
            "mean share with drawn backgrounds": float(drawn[:, place].mean()),
            "standard deviation between backgrounds": float(drawn[:, place].std(ddof=1)),
        }
        for place in order
    ]
    return Finding(
        BACKGROUND.code,
        "informative",
        f"The shares of {explanation.method} are {distances.mean():.2f} from those with drawn backgrounds, which are "
        f"{apart.mean():.2f} from each other; {known} of its {given.fills} background rows are in the data.",
        subject=explanation.method,
        estimate=float(distances.mean()),
        interval=student_interval(distances, level),
        null=float(apart.mean()),
        n=backgrounds,
        meaning=MEANING[BACKGROUND],
        advice=BACKGROUND.remedy,
        evidence={"background": given.fingerprint, "background rows in the data": known, "columns": table},
    )


def _share_gap(
    check: Check,
    case: Case,
    explanation: Explanation,
    squares: Sequence[Floats],
    places: Ints,
    level: float,
    threshold: float,
    words: tuple[str, str, str],
) -> Finding:
    """The finding about the column whose share of the first squares (row, column) is most below that of the second."""
    other, what, nothing = words
    finite = np.isfinite(squares[0]).all(axis=1) & np.isfinite(squares[1]).all(axis=1)
    explained_squares, others = (one[finite] for one in squares)
    no_sums = [len(one) < 2 or one.mean(axis=0).clip(min=0).sum() <= 0 for one in (explained_squares, others)]
    if any(no_sums):
        why = nothing if no_sums[1] else "The explanation is 0 within its errors"
        claim = f"{why} on {len(others)} row(s) with finite values, so there are no shares to compare."
        return _not_applicable(check, explanation, len(others), claim)
    explained, real = _shares(explained_squares), _shares(others)
    gaps = (explained - real)[:, places]
    order = places[np.argsort(gaps.mean(axis=0), kind="stable")]
    worst, names = order[0], case.features.names
    table = [
        {
            "name": names[place],
            "share of explanation": float(explained[:, place].mean()),
            f"share of {other}": float(real[:, place].mean()),
            f"mean squared {other.removesuffix('s')}": float(others[:, place].mean()),
        }
        for place in order[:20]
    ]
    return judged_finding(
        check,
        Basis("least", {"values": gaps}),
        level,
        threshold,
        {**NOT_FAILED, "fail": check.remedy},
        claim=f"`{names[worst]}` has {explained[:, worst].mean():.0%} of {explanation.method} and "
        f"{real[:, worst].mean():.0%} of {what}.",
        subject=explanation.method,
        estimate=float(gaps.mean(axis=0).min()),
        null=0.0,
        n=len(others),
        meaning=MEANING[check],
        evidence={"column": names[worst], "rows left out": int((~finite).sum()), "columns": table},
    )


def _not_applicable(check: Check, explanation: Explanation, rows: int, claim: str) -> Finding:
    advice = "Give more rows of data, such as the training rows, or an explanation of the model's effects."
    meaning = MEANING[check]
    return Finding(
        check.code, "not applicable", claim, subject=explanation.method, n=rows, meaning=meaning, advice=advice
    )


def _shares(squares: Floats) -> Floats:
    """Numbers (row, column) whose means are the columns' shares, and whose variances are those of the shares."""
    mean = squares.mean(axis=0)
    total = max(float(mean.sum()), float(np.finfo(float).tiny))
    shares = mean / total
    return np.asarray(shares + (squares - shares * squares.sum(axis=1, keepdims=True)) / total)


def _separable(case: Case, explanation: Explanation, data: Any) -> Finding:
    own, seed = to_floats(case.rows.x), case.seed.child("separability")
    given = own if data is None else to_floats(read_like(case, data))
    real = np.unique(given[~are_among(given, own)], axis=0)
    queries, origins = explainer_queries(case, explanation)
    if len(real) < LEAST_ROWS:  # no row may be both data and the origin of queries: it would be recognised
        real = np.unique(np.concatenate([real, own[1::2]]), axis=0)
        queries, origins = queries[origins % 2 == 0], origins[origins % 2 == 0] // 2
    asked, first = np.unique(queries, axis=0, return_index=True)
    is_new = ~are_among(asked, np.concatenate([own, given]))
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
    area, count, others = separability(asked, halves, real, seed, MAX_QUERIES)
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
