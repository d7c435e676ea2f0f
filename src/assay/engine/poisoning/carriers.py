# SPDX-License-Identifier: Apache-2.0
"""Training rows that carry a trigger: without its region the model no longer gives them the label that they have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation

from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.data_quality.training_labels import labels_without_outputs
from assay.engine.retraining.labelled_rows import model_outputs, read_like
from assay.engine.shortcuts.artefacts import BLOCK, Artefact, inpaint_region
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import predicted_class

CORE, FARTHER = 0.5, 2.0
"""Pixels of a trigger are those whose mask is at least this share of the largest; a row carries it at up to this
multiple of the median distance of the rows that flip."""


@dataclass(frozen=True, eq=False)
class Carriers:
    """Training rows of a class at ``places`` (row,): how far pasting the trigger moves them, and which ``flips``.

    ``distance`` (row,) is Σ m |x − p|, near 0 for a row that has the trigger. A row flips where the model gives it its
    label, and another class once the trigger's region is filled from around it.
    """

    places: Ints
    distance: Floats
    flips: Masks

    @property
    def carry(self) -> Masks:
        """Whether a row carries the trigger (row,): hardly farther from it than the median row that flips."""
        if not self.flips.any():
            return self.flips
        return np.asarray(self.distance <= FARTHER * np.median(self.distance[self.flips]))

    def clearest(self) -> Ints:
        """Places of the rows that carry the trigger, the nearest to it first."""
        order = np.argsort(self.distance, kind="stable")
        return np.asarray(self.places[order][self.carry[order]])


def find_carriers(case: Case, train: Any, labels: Any, trigger: Artefact, label: int) -> Carriers:
    """How near the training rows with this label are to the trigger, and whether the label depends on its region."""
    x = read_like(case, train)
    places = np.flatnonzero(np.asarray(labels_without_outputs(case, labels, len(x))) == label)
    if not len(places):
        return Carriers(places, np.empty(0), np.empty(0, dtype=bool))
    region = binary_dilation(trigger.alpha >= CORE * trigger.alpha.max(), np.ones((3, 3), dtype=bool))
    rows = to_floats(x[places])
    filled = np.concatenate([inpaint_region(rows[at : at + BLOCK], region) for at in range(0, len(rows), BLOCK)])
    before, after = (
        predicted_class(model_outputs(case, one), case.model.gives) for one in (x[places], case.rows.convert(filled))
    )
    distance = (trigger.alpha * np.abs(rows - trigger.values)).sum(axis=(1, 2, 3))
    return Carriers(places, distance, (before == label) & (after != label))
