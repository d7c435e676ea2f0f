# SPDX-License-Identifier: Apache-2.0
"""A model that shows its probabilities in steps only."""

from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import CapabilityError, InputError
from assay.basics.fingerprint import digest
from assay.basics.types import Array, Floats
from assay.model.model import Model
from assay.model.transformations.opaque_variant import opaque_variant
from assay.nouns.inputs.rows import Rows, to_double, to_floats
from assay.nouns.inputs.target import probabilities


def round_probabilities(model: Model, unit: float = 0.05) -> Model:
    """The classifier with its probabilities as multiples of ``unit``, which still sum to 1: 1 / unit is whole.

    Each probability is rounded down, and the units that are left are given to the largest remainders; labels that do
    not exclude each other are rounded to the nearest multiple. The result has no gradient and shows no weights.
    ``CapabilityError`` for a regression.
    """
    if not model.kind.is_classifier:
        raise CapabilityError(f"rounding needs a classifier; {model.name} gives {model.gives}.")
    units = round(1 / unit) if 0 < unit <= 0.5 else 0
    if not units or abs(units * unit - 1) > 1e-9:
        raise InputError(f"unit={unit}; needed is a number up to 0.5 that divides 1, such as 0.1, 0.05 or 0.01.")
    gives = model.kind.as_probabilities()

    def forward(rows: Rows) -> Array:
        out = model.forward(rows)
        found = to_floats(probabilities(to_double(out), model.gives))
        rounded = _apportioned(found, units) if model.kind.exclusive else np.round(found * units) / units
        if not is_torch_array(out):
            return rounded
        return array_namespace(out).asarray(rounded, dtype=out.dtype, device=out.device)

    return opaque_variant(
        model,
        forward,
        f"{model.name}, probabilities in steps of {unit:g}",
        digest(model.fingerprint, "rounded", units),
        lambda other: round_probabilities(other, unit),
        gives=gives,
        differentiable=False,
        default_target="probability",
    )


def _apportioned(values: Floats, units: int) -> Floats:
    """Each row in whole units that sum to ``units``, by largest remainders; ties go to the first class."""
    scaled = values / values.sum(axis=1, keepdims=True) * units
    whole = np.floor(scaled + 1e-9)
    left = np.round(units - whole.sum(axis=1)).astype(np.int64)
    order = np.argsort(whole - scaled, axis=1, kind="stable")
    ranks = np.argsort(order, axis=1, kind="stable")
    return np.asarray((whole + (ranks < left[:, None])) / units)
