# SPDX-License-Identifier: Apache-2.0
"""Clusters of explanations of one class, and whether the region of one acts as a shortcut."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import Basis, Interval
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs
from assay.engine.check_findings import counted_finding, judged_finding
from assay.engine.cost import cost_of
from assay.engine.declare import diagnostic
from assay.engine.pictures.thumbnails import thumbnail
from assay.engine.shortcuts.attribution_maps import attribution_maps
from assay.engine.shortcuts.cluster_candidates import LEAST_CLASS, Candidate, find_candidates
from assay.engine.shortcuts.paste_effects import PasteTest, judge_clusters, most_passes
from assay.engine.shortcuts.spectral_clusters import medoid
from assay.nouns.catalogue import Check, Cost, find
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.finding import MAX_ROWS, EvidencePicture, Finding

MAX_EFFECT = 0.05
"""Default threshold: probability of the class that the region adds in rows of other classes, beyond the controls."""

LISTED = 10
"""Clusters that the evidence lists."""

FURTHER_ROWS = 2
"""Rows of the cluster that are shown in addition to the medoid."""

CLUSTER = Check(
    "SHC301",
    "Does a region that a cluster of explanations shares act as a shortcut to its class?",
    "Look at the rows; project the artefact out of a layer (repair.class_artefact_compensation) or train the net not "
    "to look there (repair.right_reasons).",
    MAX_EFFECT,
    "at most",
    severe=0.2,
)

MEANING = (
    "Probability of the cluster's class that the cluster's region adds when it is pasted into rows of other classes, "
    "beyond the strongest control: the same region with each row's own mean, and the content of random groups "
    "of other rows of the same class. 0 where the region adds nothing special, 1 where it alone decides. A cluster may "
    "also be a pose or a part of the object that other rows of the class lack: look at the rows before calling it an "
    "artefact."
)
ADVICE = {
    "pass": "No action needed on this evidence; an artefact that most rows of a class share forms no cluster: test it "
    "with diagnose.pasted_artefact.",
    "fail": "Look at the rows named. If the region is no part of what the class means, collect rows of the class "
    "without it, or use repair.class_artefact_compensation or repair.right_reasons, and audit again.",
    "undecided": "Give more rows: the interval contains the threshold.",
}


def _audit_cost(inputs: AuditInputs) -> Cost:
    case, options = inputs.case, inputs.options.get("shortcut_clusters", {})
    explained = cost_of(find("explain", options.get("by", "input_x_gradient")), case, {})
    return explained + Cost(2 * len(case) + most_passes()) * case.model.passes_per_row


@diagnostic(
    source="lapuschkin2019",
    needs={"classes", "image", "gradient", "numbers"},
    checks=(CLUSTER,),
    audit_cost=_audit_cost,
    has_exact_cost=False,
)
def shortcut_clusters(
    case: Case,
    *,
    by: str = "input_x_gradient",
    maps: Any = None,
    effect: float = MAX_EFFECT,
    level: float = 0.95,
) -> list[Finding]:
    """Clusters of explanations within a class, and whether the region of one raises the class wherever it is pasted.

    Spectral relevance analysis (SpRAy; Lapuschkin et al. 2019), then a causal test. Explanations of the predicted
    class by the method ``by`` (or ``maps``, one (channel, height, width) a row, of any layer or method) are summed
    over channels and over cells, at most 16 a side, and divided by the sum of their sizes. For each class: the
    graph of 10 nearest neighbours, symmetric; the normalised Laplacian; k-means on its first k eigenvectors, k by
    the largest gap of eigenvalues and 2, 3, 4. Clusters are ranked by Fisher's ratio. The region of a cluster are
    the cells to which its mean map points more than that of the other rows of its class does.

    SHC301: the 30 most separable clusters are pasted into rows of other classes, each row getting the region of another
    member. Of those whose own rows lose log-odds of the class when the region is filled from its surroundings (more
    than other rows of the class do), the cluster that rises most above random groups is chosen, on half of the rows. On
    rows that chose nothing the estimate is the mean probability gained beyond the strongest control: the same region
    with the row's own mean (matched occluder), and the medoids of the strongest three of 60 random groups of rows of
    the class outside the cluster. At most ``effect``; Student's limits, Bonferroni-corrected for the four.

    ``rows`` are those of the cluster, the medoid first. ``pictures`` show the medoids and the mean maps of the cluster
    and of the other rows of its class. Classes of fewer than 20 rows, and an artefact that fewer than
    5 rows or almost all rows of a class share, are not found. The explanation must show the artefact: another ``by``,
    or maps of a layer, may find what this one does not.
    """
    if not (0 < level < 1 and 0 <= effect < 1):
        raise InputError(f"level={level}, effect={effect}; needed are level in (0, 1) and effect in [0, 1).")
    predicted = predicted_class(case.prediction, case.model.gives)
    values = attribution_maps(_values(case, by, maps))
    seed = case.seed.child("shortcut clusters")
    candidates = find_candidates(values, predicted, seed)
    if not candidates or len(np.unique(predicted)) < 2:
        return [_not_applicable(case)]
    found = judge_clusters(case, values, candidates, predicted, seed)
    return [
        _unconfirmed(case, candidates, effect)
        if found is None
        else replace(_judged(case, found, candidates, effect, level), pictures=_pictures(case, found.candidate, values))
    ]


def _values(case: Case, by: str, maps: Any) -> Floats:
    """Explanations (row, channel, height, width) of the predicted class, or the maps given."""
    if maps is None:
        explanation = find("explain", by).call(case.with_target(label="predicted"))
        dense = explanation.values if explanation.dense is None else explanation.dense
        return np.nan_to_num(dense.reshape(len(case), *case.rows.shape))
    try:
        given = np.asarray(to_floats(maps) if hasattr(maps, "shape") else maps, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"maps={type(maps).__name__}; needed is an array (row, channel, height, width).") from error
    given = given[:, None] if given.ndim == 3 else given
    if given.ndim != 4 or len(given) != len(case) or not given[0].size or not np.isfinite(given).all():
        raise InputError(f"maps have shape {given.shape}; needed are {len(case)} finite (channel, height, width).")
    return given


def _judged(case: Case, found: PasteTest, candidates: list[Candidate], effect: float, level: float) -> Finding:
    one = found.candidate
    before, pasted, occluder, *others = found.chances.mean(axis=0)
    random = max(others)
    gains = found.chances[:, 1:2] - found.chances[:, 2:]
    name = _name(case, one.label)
    members = [one.medoid, *(row for row in one.rows if row != one.medoid)]
    return judged_finding(
        CLUSTER,
        Basis("least", {"values": gains}),
        level,
        effect,
        ADVICE,
        claim=(
            f"Pasting the region to which {len(one.rows)} explanations of `{name}` point changes P({name}) in rows of "
            f"other classes from {before:.3f} to {pasted:.3f} (same region hidden: {occluder:.3f}, other rows of the "
            f"class: {random:.3f})."
        ),
        subject=case.model.name,
        estimate=float(gains.mean(axis=0).min()),
        null=0.0,
        null_interval=_without_effect(found),
        n=len(gains),
        affected=len(one.rows) / len(case),
        meaning=MEANING,
        rows=tuple(case.rows.ids[row] for row in members[:MAX_ROWS]),
        evidence={
            "class": name,
            "cluster rows": len(one.rows),
            "medoid": case.rows.ids[one.medoid],
            "separability": one.separability,
            **_region(one),
            "probability before": float(before),
            "probability with the region": float(pasted),
            "probability with the region hidden": float(occluder),
            "probability with other rows of the class": float(random),
            "log-odds lost when the region is filled": found.lost,
            "log-odds lost by other rows of the class": found.lost_outside,
            "clusters": _table(case, candidates),
        },
    )


def _pictures(case: Case, one: Candidate, values: Floats) -> tuple[EvidencePicture, ...]:
    """The medoids and mean maps of the cluster and of the other rows of its class, and further rows of the cluster."""
    others = values[one.others]
    typical = int(one.others[medoid(others.reshape(len(others), -1))])
    name, further = _name(case, one.label), [int(row) for row in one.rows if row != one.medoid][:FURTHER_ROWS]

    def picture(row: int, text: str) -> EvidencePicture:
        return EvidencePicture(f"row {case.rows.ids[row]}, {text}", thumbnail(to_floats(case.rows.x[row])))

    def mean_map(maps: Floats, text: str) -> EvidencePicture:
        return EvidencePicture(f"mean map of {text}", np.asarray(maps.mean(axis=0), dtype=np.float32))

    return (
        picture(one.medoid, "medoid of the cluster"),
        mean_map(values[one.rows], f"the {len(one.rows)} rows of the cluster"),
        picture(typical, f"medoid of the other rows of {name}"),
        mean_map(others, f"the {len(others)} other rows of {name}"),
        *(picture(row, "in the cluster") for row in further),
    )


def _without_effect(found: PasteTest) -> Interval:
    """Where the estimate lies for random groups of the class: their gains minus the largest of them."""
    low, high = np.quantile(found.random, [0.025, 0.975]) - found.random.max()
    return Interval(float(low), float(high), 0.95, "random clusters")


def _region(one: Candidate) -> dict[str, Any]:
    """The cells (down/across) to which the cluster points."""
    cells = [f"{down}/{across}" for down, across in np.argwhere(one.cells)]
    return {"region cells": cells, "cells a side": list(one.cells.shape)}


def _unconfirmed(case: Case, candidates: list[Candidate], effect: float) -> Finding:
    return counted_finding(
        CLUSTER,
        0.0,
        effect,
        ADVICE,
        claim=f"None of {len(candidates)} clusters of explanations has a region that matters to its rows more than to "
        f"other rows of the class, and that raises the class when it is pasted.",
        subject=case.model.name,
        n=len(case),
        meaning=MEANING,
        evidence={"clusters": _table(case, candidates)},
    )


def _not_applicable(case: Case) -> Finding:
    return Finding(
        CLUSTER.code,
        "not applicable",
        f"No predicted class of at least {LEAST_CLASS} rows has clusters of explanations, or there is no other class.",
        case.model.name,
        n=len(case),
        meaning=MEANING,
        advice=f"Give at least {LEAST_CLASS} rows of a class, and rows of other classes.",
    )


def _name(case: Case, label: int) -> str:
    return case.model.classes[label] if case.model.classes else str(label)


def _table(case: Case, candidates: list[Candidate]) -> list[dict[str, Any]]:
    """The most separable clusters."""
    return [
        {
            "class": _name(case, one.label),
            "rows": len(one.rows),
            "medoid": case.rows.ids[one.medoid],
            "separability": one.separability,
        }
        for one in candidates[:LISTED]
    ]
