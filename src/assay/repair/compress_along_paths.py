# SPDX-License-Identifier: Apache-2.0
"""Compression along influence paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import clopper_pearson, student_interval
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.declare import repairer
from assay.engine.fairness.bias_numbers import decisions_of, difference_note, labelled
from assay.engine.influence_paths.contrast_line import line_to_rows
from assay.engine.influence_paths.path_gates import path_gates
from assay.model.model import Model
from assay.nouns.inputs.target import log_probabilities
from assay.nouns.results.result import Note

SHARE = "share of gates kept"


@repairer(
    source="lu2020",
    needs={"classes", "gradient", "net", "numbers", "paths", "labels"},
    side_effects="The model takes rows of one number of positions, and what other paths carried is gone: the loss as a "
    "language model rises even where the accuracy on one question stays.",
)
def compress_along_paths(
    case: Case,
    *,
    held_out: tuple[Any, Any],
    sources: tuple[int, ...] = (),
    mode: Literal["keep", "drop"] = "keep",
    crossings: int = 2,
    start: Any = 0.0,
    contrast: tuple[str, ...] = (),
    steps: int = 16,
) -> Mapping[str, Any]:
    """The model with the gates or heads on the largest influence paths of some parts alone, or without them.

    The rows of the case, which have one number of positions, say which paths are largest (``explain.influence_paths``
    from ``start`` or ``contrast``, mean size over the rows) and the means. All gates of an nn.LSTM, or all heads of
    attention, take their mean over these rows, position by position, but those on the paths of the ``sources`` (numbers
    of parts; by default the part with the largest mean |value|); mode="drop": only those on the paths take their mean.
    A path of cells that crosses in a layer has all gates at the source in lower layers, and those at the source that
    change the cells of the layer (no output gate); ``"keep"`` also keeps the gates that read it at the end, in higher
    layers, which all positions share. ``crossings`` is the number of layers. A path of attention has the heads of the
    ``crossings`` largest pairs of layer and head, at the position that is read. Feed-forward layers and embeddings
    stay.

    ``before`` and ``after``: accuracy on ``held_out`` with limits at 95 % (Clopper–Pearson), the loss on them as a
    language model (−log probability of the true class among all, nats, with limits by Student's t), and the share of
    gates or states of heads that is kept: no faster net, since the others are still multiplied. Choose with rows that
    are not ``held_out``. ``CapabilityError`` for nets with neither, or whose output reads several positions.
    """
    if crossings < 1:
        raise InputError(f"crossings={crossings}; at least 1 is needed.")
    test, truth = labelled(case, held_out, "held_out")
    gates = path_gates(case, line_to_rows(case, start, contrast, steps), sources, crossings)
    model, share = gates.model(mode, f"{case.model.name}, paths {'kept' if mode == 'keep' else 'dropped'}")
    was, now = decisions_of(case.model, test) == truth, decisions_of(model, test) == truth
    what = "alone is kept" if mode == "keep" else "is averaged"
    text = (
        f"{share:.1%} of the gates or heads' states are kept; the net computes as many numbers as before, and what "
        f"stays of the accuracy on one question says nothing of other questions: read the loss too"
    )
    return {
        "model": model,
        "change": f"what lies on the path {what}: {gates.text}",
        "before": numbers_of(case.model, test, truth) | {SHARE: 1.0},
        "after": numbers_of(model, test, truth) | {SHARE: share},
        "notes": (difference_note(was.astype(float), now.astype(float)), Note("sparsity", text)),
    }


def numbers_of(model: Model, test: Case, truth: Ints) -> dict[str, float]:
    """Accuracy, and the loss as a language model, with their limits at 95 %."""
    other = replace(test, model=model)
    right = int((decisions_of(model, test) == truth).sum())
    limits = clopper_pearson(right, len(truth))
    loss = _losses(other.prediction, truth, model)
    spread = student_interval(loss)
    return {
        "accuracy": right / len(truth),
        "accuracy, low": limits.low,
        "accuracy, high": limits.high,
        "language-model loss": float(loss.mean()),
        "language-model loss, low": spread.low,
        "language-model loss, high": spread.high,
    }


def _losses(outputs: Floats, truth: Ints, model: Model) -> Floats:
    """−log probability of the true class (row,)."""
    logs = np.asarray(log_probabilities(outputs, model.gives))
    return -np.asarray(logs[np.arange(len(truth)), truth], dtype=np.float64)
