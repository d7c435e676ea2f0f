# SPDX-License-Identifier: Apache-2.0
"""What the attention views share: the matrices of a case, the position read, tokens summed into parts, the warning."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.model.attention import attended, through_attention
from assay.nouns.inputs.features import Features
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Note

Read = Literal["first", "last", "mean"]

WARNING = Note(
    "attention",
    "attention is not explanation: where a net looks is not what its answer depends on (Jain and Wallace 2019); hold "
    "this against a method that asks the net",
)
"""Every attention view says so."""


def attention(case: Case) -> Floats:
    """The attention matrices (row, layer, head, query, key); one forward pass."""
    return to_floats(replace(case, model=attended(case.model)).outputs(case.rows.x))


def attention_slopes(case: Case) -> tuple[Floats, Floats]:
    """The matrices A and the derivatives ∂f/∂A, both (row, layer, head, query, key); one pass there and back."""
    found = replace(case, model=through_attention(case.model)).slope(case.rows.x, "attention")
    return to_floats(found.activation), to_floats(found.gradient)


def reading(case: Case, relevance: Floats, read: Read | None) -> Floats:
    """The line of each row's matrix (row, query, key) that belongs to the position the output is read from: (row, key).

    ``None`` is what the model knows of itself. The mean is over real tokens, special ones included.
    """
    place = case.model.about.get("read") if read is None else read
    if place not in ("first", "last", "mean"):
        raise InputError(
            f'read={read!r}: say which position the output of {case.model.name} is read from: read="first" (a class '
            f'token), "last" (a language model) or "mean" (pooled).'
        )
    tokens = relevance.shape[1]
    text = case.rows.text
    real = np.ones((len(case), tokens), dtype=bool) if text is None else text.real
    if place == "mean":
        weight = real / real.sum(axis=1, keepdims=True)
    else:
        at = real.argmax(axis=1) if place == "first" else tokens - 1 - real[:, ::-1].argmax(axis=1)
        weight = np.eye(tokens)[at]
    return np.asarray(np.einsum("nq,nqk->nk", weight, relevance))


def by_part(case: Case, values: Floats) -> Floats:
    """Values of tokens (row, token) summed over each part's tokens: (row, part)."""
    index = case.features.index
    if (index != index[..., :1]).any():
        raise CapabilityError("attention is told token by token; these parts cut tokens apart. Ask a case of the text.")
    return Features(index[..., 0], case.features.names, case.features.per_row).pool(values)
