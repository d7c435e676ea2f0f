# SPDX-License-Identifier: Apache-2.0
"""A constant explanation, as a reference for scores."""

import numpy as np

from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.cost import free
from assay.engine.declare import explainer


@explainer(source="assay2026", claims={"reference"}, cost=free)
def constant(case: Case) -> Floats:
    """The same value 1/n for every feature: a reference without information.

    Its ranking is all ties, which are broken by feature order, so ranking-based scores measure the order of the
    features themselves (for images: from the top left), and correlations are undefined. Features that a row lacks get
    0; there is no base and no unit.
    """
    present = np.broadcast_to(case.features.sizes > 0, (len(case), len(case.features)))
    return present / present.sum(axis=1, keepdims=True)
