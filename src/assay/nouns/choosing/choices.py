# SPDX-License-Identifier: Apache-2.0
"""Which method for which goal, kind of model and data, and camp: one table, read by ``assay choose`` and the docs."""

from __future__ import annotations

from assay.nouns.choosing.act import ACT
from assay.nouns.choosing.choice import Choice, Goal
from assay.nouns.choosing.debug import DEBUG
from assay.nouns.choosing.select_features import SELECT_FEATURES
from assay.nouns.choosing.trust import TRUST
from assay.nouns.choosing.understand import UNDERSTAND

WHY_NONE: dict[Goal, str] = {
    "select-features": "Explanations of single rows, averaged, are no selection: a feature can move many outputs and "
    "improve none.",
    "act": "What would change an outcome is a question about one row; for a policy, compare groups.",
    "debug": "A fault shows in answers; no part of a model is a list of its faults.",
    "trust": "Reading a model's own parts does not show that they may be relied on; that takes a test.",
}
"""Why some cells of the table are empty, by goal."""

CHOICES: tuple[Choice, ...] = (*UNDERSTAND, *TRUST, *SELECT_FEATURES, *ACT, *DEBUG)
"""Which method for which goal; within a goal, the first that suits comes first."""
