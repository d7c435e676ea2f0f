# SPDX-License-Identifier: Apache-2.0
"""Attention rollout."""

from typing import Literal

import numpy as np

from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.attention import WARNING, attention, select_position, sum_by_part
from assay.nouns.results.result import Estimate


@explainer(source="abnar2020", needs={"attention"}, cost=per_row(lambda o: 1))
def attention_rollout(case: Case, *, read: Literal["first", "last", "mean"] | None = None) -> Estimate:
    """The share of each token in the read position if attention is multiplied through all layers.

    Π (½ A + ½ I) over the layers, the last outermost, with A the attention averaged over heads and I for the skip
    connection: shares in [0, 1] that sum to 1 over all tokens, special ones included; a feature gets the sum over its
    tokens. Not an explanation (Jain and Wallace 2019): value vectors, the target and its class do not enter, so all
    classes get the same numbers.

    ``read`` is the position the output is read from: the first token, the last, or the mean over tokens; ``None`` takes
    the one recorded with the model. Many implementations drop small weights or take the maximum over heads; the paper
    does neither.
    """
    maps = attention(case).mean(axis=2)
    mixing = 0.5 * maps + 0.5 * np.eye(maps.shape[-1])
    rolled = mixing[:, 0]
    for layer in range(1, mixing.shape[1]):
        rolled = mixing[:, layer] @ rolled
    return Estimate(sum_by_part(case, select_position(case, rolled, read)), notes=(WARNING,))
