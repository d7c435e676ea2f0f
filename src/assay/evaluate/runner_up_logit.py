# SPDX-License-Identifier: Apache-2.0
"""Logit test against the runner-up class."""

import numpy as np

from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.attributions.class_contrast import correlate_with_class
from assay.engine.cost import explained_again
from assay.engine.declare import scorer
from assay.nouns.catalogue import Check
from assay.nouns.results.result import Estimate, Explanation


@scorer(
    source="sixt2020",
    better="lower",
    needs={"classes"},
    cost=explained_again(lambda case, o: 1),
    checks=(
        Check(
            "SAN103",
            "Does the explanation change when it explains the runner-up class?",
            "The same explanation supports both classes: explain the margin between them (target margin) instead.",
            0.9,
            "at most",
            claim="rank correlation {estimate:.2f} with the explanation of the runner-up class",
            bounds=(-1.0, 1.0),
            severe=0.99,
        ),
    ),
)
def runner_up_logit(explanation: Explanation, case: Case, *, absolute: bool = False) -> Estimate:
    """Rank correlation of the explanation with that of the runner-up class.

    Spearman correlation over features, −1 … 1; near 1 the same map supports both classes and does not explain why the
    model chose one. The other class is the one of highest score at the row except the label (the first of equals);
    extra["class"] is its position. Of signed values, or of magnitudes if ``absolute``; extra has both. With two classes
    the other explanation may be the same with opposite sign. Features that a row lacks are excluded. Undefined where
    either explanation is constant. For classes that share evidence a high value can be correct.

    Quantus draws the other class at random only (``random_logit``).
    """
    return correlate_with_class(explanation, case, _runner_up, absolute=absolute)


def _runner_up(case: Case, row: int, scores: Floats) -> int:
    return int(np.argmax(scores))
