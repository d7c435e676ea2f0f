# SPDX-License-Identifier: Apache-2.0
"""What a certificate says about the model that it holds for, where that is the model itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.cases.case import Case
from assay.nouns.inputs.target import predicted_class


def describe_model_itself(case: Case) -> dict[str, Any]:
    """The fields ``certified``, ``agreement`` and ``histogram`` (class,), empty for a regression. No evaluation."""
    histogram = np.empty(0)
    if case.model.kind.is_classifier:
        classes = predicted_class(case.prediction, case.model.gives)
        histogram = np.bincount(classes, minlength=len(case.model.classes)) / len(case)
    return {"certified": "the model itself", "agreement": 1.0, "histogram": histogram}
