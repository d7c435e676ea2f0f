# SPDX-License-Identifier: Apache-2.0
"""A random explanation, as a reference for scores."""

import numpy as np

from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.cost import free
from assay.engine.declare import explainer


@explainer(source="assay2026", claims={"reference"}, cost=free)
def random(case: Case) -> Floats:
    """Independent draws from the standard normal distribution, one per feature: a reference without information.

    An explanation that scores no better than this one has no information on the model. A row's draws depend on its id
    and the case's seed. Features that a row lacks get 0; there is no base and no unit.
    """
    parts = len(case.features)
    streams = [case.seed.child("random", name).generator() for name in case.rows.ids]
    return np.stack([stream.standard_normal(parts) for stream in streams]) * (case.features.sizes > 0)
