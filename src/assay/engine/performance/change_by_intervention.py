# SPDX-License-Identifier: Apache-2.0
"""Accuracy of a model and of a changed one on held-out rows as they are, and on the same rows after an intervention."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from assay.basics.types import Array
from assay.cases.case import Case
from assay.engine.performance.held_out import compare_performance
from assay.model.model import Model
from assay.nouns.results.result import Note


def compare_under_intervention(
    case: Case, model: Model, held_out: tuple[Any, Any], changed: Array, what: str
) -> tuple[dict[str, float], dict[str, float], list[Note]]:
    """Accuracy of the case's model and of ``model`` on the held-out rows and on the ``changed`` ones, with two notes.

    ``changed`` are the held-out rows in the case's form after the intervention; names of its numbers end in ``what``.
    """
    before, after, note = compare_performance(case, model, held_out)
    was, now, other = compare_performance(case, model, (changed, held_out[1]))
    for metrics, moved in ((before, was), (after, now)):
        metrics |= {name.replace("accuracy", f"accuracy {what}"): value for name, value in moved.items()}
    return before, after, [note, replace(other, text=f"{what}: {other.text}")]


def share_recovered(before: dict[str, float], after: dict[str, float], what: str) -> float:
    """Share of the accuracy lost by the intervention that the changed model recovers; NaN where none was lost."""
    lost = before["accuracy"] - before[f"accuracy {what}"]
    return (after[f"accuracy {what}"] - before[f"accuracy {what}"]) / lost if lost > 0 else float("nan")
