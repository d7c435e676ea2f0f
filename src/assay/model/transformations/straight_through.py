# SPDX-License-Identifier: Apache-2.0
"""A straight-through estimator (BPDA): a preprocessing step whose derivative is taken to be the identity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from array_api_compat import is_torch_array

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.basics.types import Array
from assay.model.model import Model
from assay.model.state_fingerprint import read_state
from assay.model.transformations.opaque_variant import opaque_variant
from assay.nouns.inputs.rows import Rows


def straight_through(model: Model, preprocess: Callable[[Array], Array]) -> Model:
    """The model after ``preprocess``, with gradients as if it were not there.

    Forward it is model(preprocess(x)), exactly; backward the derivative of ``preprocess`` is replaced by the identity
    (BPDA; Athalye, Carlini and Wagner 2018). So models whose input is quantised, compressed or clamped, and whose own
    gradient is zero, can be attacked. ``preprocess`` maps rows (row, *shape) to rows of the same shape. Gradients of
    such a model are not derivatives of its outputs: use it to attack, not to explain. One pass costs what it did.
    """

    def forward(rows: Rows) -> Array:
        x = rows.x
        inner = preprocess(x.detach() if is_torch_array(x) else x)
        if tuple(inner.shape) != tuple(x.shape):
            raise InputError(
                f"preprocess returned shape {tuple(inner.shape)} for rows of shape {tuple(x.shape)}; a "
                f"straight-through estimator needs the same shape."
            )
        if is_torch_array(x):
            inner = inner.detach().to(x.dtype) + (x - x.detach())  # exactly the value of preprocess, the slope of x
        return model.forward(replace(rows, x=inner))

    around = read_state(preprocess, None)
    return opaque_variant(
        model,
        forward,
        f"{model.name}, straight through",
        digest(model.fingerprint, "straight-through", around.digest),
        again=lambda other: straight_through(other, preprocess),
        partial_fingerprint=model.partial_fingerprint or bool(around.unread),
    )
