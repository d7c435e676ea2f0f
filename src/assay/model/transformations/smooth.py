# SPDX-License-Identifier: Apache-2.0
"""Smoothing: a model averaged over Gaussian noise on its input."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import isfinite

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import CapabilityError, InputError
from assay.basics.fingerprint import digest
from assay.basics.seed import Seed
from assay.basics.types import Array
from assay.model.model import Model
from assay.model.transformations.opaque_variant import opaque_variant
from assay.nouns.inputs.output_kind import Gives
from assay.nouns.inputs.rows import Rows
from assay.nouns.inputs.target import probabilities


def smooth(model: Model, *, sigma: float, draws: int = 16, seed: Seed | None = None) -> Model:
    """The mean of the model's probabilities (a regression's values) over Gaussian noise on its input.

    ``sigma`` is the noise's standard deviation, in the units of the rows. The same ``draws`` noise vectors (antithetic
    pairs, so ``draws`` is even) are added to every row, so the smoothed model is a deterministic function and can be
    explained like any other. Its gradient is the mean of the original's gradients (of probabilities, or of values) at
    the noisy rows: SmoothGrad with these draws. One row costs ``draws`` passes of the original, which are all counted.
    A certificate must draw its own, independent noise.
    """
    if not (isfinite(sigma) and sigma > 0):
        raise InputError(f"sigma={sigma}; a standard deviation above 0, in the units of the rows, is needed.")
    if draws < 2 or draws % 2:
        raise InputError(f"draws={draws}; an even number of at least 2 is needed (antithetic pairs).")
    stream = (seed or Seed()).child("smoothed")
    is_raw = not model.kind.is_classifier
    gives: Gives = model.kind if is_raw else model.kind.as_probabilities().but(decides=True)

    def noisy(x: Array) -> Iterator[Array]:
        xp = array_namespace(x)
        for pair in range(draws // 2):
            noise = stream.child(pair).generator().standard_normal(tuple(x.shape[1:])) * sigma
            vector = xp.asarray(noise, dtype=x.dtype, device=x.device) if is_torch_array(x) else noise
            yield x + vector
            yield x - vector

    def forward(rows: Rows) -> Array:
        if rows.table is not None and rows.table.coded.any():
            raise CapabilityError("Gaussian smoothing is undefined for columns of text or categories.")
        xp, points, total = array_namespace(rows.x), noisy(rows.x), 0.0
        # one batch of the original contains as many noisy copies of the rows as fit
        while group := list(islice(points, max(1, model.batch // len(rows)))):
            owners = np.tile(np.arange(len(rows)), len(group))
            outputs = model.forward(rows.with_inputs(xp.concat(group), owners))
            outputs = outputs.double() if is_torch_array(outputs) else outputs
            read = outputs if is_raw else probabilities(outputs, model.gives)
            total = total + xp.reshape(read, (len(group), len(rows), *read.shape[1:])).sum(0)
        return total / draws

    def gradient(x: Array) -> Array:
        assert model.closed_form_gradient is not None
        return sum(model.closed_form_gradient(point) for point in noisy(x)) / draws

    return opaque_variant(
        model,
        forward,
        f"{model.name}, smoothed (sd {sigma:g}, {draws} draws)",
        digest(model.fingerprint, "smoothed", sigma, draws, stream.entropy),
        again=lambda other: smooth(other, sigma=sigma, draws=draws, seed=seed),
        closed_form_gradient=None if model.closed_form_gradient is None else gradient,
        gives=gives,
        default_target="value" if gives == "values" else "probability",
        batch=max(1, model.batch // draws),
        passes_per_row=model.passes_per_row * draws,
    )
