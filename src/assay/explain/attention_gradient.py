# SPDX-License-Identifier: Apache-2.0
"""Attention weighted by its gradient."""

from typing import Literal

import numpy as np

from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.attention import WARNING, attention_with_gradient, select_position, sum_by_part
from assay.nouns.results.result import Estimate


@explainer(source="chefer2021", needs={"attention", "gradient"}, cost=per_row(lambda o: 1, lambda o: 1))
def attention_gradient(case: Case, *, read: Literal["first", "last", "mean"] | None = None) -> Estimate:
    """Attention weighted by its positive gradient, propagated through all layers to the read position.

    The paper's rule for encoders of self-attention: Ā = mean over heads of (∂f/∂A ⊙ A)⁺, and R ← R + Ā R from R = I,
    the first layer first. Values are the entries of R at the read position, at least 0, summed over each feature's
    tokens. The position itself has the 1 of the identity. There is no unit and no completeness; only the order within
    a row has a meaning. Evidence against the class is set to 0, value vectors and other layers enter through the
    gradient alone, and attention is not explanation (Jain and Wallace 2019): compare with a method that evaluates the
    model.

    ``read`` is the position: the first token, the last, or the mean over tokens; ``None`` takes the one recorded with
    the model. The authors' code reads the class token and sets its own value to 0.
    """
    maps, gradient = attention_with_gradient(case)
    positive = np.maximum(gradient * maps, 0.0).mean(axis=2)
    relevance = np.broadcast_to(np.eye(maps.shape[-1]), positive[:, 0].shape)
    for layer in range(positive.shape[1]):
        relevance = relevance + positive[:, layer] @ relevance
    return Estimate(sum_by_part(case, select_position(case, relevance, read)), notes=(WARNING,))
