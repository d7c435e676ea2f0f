# SPDX-License-Identifier: Apache-2.0
"""The random logit test."""

import numpy as np

from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.attributions.class_contrast import against_class
from assay.engine.cost import explained_again
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="sixt2020", better="lower", needs={"classes"}, cost=explained_again(lambda case, o: 1))
def random_logit(explanation: Explanation, case: Case, *, absolute: bool = False) -> Estimate:
    """How alike the explanation is, in rank, to that of another class drawn at random.

    Spearman correlation over parts, −1 … 1; near 1 the explanation does not depend on what is explained. The other
    class is one of the model's own, drawn evenly from the row's own stream; extra["class"] is its position. Of signed
    values, or of magnitudes if ``absolute``; extra tells both. With two classes the other's values may be these with
    the sign turned: −1 signed, 1 in magnitude. Parts a row lacks do not count. Undefined where either explanation is
    constant. A class drawn at random is easily told apart: ``runner_up_logit`` asks more.

    Quantus compares by SSIM of the maps laid flat, assumes 1,000 classes unless told, and resets the global generators.
    """
    return against_class(explanation, case, _drawn, absolute=absolute)


def _drawn(case: Case, row: int, scores: Floats) -> int:
    stream = case.seed.child("random logit", case.rows.ids[row]).generator()
    return int(stream.choice(np.flatnonzero(np.isfinite(scores))))
