# SPDX-License-Identifier: Apache-2.0
"""Random logit test."""

import numpy as np

from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.attributions.class_contrast import correlate_with_class
from assay.engine.cost import explained_again
from assay.engine.declare import scorer
from assay.nouns.results.result import Estimate, Explanation


@scorer(source="sixt2020", better="lower", needs={"classes"}, cost=explained_again(lambda case, o: 1))
def random_logit(explanation: Explanation, case: Case, *, absolute: bool = False) -> Estimate:
    """Rank correlation of the explanation with that of another class chosen at random.

    Spearman correlation over features, −1 … 1; near 1 the explanation does not depend on the explained class. The other
    class is drawn uniformly from the model's classes, from the row's own random stream; extra["class"] is its position.
    Of signed values, or of magnitudes if ``absolute``; extra has both. With two classes the other explanation may be
    the same with opposite sign: −1 signed, 1 in magnitude. Features that a row lacks are excluded. Undefined where
    either explanation is constant. ``runner_up_logit`` is stricter: a random class is usually easy to distinguish.

    Quantus compares by SSIM of the flattened maps, assumes 1,000 classes by default, and reseeds the global random
    generators.
    """
    return correlate_with_class(explanation, case, _draw_class, absolute=absolute)


def _draw_class(case: Case, row: int, scores: Floats) -> int:
    stream = case.seed.child("random logit", case.rows.ids[row]).generator()
    return int(stream.choice(np.flatnonzero(np.isfinite(scores))))
