# SPDX-License-Identifier: Apache-2.0
"""Real rows, or rows that fit the present features, in place of an explainer's artificial background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Array
from assay.cases.case import Case
from assay.cases.removals import Conditional, Marginal, Mean, Removal
from assay.engine.declare import repairer
from assay.engine.performance.change_of_model import Metrics
from assay.engine.recompute import recompute, restored_options
from assay.engine.retraining.labelled_rows import read_like
from assay.engine.surrogates.adaptive_scaffold import adaptive_scaffold
from assay.nouns.catalogue import find
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Explanation, Note

MEASURES = {
    "ATK501": "smallest share gap to substitutions",
    "ATK502": "AUC of a detector of queries",
    "ATK505": "smallest share gap to a surrogate",
}
"""The numbers of ``diagnose.scaffolding`` by check."""

MEAN = ", mean of the data"
"""What follows the names of the numbers of the explainer that replaces absent columns by their mean."""

FIDELITY = "fidelity of an adaptive scaffold"


@repairer(
    source="slack2020",
    needs={"table"},
    answers=("ATK501", "ATK502", "ATK505"),
    side_effects="The explanation answers another question: compared with real rows, or with rows that fit. A "
    "conditional removal lets columns that go together share the credit.",
)
def removal(
    case: Case,
    *,
    data: Any,
    explanation: str | Explanation = "shapley",
    to: Literal["rows", "conditional"] = "rows",
    count: int = 50,
    k: int = 10,
    suspects: Sequence[str] = (),
    draws: int = 8,
) -> Mapping[str, Any]:
    """An explainer whose absent columns come from real rows, so that its queries look more like the data.

    For explainers that fill absent columns by k-means centroids, a constant or noise: a scaffolded model (Slack et al.
    2020) recognises such queries and answers them by another rule. ``explanation`` is one of this case, or the name of
    an explainer called with its defaults. In its place, ``explanation`` of the result is the same method with the same
    options and another removal: to="rows": ``Marginal`` of ``count`` rows of ``data``, drawn by the case's seed
    and not chosen; to="conditional": ``Conditional``, the ``k`` rows of ``data`` nearest in the present
    columns. A neighbourhood (LIME's noise) is given up. ``model`` is the model as it was.

    ``before`` and ``after``: the numbers of ``diagnose.scaffolding`` with ``draws`` — the smallest difference of a
    column's share in the explanation and its share in the effects of substitutions on real rows (ATK501; 0 is best,
    −1 worst), or its share for a surrogate that learned real rows (ATK505), and the AUC of a forest that tells the
    queries from the data (ATK502; 0.5 is best) — and for each of ``suspects`` the share of rows where its |value| is
    the largest. The same for the mean of the data as background ("mean of the data"), the simplest change.

    Adaptive: a scaffold is built against each explainer, by an attacker who knows it, to hide the first of
    ``suspects``, by default the column of the largest effects: ``fidelity of an adaptive scaffold`` is the share of
    rows where it decides as the model does, and "under an adaptive scaffold" how often the column is named first
    then. A conditional removal lets columns that go together share the credit.
    """
    if count < 1 or draws < 1:
        raise InputError(f"count={count}, draws={draws}; at least 1 of each is needed.")
    before = find("explain", explanation).call(case) if isinstance(explanation, str) else explanation
    if not isinstance(before, Explanation):
        raise InputError(f"explanation is a {type(explanation).__name__}; give an explanation of this case or a name.")
    rows = read_like(case, data)
    chosen = case.seed.child("background").generator().permutation(len(rows))[: count if to == "rows" else None]
    real = case.rows.in_callers_form(rows[np.sort(chosen)])
    new = Marginal(real) if to == "rows" else Conditional(real, min(k, len(real)))
    after = _with_removal(before, case, new)
    explanations, notes = {"before": before, "after": after}, [*_mean_note(case)]
    if not notes:
        explanations["mean"] = _with_removal(before, case, Mean(data))
    findings = {name: _checked(case, one, suspects, data, draws) for name, one in explanations.items()}
    measured = {name: _measured(case, one, findings[name], suspects) for name, one in explanations.items()}
    part, note = _hidden_part(case, findings["before"], suspects)
    notes += note
    if part is not None:
        for name, one in (("before", before), ("after", after)):
            measured[name] |= _adaptive(case, one, rows, part)
    simple = {f"{key}{MEAN}": value for key, value in measured.get("mean", {}).items()}
    return {
        "model": case.model,
        "explanation": after,
        "change": f"{before.method} with {new!r} ({len(rows)} rows of data) in place of {_background_text(before)}",
        "before": measured["before"] | {key: measured["before"][key.removesuffix(MEAN)] for key in simple},
        "after": measured["after"] | simple,
        "notes": tuple(notes),
    }


def _with_removal(explanation: Explanation, case: Case, removal: Removal) -> Explanation:
    """The same method and options with another removal, and without a neighbourhood."""
    method = find("explain", explanation.method)
    if "remove" not in method.options:
        raise InputError(
            f"explain.{method.name} removes nothing, so there is no removal to replace; give an explanation by "
            f"shapley, lime, occlusion or another removal method."
        )
    options = {name: value for name, value in restored_options(explanation, case).items() if name != "neighbourhood"}
    other: Explanation = method.call(case, **{**options, "remove": removal})
    return other


def _background_text(explanation: Explanation) -> str:
    options = explanation.provenance.options
    around = options.get("neighbourhood")
    return repr(options["remove"]) if around is None else f"points of {around!r}"


def _mean_note(case: Case) -> tuple[Note, ...]:
    if case.rows.table is None or not case.rows.table.coded.any():
        return ()
    return (Note("no-mean", "columns of text or categories have no mean, so it is not compared with"),)


def _checked(
    case: Case, explanation: Explanation, suspects: Sequence[str], data: Any, draws: int
) -> Mapping[str, Finding]:
    found = find("diagnose", "scaffolding").call(case, explanation, suspects=suspects, data=data, draws=draws)
    return {finding.code: finding for finding in found}


def _measured(
    case: Case, explanation: Explanation, findings: Mapping[str, Finding], suspects: Sequence[str]
) -> Metrics:
    """The estimates by the names of ``MEASURES`` (NaN where a check is not applicable), and who is named first."""
    estimates = {code: findings[code].estimate for code in MEASURES if code in findings}
    found = {MEASURES[code]: float(value) for code, value in estimates.items()}
    places = {name: case.features.names.index(name) for name in suspects}
    return found | {f"rows that name {name} first": _named_first(explanation, place) for name, place in places.items()}


def _named_first(explanation: Explanation, part: int) -> float:
    return float((np.abs(explanation.values).argmax(axis=1) == part).mean())


def _hidden_part(
    case: Case, findings: Mapping[str, Finding], suspects: Sequence[str]
) -> tuple[int | None, tuple[Note, ...]]:
    """The feature that the adaptive scaffold hides."""
    columns = findings["ATK501"].evidence.get("columns", [])
    effects = {column["name"]: column["share of effects"] for column in columns}
    names = [name for name in effects if not suspects or name in suspects]
    if not names:
        text = "not adaptively tested: no single column changes the target, so that there is none to hide"
        return None, (Note("not-adaptively-tested", text),)
    return case.features.names.index(suspects[0] if suspects else max(names, key=lambda name: effects[name])), ()


def _adaptive(case: Case, explanation: Explanation, data: Array, part: int) -> Metrics:
    """What an attacker reaches who builds a scaffold against this explainer."""
    scaffold = adaptive_scaffold(explanation, case, data, part, case.seed.child("adaptive scaffold"))
    again = recompute(explanation, replace(case, model=scaffold.model))
    name = f"rows that name {case.features.names[part]} first under an adaptive scaffold"
    return {FIDELITY: scaffold.fidelity, name: _named_first(again, part)}
