# SPDX-License-Identifier: Apache-2.0
"""Raw attention."""

from typing import Literal

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.cost import per_row
from assay.engine.declare import explainer
from assay.engine.gradients.attention import WARNING, attention, select_position, sum_by_part
from assay.nouns.results.result import Estimate


@explainer(source="vaswani2017", needs={"attention"}, cost=per_row(lambda o: 1))
def raw_attention(case: Case, *, layer: int = -1, read: Literal["first", "last", "mean"] | None = None) -> Estimate:
    """The attention weights of one layer, from the position the output is read from. Not an explanation.

    The weights of attention layer ``layer`` (0 is the first, −1 the last), averaged over heads; each in [0, 1], and
    over all tokens, special ones included, they sum to 1. A feature gets the sum over its tokens, so values sum to 1
    minus the weights of special tokens. High attention does not mean that the output depends on a token: the target,
    its class and the layers above do not enter, and other weights can give the same output (Jain and Wallace 2019).

    ``read`` is the position: the first token, the last, or the mean over tokens; ``None`` takes the one recorded with
    the model. Hugging Face's ``output_attentions`` gives the same numbers, for eager attention only.
    """
    maps = attention(case)
    if not -maps.shape[1] <= layer < maps.shape[1]:
        raise InputError(f"layer={layer}; {case.model.name} has {maps.shape[1]} attention layers, numbered from 0.")
    heads = maps[:, layer]
    return Estimate(sum_by_part(case, select_position(case, heads.mean(axis=1), read)), notes=(WARNING,))
