# SPDX-License-Identifier: Apache-2.0
"""Proved Lipschitz constants of a target of a net, between all inputs of a ball with features removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.engine.bounds.propagation import InputSet, largest_slope
from assay.engine.bounds.read_layers import read_layers
from assay.engine.search.ball import Ball
from assay.nouns.inputs.rows import to_floats

if TYPE_CHECKING:
    import torch as pt

ROUNDING = 1e-9
"""Allowance for rounding in float64, as a share of the constant."""


def bound_slopes(case: Case, ball: Ball, remove: Removal) -> PerRow:
    """An upper bound (row,) of the ℓ2 norm of the target's gradient on the smallest box that holds all filled inputs.

    The box contains the ball around the row and every filling of the removal, which must not depend on the row; since
    it is convex, the bound is a Lipschitz constant of the target between any two of these inputs.
    """
    import torch

    graph = read_layers(case)
    with torch.no_grad():
        x = case.rows.x.double()
        weights = _target_weights(case, x)
        inputs = InputSet.of(x, ball)
        low, high = inputs.low.clone(), inputs.high.clone()
        nothing = np.zeros((len(case), len(case.features)), dtype=bool)
        for queries, filled, _ in case.game(remove).inputs(np.arange(len(case)), nothing):
            for row, version in zip(queries.tolist(), filled.double()):
                low[row], high[row] = torch.minimum(low[row], version), torch.maximum(high[row], version)
        return to_floats(largest_slope(graph, InputSet(low, high, x), weights)) * (1 + ROUNDING)


def _target_weights(case: Case, like: pt.Tensor) -> pt.Tensor:
    """The weights (row, output) with which the target sums the net's outputs."""
    import torch

    if case.target.name not in ("logit", "value"):
        raise CapabilityError(
            f"a proved Lipschitz constant needs target 'logit' or 'value', which the net's outputs are; the case has "
            f"{case.target.name!r}. Use case.with_target('logit')."
        )
    labels = torch.as_tensor(np.asarray(case.label), device=like.device).long()
    if case.prediction.shape[1] == 1 and case.model.kind.is_classifier:
        return (2.0 * labels - 1.0).to(like.dtype)[:, None]
    return torch.eye(case.prediction.shape[1], dtype=like.dtype, device=like.device)[labels]
