# SPDX-License-Identifier: Apache-2.0
"""The smallest leading features of an explanation that keep the predicted class."""

from __future__ import annotations

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import RowMasks
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.coalitions.masks import present_parts
from assay.engine.removal.ordered_removal import removal_ranks
from assay.nouns.results.result import Explanation


def smallest_sufficient(explanation: Explanation, case: Case, *, remove: Removal = DEFAULT) -> RowMasks:
    """Masks (row, part) of the fewest leading features with which the model predicts the class of the full row.

    For each row the smallest k ≥ 0 for which the k features with the highest values, the others removed, have the
    predicted class. Whether k features suffice is not monotone in k: with more features the class may change again. So
    every k is evaluated, n evaluations a row, and the set returned is one whose class was seen to be the predicted
    one. It is the smallest among the leading sets of this explanation, not among all sets. Authors of MuS search by
    bisection instead, and do not check the result. ``certify.soft_stability`` says how stable the set is.
    """
    if not isinstance(explanation, Explanation):
        raise InputError(f"the features are those of an explanation; got {type(explanation).__name__}.")
    if explanation.ids != case.rows.ids or explanation.values.shape[1] != len(case.features):
        raise InputError("the explanation and the case must have the same rows, in the same order, and the same parts.")
    if not case.model.kind.is_classifier:
        raise CapabilityError(f"sufficient features keep a class; {case.model.name} gives {case.model.gives}.")
    exists = present_parts(case)
    rank, sizes = removal_ranks(explanation, case), np.arange(len(case.features))
    masks = exists[:, None, :] & (rank[:, None, :] < sizes[None, :, None])  # the full row has its own class
    rows, count, parts = masks.shape
    which = np.repeat(np.arange(rows), count)
    classes = case.game(remove).classes(which, masks.reshape(-1, parts)).reshape(rows, count)
    keeps = np.concatenate([classes == case.predicted(case.rows.x)[:, None], np.ones((rows, 1), dtype=bool)], axis=1)
    least = keeps.argmax(axis=1)
    return np.asarray(exists & (rank < least[:, None]))
