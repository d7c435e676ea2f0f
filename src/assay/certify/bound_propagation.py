# SPDX-License-Identifier: Apache-2.0
"""Bound propagation: a proved lower bound of a small net's margin on a ball around each row."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from assay.basics.errors import CapabilityError
from assay.cases.case import Case
from assay.engine.bounds.margins import ROUNDING, bound_margins
from assay.engine.bounds.read_layers import read_layers
from assay.engine.certified_model import describe_model_itself
from assay.engine.cost import free
from assay.engine.declare import certifier
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import Check
from assay.nouns.inputs.target import class_scores, predicted_class


@certifier(
    source="crown2018",
    needs={"classes", "net", "numbers", "complete"},
    cost=free,
    checks=(
        Check(
            "CRT104",
            "For how many rows is it proved that no change within the ball changes the class?",
            "Train with bounds or on attacked rows, or certify a smaller ball.",
            claim="the class of {estimate:.0%} of the rows is proved to stay within the ball",
            reads="certified",
            bounds=(0.0, 1.0),
        ),
    ),
)
def bound_propagation(case: Case, ball: Ball, *, how: Literal["crown", "crown-ibp", "ibp"] = "crown") -> dict[str, Any]:
    """Lower bound of the margin of the predicted class on the whole ball: above 0, no input in it has another class.

    ``margin`` (row,) ≤ min over the ball of (score of the predicted class − highest other score), in units of the net's
    scores. "ibp" propagates intervals (fast, loose); "crown" replaces each activation by two lines and goes back to the
    input, for every hidden unit too (Zhang et al. 2018); "crown-ibp" does so for the margin only, with intervals for
    the hidden units. Never above the exact minimum, which an attack (``attack.pgd``) bounds from above: ``extra``
    ["certified"] (row,) is 1 where the margin is above 0, extra["clean"] the margin at the row. Rows between the two
    are open: neither proved nor attacked.

    For nets of linear, convolutional, batch-norm, pooling and flattening layers, rectifiers, softplus, sigmoid, tanh
    and sums of two branches; others are refused by name. Balls in linf, l2 and l1 with bounds and scale. No model
    evaluation is counted; a row costs about as many backward passes as the net has hidden units ("crown").

    Computed in float64 for the net's weights in float64. The model itself rounds in its own precision: 64 units in the
    last place of the largest score are subtracted for each layer, an allowance that is large in practice, but not a
    proof of rounding.
    """
    if ball.norm == "l0":
        raise CapabilityError("bound_propagation has no bounds for an l0 ball, whose elements move without limit.")
    if case.model.kind.threshold is not None or not case.model.kind.exclusive:
        raise CapabilityError("bound_propagation needs classes of which the highest score decides.")
    ball.check_bounds(case.rows.x)
    graph, labels = read_layers(case), predicted_class(case.prediction, case.model.gives)
    margin = bound_margins(graph, case.rows.x, ball, labels, how)
    scores = class_scores(case.prediction, case.model.gives)
    others = np.where(np.eye(scores.shape[1], dtype=bool)[labels], -np.inf, scores)
    clean = (scores[np.arange(len(case)), labels] - others.max(axis=1)) / (2 if case.prediction.shape[1] == 1 else 1)
    return {
        "bounds": {"margin": margin},
        "abstained": np.zeros(len(case), dtype=bool),
        "theorem": {
            "ibp": "interval bound propagation: a box is mapped into a box",
            "crown": "linear bounds of activations, back to the input (Zhang et al. 2018)",
            "crown-ibp": "linear bounds of activations between interval bounds (Zhang et al. 2018)",
        }[how],
        "assumptions": (
            f"inputs move within the {ball.norm} ball of radius {ball.radius:g}"
            + (f", within {ball.low:g} … {ball.high:g}" if np.isfinite([ball.low, ball.high]).any() else ""),
            f"bounds are computed in float64; {ROUNDING:g} units in the last place of the largest score a layer are "
            f"allowed for the rounding of the model",
        ),
        "confidence": 1.0,
        "draws": 0,
        "guarantee": "exact",
        "unit": "units of the net's scores",
        **describe_model_itself(case),
        "extra": {"certified": (margin > 0).astype(float), "clean": clean},
    }
