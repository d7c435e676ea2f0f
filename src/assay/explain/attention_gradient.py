# SPDX-License-Identifier: Apache-2.0
"""Attention weighted by its gradient."""

from typing import Literal

import numpy as np

from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.attention import WARNING, attention_slopes, by_part, reading
from assay.nouns.results.result import Estimate


@explainer(source="chefer2021", needs={"attention", "gradient"}, cost=per_row(lambda o: 1, lambda o: 1))
def attention_gradient(case: Case, *, read: Literal["first", "last", "mean"] | None = None) -> Estimate:
    """Attention that raises the target, followed through all layers to the position the output is read from.

    The paper's rule for encoders of self-attention: Ā = mean over heads of (∂f/∂A ⊙ A)⁺, and R ← R + Ā R from R = I,
    the first layer first. Values are the entries of R at the position read, at least 0, summed over each part's tokens.
    The position itself keeps the 1 it starts with. There is no unit and no sum to compare with; only the order within a
    row means something. What speaks against the class is cut away, values and other layers enter through the gradient
    alone, and attention is not explanation (Jain and Wallace 2019): hold it against a method that asks the net.

    ``read`` is the position: the first token, the last, or the mean over tokens; ``None`` is what the model says of
    itself. The authors' code reads the class token and sets its own value to 0.
    """
    maps, slopes = attention_slopes(case)
    raising = np.maximum(slopes * maps, 0.0).mean(axis=2)
    relevance = np.broadcast_to(np.eye(maps.shape[-1]), raising[:, 0].shape)
    for layer in range(raising.shape[1]):
        relevance = relevance + raising[:, layer] @ relevance
    return Estimate(by_part(case, reading(case, relevance, read)), notes=(WARNING,))
