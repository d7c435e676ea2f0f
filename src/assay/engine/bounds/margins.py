# SPDX-License-Identifier: Apache-2.0
"""Lower bounds of the margin of a class on a ball."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.types import Floats, Ints, PerRow
from assay.engine.bounds.layer_graph import LayerGraph
from assay.engine.bounds.propagation import InputSet, linear_lower_bounds, propagate_intervals, tighten_by_crown
from assay.engine.search.ball import Ball
from assay.nouns.inputs.rows import to_floats

ROUNDING = 64.0
"""Units in the last place of the largest output that are subtracted from a margin, for each layer."""


def bound_margins(graph: LayerGraph, rows: Any, ball: Ball, labels: Ints, how: str) -> PerRow:
    """A lower bound (row,) of the score of the label less the highest other, on the ball around each row.

    Of nets with one score it is that score, turned to the label.
    """
    import torch

    with torch.no_grad():
        return to_floats(margin_limits(graph, InputSet.of(rows.double(), ball), labels, how, rows.dtype))


def margin_limits(graph: LayerGraph, inputs: InputSet, labels: Ints, how: str, precision: Any) -> Any:
    """The same (row,) on any sets of inputs, for a model that rounds to ``precision`` (a type of torch)."""
    import torch

    plain = propagate_intervals(graph, inputs)
    bounds = tighten_by_crown(graph, inputs, plain) if how == "crown" else plain
    low, high = bounds.low[-1], bounds.high[-1]
    weights = torch.as_tensor(class_weights(labels, low.shape[1]), dtype=low.dtype, device=low.device)
    limits = (weights.clamp(min=0) * low[:, None] + weights.clamp(max=0) * high[:, None]).sum(dim=2)
    for one in {"ibp": (), "crown-ibp": (plain,), "crown": (plain, bounds)}[
        how
    ]:  # other lines may happen to fit better
        limits = torch.maximum(limits, linear_lower_bounds(graph, inputs, one, weights))
    largest = torch.maximum(low.abs(), high.abs()).amax(dim=1)
    allowance = ROUNDING * torch.finfo(precision).eps * len(graph.steps)
    return limits.amin(dim=1) - allowance * largest


def class_weights(labels: Ints, classes: int) -> Floats:
    """Weights (row, other class, class) of the score of the label less each other; ± the score where there is one."""
    if classes == 1:
        return (2.0 * labels - 1.0)[:, None, None]
    unit = np.eye(classes)
    return np.stack([unit[label] - np.delete(unit, label, axis=0) for label in labels.tolist()])
