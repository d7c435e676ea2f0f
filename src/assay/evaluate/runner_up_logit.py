# SPDX-License-Identifier: Apache-2.0
"""The logit test against the runner-up."""

import numpy as np

from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.attributions.class_contrast import against_class
from assay.engine.cost import explained_again
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="sixt2020", better="lower", needs={"classes"}, cost=explained_again(lambda case, o: 1))
def runner_up_logit(explanation: Explanation, case: Case, *, absolute: bool = False) -> Estimate:
    """How alike the explanation is, in rank, to that of the class that comes closest to the one explained.

    Spearman correlation over parts, −1 … 1; near 1 the same picture speaks for both classes, and so does not say why
    the model chose one. The other class is the one of highest score at the row but the label (the first of equals);
    extra["class"] is its position. Of signed values, or of magnitudes if ``absolute``; extra tells both. With two
    classes the other's values may be these with the sign turned. Parts a row lacks do not count. Undefined where either
    explanation is constant. Classes that share evidence may be rightly alike.

    Quantus draws the other class at random only (``random_logit``).
    """
    return against_class(explanation, case, _closest, absolute=absolute)


def _closest(case: Case, row: int, scores: Floats) -> int:
    return int(np.argmax(scores))
