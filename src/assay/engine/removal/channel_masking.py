# SPDX-License-Identifier: Apache-2.0
"""The target of inputs seen through one channel of a layer at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace
from scipy.special import softmax

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.gradients.activation_maps import Maps, enlarged
from assay.engine.gradients.distributions import started
from assay.nouns.results.result import Note


def most_active(maps: Maps, count: int | None) -> tuple[Ints, tuple[Note, ...]]:
    """Channels (row, kept) with the highest mean activation, and a note if any are left out; ``None`` keeps all."""
    rows, channels = maps.activation.shape[:2]
    if count is not None and count < 1:
        raise InputError(f"channels={count}; at least 1 is needed.")
    if count is None or count >= channels:
        return np.tile(np.arange(channels), (rows, 1)), ()
    order = np.argsort(-maps.activation.mean(axis=(2, 3)), axis=1, kind="stable")[:, :count]
    return order, (Note("channels", f"the {count} most active of {channels} channels are used, each row its own"),)


def scores(case: Case, maps: Maps, chosen: Ints, start: Any) -> Floats:
    """Softmax over the channels chosen (row, kept) of the target of the input seen through each; 0 for flat ones.

    One model batch of masked inputs at a time.
    """
    origin, x = started(case, start), case.rows.x
    which, columns = np.repeat(np.arange(len(case)), chosen.shape[1]), chosen.ravel()
    found = np.empty(len(which))
    for first in range(0, len(which), max(1, case.room())):
        part = slice(first, first + max(1, case.room()))
        owners = which[part]
        mask = array_namespace(x).asarray(
            _stretched(maps.activation[owners, columns[part]], case.rows.shape), dtype=x.dtype, device=x.device
        )
        found[part] = case.value(x[owners] * mask + origin[owners] * (1 - mask), owners)
    flat = np.ptp(maps.activation.reshape(*maps.activation.shape[:2], -1), axis=2)
    flat = np.take_along_axis(flat, chosen, axis=1) == 0
    found = np.where(flat, -np.inf, found.reshape(chosen.shape))
    alive = ~flat.all(axis=1)
    weights = np.zeros(chosen.shape)
    weights[alive] = softmax(found[alive], axis=1)
    return weights


def _stretched(maps: Floats, shape: tuple[int, ...]) -> Floats:
    """Maps (mask, h, w) enlarged to pictures and stretched to [0, 1]: (mask, 1, height, width); flat ones are 0."""
    large = enlarged(maps, shape[1], shape[2])
    low, span = large.min(axis=(1, 2), keepdims=True), np.ptp(large, axis=(1, 2), keepdims=True)
    return np.divide(large - low, span, out=np.zeros_like(large), where=span > 0)[:, None]
