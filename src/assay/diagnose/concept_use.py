# SPDX-License-Identifier: Apache-2.0
"""Whether a net's classes depend on concepts that are given by examples."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import Interval
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.concepts.tcav import Tcav, TcavOptions, tcav_cost, tcav_estimate
from assay.engine.cost import Given
from assay.engine.declare import diagnostic
from assay.nouns.catalogue import Check, Cost, Method
from assay.nouns.results.finding import MAX_ROWS, Finding

CONCEPT = Check(
    "CPT101",
    "Does the score of a class move when activations move towards a concept?",
    "Where the class must not depend on this concept, remove the direction (repair.class_artefact_compensation), or "
    "train on rows in which the concept and the class are independent; then measure again.",
)
MEANING = (
    "TCAV: share of the rows of a class whose score rises when the activations of a layer move in the direction of the "
    "concept, 0 … 1; 0.5 is neither. p counts random concepts of the same size whose share is as far from 0.5 (of "
    "equal shares, those with as large a sensitivity), corrected for all concepts, layers and classes (Holm). Random "
    "rows differ from examples of a concept in more than the concept: give control concepts of the same kind. A "
    "direction is a correlation, not a cause."
)
MAX_RANDOM_ROWS = 500
"""Rows from which random concepts are drawn, at most, in an audit."""


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    options = {"random_rows": _random_rows(inputs), **inputs.options_of(method)}
    return [Call((inputs.ask(label="predicted"), dict(inputs.concepts)), options)]


def _random_rows(inputs: AuditInputs) -> Any:
    """Training rows, else the rows given, drawn by the seed."""
    case = inputs.case if inputs.train is None else inputs.ask(inputs.train[0])
    count = len(case)
    drawn = inputs.seed.child("random concepts").generator().permutation(count)[:MAX_RANDOM_ROWS]
    return case.rows.in_callers_form(case.take(np.sort(drawn)).rows.x)


def _audit_cost(inputs: AuditInputs) -> Cost:
    given = {"layers": (), "controls": (), "random_rows": _random_rows(inputs)}
    given |= dict(inputs.options.get("concept_use", {})) | {"concepts": inputs.concepts}
    return Cost(2 * len(inputs.case)) * inputs.model.passes_per_row + tcav_cost(inputs.case, Given(**given), Cost())


@diagnostic(
    source="kim2018",
    needs={"gradient", "net", "classes", "numbers", "shared parts", "concepts"},
    optional={"train"},
    checks=(CONCEPT,),
    calls=_calls,
    audit_cost=_audit_cost,
    has_exact_cost=False,
)
def concept_use(
    case: Case,
    concepts: Any,
    *,
    random_rows: Any,
    controls: Any = (),
    layers: tuple[str, ...] = (),
    counterparts: int = 20,
    random_concepts: int = 99,
    level: float = 0.95,
) -> list[Finding]:
    """Which concepts the classes of the rows depend on, by TCAV with a test among random concepts.

    ``concepts`` maps names to example rows (or is a list of ``assay.Concept``), ``controls`` are concepts of the same
    kind that should not matter; the options are those of ``explain.tcav``. CPT101, one finding for each concept and
    layer: the TCAV of the class where it is farthest from 0.5 in rank, among the predicted classes of the rows;
    informative, since a class may have good reasons to depend on a concept. ``null_interval`` are the central scores
    of random concepts of the same size. Not applicable where a concept has no direction at the layer, or where all
    gradients have one direction. The evidence has all classes. For texts use ``diagnose.swapped_words``.
    """
    if not 0 < level < 1:
        raise InputError(f"level={level}; a level between 0 and 1 is needed.")
    options = TcavOptions(
        concepts, random_rows, controls, layers, counterparts=counterparts, random_concepts=random_concepts
    )
    found = tcav_estimate(case, options)
    return [_finding(case, found, part, level) for part in range(len(found.names)) if not bool(found.is_control[part])]


def _finding(case: Case, found: Tcav, part: int, level: float) -> Finding:
    tables, name = found.tables(), found.names[part]
    p = tables["p"][part]
    evidence = _evidence(found, tables, part)
    if np.isnan(p).all():
        why = next((note.text for note in found.notes if note.code in ("not-separable", "one-direction")), "")
        return Finding(
            CONCEPT.code, "not applicable", f"{name}: no score of this concept is defined. {why[:1].upper()}{why[1:]}.",
            case.model.name, meaning=MEANING, advice="Name an earlier layer in layers=, or give more rows.",
            evidence=evidence,
        ).of(name)  # fmt: skip
    place = int(np.nanargmin(p))
    score, null = float(tables["tcav"][part, place]), _null(found, tables, part, place, level)
    about = f" for class {found.classes[place]}" if found.classes[place] else ""
    holm = tables["p_holm"][part, place]
    text = (
        f"TCAV of {name!r}{about} is {score:.2f}; {level:.0%} of random concepts lie in {null.low:.2f} … "
        f"{null.high:.2f} (p = {p[place]:.2g}, {holm:.2g} after Holm's correction)."
    )
    contrast = tables["contrast"][part, place]
    text += f" Minus the control concepts: {contrast:+.2f}." if not np.isnan(contrast) else ""
    rises = np.flatnonzero(found.stacked("sensitivity")[part] * (score - 0.5) > 0)
    return Finding(
        CONCEPT.code,
        "informative",
        text,
        case.model.name,
        estimate=score,
        null=0.5,
        null_interval=null,
        n=int((case.label == np.unique(case.label)[place]).sum()),
        meaning=MEANING,
        advice=CONCEPT.remedy,
        evidence=evidence,
        rows=tuple(case.rows.ids[row] for row in rises[:MAX_ROWS]),
    ).of(name)


def _evidence(found: Tcav, tables: dict[str, Any], part: int) -> dict[str, Any]:
    """All classes of one concept."""
    return {
        "classes": {
            label or "target": {key: _number(tables[key][part, place]) for key in SHOWN}
            for place, label in enumerate(found.classes)
        },
        "held-out accuracy of the direction": _number(tables["accuracy"][part, 0]),
        "random concepts": found.options.random_concepts,
        "notes": [note.text for note in found.notes],
    }


SHOWN = ("tcav", "tcav_stderr", "p", "p_holm", "contrast", "contrast_p", "magnitude")
"""What the evidence has of each class."""


def _null(found: Tcav, tables: dict[str, Any], part: int, place: int, level: float) -> Interval:
    """The central ``level`` of the scores of random concepts."""
    scores = tables["null"][part].reshape(found.options.random_concepts, -1)[:, place]
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level, "random concepts")


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
