# SPDX-License-Identifier: Apache-2.0
"""Noise of a size that fits each row, for methods that average over noisy copies."""

from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.gradients.distributions import Gaussian
from assay.nouns.inputs.frames import some
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Note


def around(case: Case, noise: float, draws: int) -> tuple[Gaussian, tuple[Note, ...]]:
    """Gaussian copies with σ = ``noise`` · (max − min) of each row's elements; rows of equal elements get a note.

    Elements of no part (padding, special tokens) do not count.
    """
    if noise < 0:
        raise InputError(f"noise={noise}; a fraction of the row's range is at least 0.")
    x = case.rows.x
    xp = array_namespace(x)
    flat = xp.reshape(x, (len(case), -1))
    counted = np.broadcast_to(case.features.index >= 0, (len(case), *case.rows.shape)).reshape(len(case), -1)
    held = xp.asarray(np.array(counted), device=x.device) if is_torch_array(x) else counted
    spread = xp.max(xp.where(held, flat, -np.inf), axis=1) - xp.min(xp.where(held, flat, np.inf), axis=1)
    sigma = xp.reshape(noise * spread, (-1, *(1,) * len(case.rows.shape)))
    still = np.flatnonzero(to_floats(spread) == 0)
    if not len(still):
        return Gaussian(sigma, draws), ()
    text = f"no noise for {len(still)} rows whose elements are all equal: {some(still)}"
    return Gaussian(sigma, draws), (Note("no-noise", text, tuple(case.rows.ids[i] for i in still)),)
