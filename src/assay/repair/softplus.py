# SPDX-License-Identifier: Apache-2.0
"""Softplus in place of ReLU as a repair of explanations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.cases.case import Case
from assay.engine.declare import repairer
from assay.engine.performance.change_of_model import repaired_fields
from assay.engine.search.ball import Ball
from assay.model.transformations.softplus_surrogate import softplus_surrogate


@repairer(source="dombrowski2019", needs={"gradient", "net", "numbers"})
def softplus(case: Case, *, sharpness: float = 1.0, ball: Ball | None = None, steps: int = 30) -> Mapping[str, Any]:
    """A net with softplus in place of every ReLU, so that its gradients, and explanations by gradient, change slowly.

    softplus(z) = log(1 + exp(βz)) / β with β = ``sharpness``: the smaller, the smoother, and the further from the net.
    Meant to explain with (β of about 0.8 to 10) while the net itself decides; ``before`` and ``after`` say how far both
    agree on the case's rows, as in ``repair.smoothing``. One pass a row, where smoothing takes many.

    With a ``ball``, ``attack.top_k`` attacks saliency of both models for ``steps`` steps, differentiating through the
    softplus: ``before`` and ``after`` then have the mean top-k overlap under attack and under random perturbations. A
    map can also withstand attacks because it is nearly constant: score its faithfulness, too. Without a ball a note
    says that the defence is not adaptively tested.
    """
    model = softplus_surrogate(case.model, sharpness=sharpness)
    return repaired_fields(case, model, f"ReLU replaced by softplus with β = {sharpness:g}", ball, steps)
