# SPDX-License-Identifier: Apache-2.0
"""Gaussian noise scaled to each row's range, for methods that average over noisy copies."""

from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.cases.case import Case
from assay.engine.gradients.distributions import Gaussian
from assay.nouns.inputs.frames import list_first
from assay.nouns.inputs.number_checks import require_number
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Note


def noisy_copies(case: Case, noise: float, draws: int) -> tuple[Gaussian, tuple[Note, ...]]:
    """Gaussian copies with σ = ``noise`` · (max − min) of each row's elements; rows of equal elements get a note.

    Elements outside all features (padding, special tokens) do not count.
    """
    require_number("noise", noise, least=0, meaning="a fraction of the row's range")
    x = case.rows.x
    xp = array_namespace(x)
    flat = xp.reshape(x, (len(case), -1))
    in_feature = np.broadcast_to(case.features.index >= 0, (len(case), *case.rows.shape)).reshape(len(case), -1)
    mask = xp.asarray(np.array(in_feature), device=x.device) if is_torch_array(x) else in_feature
    spread = xp.max(xp.where(mask, flat, -np.inf), axis=1) - xp.min(xp.where(mask, flat, np.inf), axis=1)
    sigma = xp.reshape(noise * spread, (-1, *(1,) * len(case.rows.shape)))
    constant = np.flatnonzero(to_floats(spread) == 0)
    if not len(constant):
        return Gaussian(sigma, draws), ()
    text = f"no noise for {len(constant)} row(s) whose elements are all equal: {list_first(constant)}"
    return Gaussian(sigma, draws), (Note("no-noise", text, tuple(case.rows.ids[i] for i in constant)),)
