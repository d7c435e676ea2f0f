# SPDX-License-Identifier: Apache-2.0
"""Simulatability by a student model."""

from __future__ import annotations

from typing import Any, Literal

from assay.basics.errors import CapabilityError
from assay.cases.case import Case
from assay.engine.students.simulation import simulate
from assay.nouns.comparisons.simulatability import Simulatability
from assay.nouns.results.result import Explanation


def simulatability(
    explanation: Explanation,
    case: Case,
    *,
    student: Any = "auto",
    taught: int = 100,
    seeds: int = 8,
    level: float = 0.95,
    shown: Literal["teaching", "test"] = "teaching",
) -> Simulatability:
    """How much better a student predicts the model after it saw explanations of other rows (Pruthi et al. 2021).

    Of the case's rows ``taught`` are drawn; a student learns the model's classes from them without explanations, with
    the given ones, with the same ones at random parts of each row, and with their signs flipped. Its agreement with
    the model, 0 … 1, is measured on all other rows, whose explanations it does not see; all is repeated with ``seeds``
    draws. ``gain()`` is the difference from no explanations, paired, with an interval over draws and rows: above 0 the
    explanations carry information that this student can use; 0 for a student that ignores them.

    ``student``: "words" for texts (logistic model of TF-IDF words; the three words with the largest |φ| of a text are
    taught as texts of their own), "linear" for numbers and levels (softmax regression whose slopes are pulled to the
    attributions), "pixels" for small images (slopes pulled to the mean attributions of each class), "auto", or a
    function of a ``StudentTask`` (engine/students) that returns classes. No explanation is computed: that of the case's
    rows is read. Attributions are for the class that the case explains.

    It ranks information, not human benefit: a student is no person. Explanations at test time (``shown="test"``) are
    refused: adding up the attributions of any complete method gives the output, whatever it says about the model.
    Raises ``InputError`` for fewer than 20 rows of exam, undefined attributions, those of other classes than the
    case's, or one class in the rows taught; ``CapabilityError`` for regressions, losses and rows that no student reads.
    """
    if shown != "teaching":
        raise CapabilityError(
            "explanations are shown when the student is taught, not at the exam: a student that adds up the "
            "attributions of any complete explanation predicts the model perfectly and has learnt nothing."
        )
    return simulate(explanation, case, student, taught, seeds, level)
