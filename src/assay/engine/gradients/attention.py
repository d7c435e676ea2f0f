# SPDX-License-Identifier: Apache-2.0
"""Attention matrices of a case, the position the output is read from, sums over features, and the methods' warning."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.model.attention import attention_gradient_model, attention_model
from assay.nouns.inputs.features import Features
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Note

ReadPosition = Literal["first", "last", "mean"]

WARNING = Note(
    "attention",
    "attention is not explanation (Jain and Wallace 2019): the output need not depend on tokens with high attention. "
    "Compare with a method that evaluates the model",
)
"""Note of every attention method."""


def attention(case: Case) -> Floats:
    """The attention matrices (row, layer, head, query, key); one forward pass."""
    return to_floats(replace(case, model=attention_model(case.model)).outputs(case.rows.x))


def attention_with_gradient(case: Case) -> tuple[Floats, Floats]:
    """The matrices A and the gradients ∂f/∂A, both (row, layer, head, query, key); one forward and backward pass."""
    found = replace(case, model=attention_gradient_model(case.model)).layer_gradient(case.rows.x, "attention")
    return to_floats(found.activation), to_floats(found.gradient)


def select_position(case: Case, relevance: Floats, read: ReadPosition | None) -> Floats:
    """The query line (row, key) of each row's matrix (row, query, key) at the position the output is read from.

    ``None`` takes the position recorded in the model's description. The mean is over real tokens, special ones
    included.
    """
    position = case.model.about.get("read") if read is None else read
    if position not in ("first", "last", "mean"):
        raise InputError(
            f'read={read!r}: say which position the output of {case.model.name} is read from: read="first" (a class '
            f'token), "last" (a language model) or "mean" (pooled).'
        )
    tokens = relevance.shape[1]
    text = case.rows.text
    real = np.ones((len(case), tokens), dtype=bool) if text is None else text.real
    if position == "mean":
        weight = real / real.sum(axis=1, keepdims=True)
    else:
        at = real.argmax(axis=1) if position == "first" else tokens - 1 - real[:, ::-1].argmax(axis=1)
        weight = np.eye(tokens)[at]
    return np.asarray(np.einsum("nq,nqk->nk", weight, relevance))


def sum_by_part(case: Case, values: Floats) -> Floats:
    """Values of tokens (row, token) summed over each feature's tokens: (row, part)."""
    index = case.features.index
    if (index != index[..., :1]).any():
        raise CapabilityError("attention has one value per token; these features split tokens. Use a case of the text.")
    return Features(index[..., 0], case.features.names, case.features.per_row).pool(values)
