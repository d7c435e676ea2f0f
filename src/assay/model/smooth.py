# SPDX-License-Identifier: Apache-2.0
"""A model averaged over noise on its input."""

from __future__ import annotations

from dataclasses import replace

from array_api_compat import array_namespace, is_torch_array

from assay.model.model import Model
from assay.nouns.rows import Rows
from assay.nouns.target import Gives, probabilities
from assay.words.digest import digest
from assay.words.errors import CapabilityError, InputError
from assay.words.seed import Seed
from assay.words.types import Array


def smoothed(model: Model, *, sigma: float, draws: int = 16, seed: Seed | None = None) -> Model:
    """The mean of the model's probabilities (a regression's values) over Gaussian noise of standard deviation ``sigma``.

    The same ``draws`` noise fields (antithetic pairs, so ``draws`` is even) are added to every row: the smoothed
    model is a deterministic function and can be explained like any other. Its gradient is the SmoothGrad of the
    original's probabilities. A certificate must draw its own, fresh noise.
    """
    if draws < 2 or draws % 2:
        raise InputError(f"draws={draws}; an even number of at least 2 is needed (antithetic pairs).")
    stream = (seed or Seed()).child("smoothed")
    gives: Gives = "values" if model.gives == "values" else "probabilities"

    def noisy(rows: Rows) -> list[Rows]:
        if rows.table is not None and rows.table.coded.any():
            raise CapabilityError("Gaussian smoothing has no meaning for columns of text or categories.")
        xp = array_namespace(rows.x)
        moved = []
        for pair in range(draws // 2):
            noise = stream.child(pair).generator().standard_normal(rows.shape) * sigma
            field = xp.asarray(noise, dtype=rows.x.dtype, device=rows.x.device) if is_torch_array(rows.x) else noise
            moved += [replace(rows, x=rows.x + field), replace(rows, x=rows.x - field)]
        return moved

    def read_probabilities(outputs: Array) -> Array:
        return outputs if model.gives == "values" else probabilities(outputs, model.gives)

    def forward(rows: Rows) -> Array:
        return sum(read_probabilities(model.forward(some)) for some in noisy(rows)) / draws

    return replace(
        model,
        forward=forward,
        slope=None,
        gives=gives,
        name=f"{model.name}, smoothed (sd {sigma:g}, {draws} draws)",
        mark=digest(model.mark, "smoothed", sigma, draws, stream.entropy),
        default_target="value" if gives == "values" else "probability",
        batch=max(1, model.batch // draws),
        remade=None,
        cut=None,
        net=None,
    )
