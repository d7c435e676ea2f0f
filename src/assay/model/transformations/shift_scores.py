# SPDX-License-Identifier: Apache-2.0
"""A model whose scores are moved by one number for each class: another intercept, or another decision threshold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from assay.basics.errors import CapabilityError, InputError
from assay.basics.fingerprint import digest
from assay.basics.types import Array, Floats
from assay.model.linear_scores import is_linear, read_linear
from assay.model.model import Model
from assay.model.reduced_coefficients import reduce_coefficients
from assay.model.transformations.opaque_variant import opaque_variant
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.rows import Rows, to_floats
from assay.nouns.inputs.target import class_scores, is_single_score

TINY = 1e-300
"""The smallest probability whose logarithm is taken."""


def movable_scores(outputs: Array, kind: OutputKind) -> Floats:
    """The scores (row, class) to which ``shift_scores`` adds its offsets: log probabilities, or scores before the link.

    A single score counts as that of the second of two classes; the first has 0.
    """
    if kind == "probabilities":
        return np.log(np.maximum(to_floats(class_scores(outputs, kind)), TINY))
    scores = to_floats(outputs) * kind.scale
    return np.concatenate([np.zeros_like(scores), scores], axis=1) if scores.shape[1] == 1 else scores


def decision_point(kind: OutputKind) -> float:
    """The score of the second of two classes, minus that of the first, from which the model decides for it.

    ``CapabilityError`` where a threshold of one of two scores decides.
    """
    if kind.threshold is None:
        return 0.0
    if kind.of_score:
        return float(kind.threshold) * kind.scale
    inside = float(np.clip(kind.threshold, TINY, 1 - 1e-16))
    return float(np.log(inside) - np.log1p(-inside))


def shift_scores(model: Model, offsets: Any) -> Model:
    """The model with ``offsets`` (class,) added to its log probabilities, or to its scores before the link.

    Probabilities are normalised again, so they are those of the same model with another intercept. A linear classifier
    of one score and a torch net stay what they are; other models lose their inside (trees, nets that read text).
    """
    kind, moved = model.kind, np.asarray(offsets, dtype=np.float64)
    if not kind.is_classifier or not kind.exclusive or moved.ndim != 1 or not np.isfinite(moved).all():
        raise InputError(
            f"offsets {moved} for {model.name}, which gives {kind}; one finite number for each class is needed."
        )
    name, fingerprint = f"{model.name}, threshold shifted", digest(model.fingerprint, "shifted", moved)
    if len(moved) == 2 and is_linear(model):
        try:
            single = len(read_linear(model).coef) == 1
        except CapabilityError:  # its columns cannot be read, but its outputs can be moved
            single = False
        if single:
            return replace(reduce_coefficients(model, {}, float(moved[1] - moved[0]) / kind.scale), name=name)
    if model.rebuild is not None and model.net is not None and model.encode is None:
        return _of_net(model, moved, name, fingerprint)
    return opaque_variant(
        model,
        lambda rows: move_outputs(model.forward(rows), moved, kind),
        name,
        fingerprint,
        again=lambda other: shift_scores(other, moved),
    )


def move_outputs(outputs: Array, offsets: Floats, kind: OutputKind) -> Array:
    """The outputs (row, out) with the offsets added, in the namespace of the outputs."""
    xp = array_namespace(outputs)
    by_class = xp.asarray(offsets, dtype=outputs.dtype, device=outputs.device)
    single = is_single_score(outputs, kind)
    if kind == "probabilities":
        chances = class_scores(outputs, kind) * xp.exp(by_class - xp.max(by_class))
        total = xp.sum(chances, axis=1, keepdims=True)
        chances = chances / total
        return chances[:, 1:] if single else chances
    return outputs + ((by_class[1:] - by_class[:1]) if single else by_class) / kind.scale


def _of_net(model: Model, offsets: Floats, name: str, fingerprint: str) -> Model:
    from assay.model.adapters.torch import with_scores

    net: Any = model.forward
    kind = model.kind

    def read(out: Any, rows: Rows) -> Any:
        return move_outputs(net.scores(out, rows), offsets, kind)

    moved = with_scores(model, read, kind, model.classes)
    return replace(moved, name=name, fingerprint=fingerprint, meter=model.meter)
