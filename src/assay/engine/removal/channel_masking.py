# SPDX-License-Identifier: Apache-2.0
"""The target of inputs masked by one activation map at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace
from scipy.special import softmax

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.gradients.activation_maps import ActivationMaps, upsample
from assay.engine.gradients.distributions import broadcast_start
from assay.nouns.results.result import Note


def most_active_channels(maps: ActivationMaps, count: int | None) -> tuple[Ints, tuple[Note, ...]]:
    """Channels (row, channel) of highest mean activation, and a note if any are left out; ``None`` selects all."""
    rows, channels = maps.activation.shape[:2]
    if count is not None and count < 1:
        raise InputError(f"channels={count}; at least 1 is needed.")
    if count is None or count >= channels:
        return np.tile(np.arange(channels), (rows, 1)), ()
    order = np.argsort(-maps.activation.mean(axis=maps.position_axes), axis=1, kind="stable")[:, :count]
    return order, (Note("channels", f"each row uses its {count} most active of {channels} channels"),)


def channel_weights(case: Case, maps: ActivationMaps, chosen: Ints, start: Any) -> Floats:
    """Softmax (row, channel) over the chosen channels of the target of the input masked by each map.

    0 for constant maps. The masked inputs are evaluated one model batch at a time.
    """
    origin, x = broadcast_start(case, start), case.rows.x
    which, columns = np.repeat(np.arange(len(case)), chosen.shape[1]), chosen.ravel()
    target = np.empty(len(which))
    for first in range(0, len(which), max(1, case.max_batch_rows())):
        batch = slice(first, first + max(1, case.max_batch_rows()))
        owners = which[batch]
        mask = array_namespace(x).asarray(
            _scale(maps.activation[owners, columns[batch]], case.rows.shape, maps.input_axis),
            dtype=x.dtype,
            device=x.device,
        )
        target[batch] = case.value(x[owners] * mask + origin[owners] * (1 - mask), owners)
    flat = np.ptp(maps.activation.reshape(*maps.activation.shape[:2], -1), axis=2)
    flat = np.take_along_axis(flat, chosen, axis=1) == 0
    target = np.where(flat, -np.inf, target.reshape(chosen.shape))
    defined = ~flat.all(axis=1)
    weights = np.zeros(chosen.shape)
    weights[defined] = softmax(target[defined], axis=1)
    return weights


def _scale(maps: Floats, shape: tuple[int, ...], channel_axis: int) -> Floats:
    """Maps (mask, *positions) enlarged to the input and scaled to [0, 1], one channel; constant maps are 0."""
    large = upsample(maps, (*shape[:channel_axis], *shape[channel_axis + 1 :]))
    axes = tuple(range(1, large.ndim))
    low, span = large.min(axis=axes, keepdims=True), np.ptp(large, axis=axes, keepdims=True)
    scaled = np.divide(large - low, span, out=np.zeros_like(large), where=span > 0)
    return np.expand_dims(scaled, channel_axis + 1)
