# SPDX-License-Identifier: Apache-2.0
"""Expectation over transformations (EOT): a model averaged over random transformations of its input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from array_api_compat import is_torch_array

from assay.basics.errors import CapabilityError, InputError
from assay.basics.fingerprint import digest
from assay.basics.seed import Seed
from assay.basics.types import Array
from assay.model.model import Model
from assay.model.state_fingerprint import read_state
from assay.model.transformations.opaque_variant import opaque_variant
from assay.nouns.inputs.output_kind import Gives
from assay.nouns.inputs.rows import Rows
from assay.nouns.inputs.target import probabilities

Transform = Callable[[Array, np.random.Generator], Array]
"""A random transformation of rows (row, *shape): what it draws comes from the generator, the same for all rows."""


def expectation_over_transformations(
    model: Model, transforms: Transform, draws: int = 16, *, seed: Seed | None = None
) -> Model:
    """The mean of the model's probabilities (a regression's values) over random transformations of its input.

    ``transforms(x, generator)`` returns the rows transformed once. Draw k gets the same generator for every row and in
    every call, so that the mean is a deterministic function; its gradient is the mean of the gradients (Athalye,
    Engstrom, Ilyas and Kwok 2018). So defences that randomise the input are attacked in expectation: let them be the
    transformation. One row costs ``draws`` passes of the original, which are all counted.
    """
    if draws < 1:
        raise InputError(f"draws={draws}; at least 1 is needed.")
    stream = (seed or Seed()).child("transformations")
    is_raw = not model.kind.is_classifier
    gives: Gives = model.kind if is_raw else model.kind.as_probabilities().but(decides=True)

    def forward(rows: Rows) -> Array:
        if rows.table is not None and rows.table.coded.any():
            raise CapabilityError("transformations are undefined for columns of text or categories.")
        total = 0.0
        for number in range(draws):
            outputs = model.forward(replace(rows, x=transforms(rows.x, stream.child(number).generator())))
            outputs = outputs.double() if is_torch_array(outputs) else outputs
            total = total + (outputs if is_raw else probabilities(outputs, model.gives))
        return total / draws

    around = read_state(transforms, None)
    return opaque_variant(
        model,
        forward,
        f"{model.name}, mean over {draws} transformations",
        digest(model.fingerprint, "transformations", around.digest, draws, stream.entropy),
        again=lambda other: expectation_over_transformations(other, transforms, draws, seed=seed),
        gives=gives,
        partial_fingerprint=model.partial_fingerprint or bool(around.unread),
        default_target="value" if gives == "values" else "probability",
        batch=max(1, model.batch // draws),
        passes_per_row=model.passes_per_row * draws,
    )
