# SPDX-License-Identifier: Apache-2.0
"""Explanations of tables in units that can be compared between columns."""

from __future__ import annotations

import numpy as np

from assay.basics.types import Floats
from assay.cases.case import Case
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Explanation

PER_UNIT = frozenset({"saliency", "smooth_grad"})
"""Explanations that are per unit of input."""


def column_scales(explanation: Explanation, case: Case) -> Floats:
    """What the values of each feature (part,) are to be multiplied by before features are compared.

    The standard deviation of the column over the rows, for a table and an explanation that is per unit of input
    (saliency, SmoothGrad); else 1. A feature of several columns gets the mean of theirs.
    """
    if len(case.rows.shape) != 1 or explanation.method not in PER_UNIT or case.features.per_row:
        return np.ones(explanation.values.shape[1])
    spread = np.nanstd(to_floats(case.rows.x), axis=0)
    return np.asarray(case.features.pool(spread[None])[0] / np.maximum(case.features.sizes, 1))
