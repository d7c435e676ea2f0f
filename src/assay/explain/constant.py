# SPDX-License-Identifier: Apache-2.0
"""The same for every part, as a reference for scores."""

import numpy as np

from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.cost import free
from assay.engine.declare import explainer


@explainer(source="assay2026", claims={"reference"}, cost=free)
def constant(case: Case) -> Floats:
    """Nothing: every part gets the same, 1/n.

    A reference: its ranking is all ties, which fall in part order, so scores of order judge the order of the parts
    themselves (for images: from the top left), and correlations are undefined. Parts that a row lacks get 0; there is
    no base and no unit.
    """
    present = np.broadcast_to(case.features.sizes > 0, (len(case), len(case.features)))
    return present / present.sum(axis=1, keepdims=True)
