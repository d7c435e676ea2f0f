# SPDX-License-Identifier: Apache-2.0
"""Projection of an artefact's direction out of a layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from assay.basics.errors import AssayError, CapabilityError, InputError
from assay.basics.types import Array, Ints
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs
from assay.engine.declare import repairer
from assay.engine.performance.change_by_intervention import compare_under_intervention, share_recovered
from assay.engine.performance.held_out import overlap_notes
from assay.engine.retraining.fine_tuning import require_pair
from assay.engine.retraining.labelled_rows import model_outputs, read_like, true_labels
from assay.engine.retraining.last_layer import last_layer_retrained, with_other_net
from assay.engine.shortcuts.artefacts import ArtefactLike, change_rows, read_artefact
from assay.engine.shortcuts.found_artefacts import found_artefacts
from assay.engine.shortcuts.layer_directions import (
    as_vectors,
    input_activations,
    last_linear,
    mean_difference,
    output_activations,
    project_input,
    project_output,
)
from assay.model.model import Model
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Note

PASTED = "with the artefact"
"""How the numbers on rows with the artefact are named."""


def _proposals(inputs: AuditInputs, findings: Sequence[Finding]) -> list[Mapping[str, Any]]:
    """One attempt for each artefact that a failed finding is about."""
    found: list[Mapping[str, Any]] = [{"artefact": one} for one in found_artefacts(inputs, findings)]
    if any(finding.code in ("SHC302", "SHC303") for finding in findings):
        white = inputs.options.get("pasted_artefact", {}).get("white", 255.0)
        given = inputs.artefact
        image = given if callable(given) else read_artefact(given, inputs.case.rows.shape, "artefact", white)
        found.append({"artefact": image})
    return found


def _audit_cost(inputs: AuditInputs) -> Cost:
    train = 0 if inputs.train is None else len(inputs.train[1])
    return Cost(5 * min(train, 2000) + 12 * len(inputs.case)) * inputs.model.passes_per_row


@repairer(
    source="anders2022",
    needs={"net", "classes", "numbers", "train", "labels"},
    answers=("SHC301", "SHC302", "SHC303"),
    side_effects="Whatever else lies along the direction is removed too, so that classes whose evidence resembles the "
    "artefact can lose accuracy; another shortcut can become stronger.",
    proposals=_proposals,
    audit_cost=_audit_cost,
)
def class_artefact_compensation(
    case: Case,
    *,
    train: tuple[Any, Any],
    held_out: tuple[Any, Any],
    artefact: ArtefactLike,
    layer: str = "",
    white: float = 255.0,
    train_rows: int = 2000,
    epochs: int = 20,
    rate: float = 1e-4,
) -> Mapping[str, Any]:
    """A net from one of whose layers the direction of an artefact is projected out, without training.

    h' = h − v vᵀ (h − z̄) at a layer (projective class artefact compensation, Anders et al. 2022): z̄ is the mean
    activation of training rows (those that the artefact changes), v the unit vector from z̄ to the mean activation of
    the same rows with the ``artefact`` pasted (``diagnose.pasted_artefact`` says in which forms it is given). This
    pattern points to the artefact; weights of a linear probe point to whatever separates best. By default h is what the
    last linear layer receives, and the projection becomes part of its weights; with ``layer`` it is the output of that
    layer, as vectors or channels of maps, and a linear layer (a 1 × 1 convolution) follows it. At most ``train_rows``
    training rows, drawn by the seed.

    ``before`` and ``after``: accuracy on ``held_out``, which chose nothing, as they are and with the artefact, with
    limits at 95 %; notes have the paired differences and the share of the lost accuracy that is recovered. ``baseline``
    is the net after retraining its last linear layer for ``epochs`` on the same rows with and without the artefact.

    A direction at the last layer cannot restore what the artefact hid, or what it changed in the maps below. The
    projection applies to every row. Published variants add the direction while fine-tuning (A-ClArC), or apply the
    projection only to rows predicted as the class.
    """
    if train_rows < 1 or epochs < 1 or not 0 < white < float("inf"):
        raise InputError(f"train_rows={train_rows}, epochs={epochs}, white={white}; needed are ≥ 1, ≥ 1 and > 0.")
    require_pair("train", train)
    require_pair("held_out", held_out)
    change = read_artefact(artefact, case.rows.shape, "artefact", white)
    seed = case.seed.child("class artefact compensation")
    rows = read_like(case, train[0])
    labels = np.asarray(true_labels(case.model, train[1], len(rows), model_outputs(case, rows)))
    if len(rows) > train_rows:
        chosen = np.sort(seed.child("training rows").generator().permutation(len(rows))[:train_rows])
        rows, labels = rows[chosen], labels[chosen]
    pasted = change_rows(case, change, rows)
    clean = _changed_rows(rows, pasted)
    model, where = _projected(case, layer, rows[clean], pasted[clean])
    changed = change_rows(case, change, read_like(case, held_out[0]))
    before, after, notes = compare_under_intervention(case, model, held_out, changed, PASTED)
    share = share_recovered(before, after, PASTED)
    notes += [
        *overlap_notes(train[0], held_out[0]),
        Note("recovered", f"share of the lost accuracy recovered: {share:.3g}"),
    ]
    baseline, text, why = _baseline(case, rows, pasted, labels, epochs, rate)
    return {
        "model": model,
        "change": f"the direction of the artefact projected out of {where}, from {len(clean)} training rows",
        "before": before,
        "after": after,
        "baseline": baseline,
        "baseline_change": text,
        "notes": (*notes, *why),
    }


def _changed_rows(rows: Array, pasted: Array) -> Ints:
    """Positions of the rows that the artefact changes: one that has it already is no clean row."""
    changed = to_floats(rows != pasted).reshape(len(rows), -1).any(axis=1)
    if not changed.any():
        raise InputError("the artefact changes no training row; give another artefact or other rows.")
    return np.flatnonzero(changed)


def _projected(case: Case, layer: str, rows: Array, pasted: Array) -> tuple[Model, str]:
    """The model with the direction projected out, and where."""
    if not layer:
        name = last_linear(case)
        clean, other = (as_vectors(input_activations(case, x, name), -1) for x in (rows, pasted))
        direction = mean_difference(clean, other)
        net = project_input(case.model.net, name, direction, clean.mean(axis=0))
        return with_other_net(case.model, net, "artefact projected out"), f"the input of layer {name!r}"
    found = [output_activations(case, x, layer) for x in (rows, pasted)]
    if found[0].ndim not in (2, 4, 5):
        raise CapabilityError(
            f"layer {layer!r} gives {found[0].shape[1:]} a row; needed is one that gives vectors or maps of channels."
        )
    clean, other = (as_vectors(one, 1) for one in found)
    direction = mean_difference(clean, other)
    net = project_output(case.model.net, layer, direction, clean.mean(axis=0), found[0].ndim)
    return with_other_net(case.model, net, "artefact projected out"), f"the output of layer {layer!r}"


def _baseline(
    case: Case, rows: Array, pasted: Array, labels: Any, epochs: int, rate: float
) -> tuple[Model | None, str, tuple[Note, ...]]:
    """The model with its last linear layer retrained on both kinds of rows; a note where that is not possible."""
    from array_api_compat import array_namespace

    both = array_namespace(rows).concat([rows, pasted])
    fitting: dict[str, Any] = {"epochs": epochs, "rate": rate, "seed": case.seed.child("last layer")}
    try:
        model = last_layer_retrained(
            case, both, np.concatenate([labels, labels]), name="last layer retrained", **fitting
        )
    except AssayError as error:
        return None, "", (Note("no-baseline", f"the last layer was not retrained: {error}"),)
    return model, "last linear layer retrained on training rows with and without the artefact", ()
