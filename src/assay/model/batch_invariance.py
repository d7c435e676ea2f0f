# SPDX-License-Identifier: Apache-2.0
"""Whether the output of a row has the same bytes in every batch, whatever its position and the other rows."""

from __future__ import annotations

import numpy as np

from assay.model.model import Model
from assay.nouns.inputs.rows import Rows, to_numpy

ROWS = 8
"""Rows of the batch that is evaluated again in other orders and sizes."""

SHIFTS = (1, 2, 3)
SIZES = (1, 2, 3, 5)
TILES = 5


def is_batch_invariant(model: Model, rows: Rows) -> bool:
    """Whether batches of other sizes and orders give each row the same bytes; found once for each model.

    Matrix products add up in an order that depends on the size of the batch and on the row's position, so that nets,
    and linear models, answer differently in the last digits. Nets are taken to do so without a trial. The passes of the
    trial are not counted.
    """
    known = model.meter.batch_invariant
    if model.fingerprint not in known:
        known[model.fingerprint] = model.namespace != "torch" and _is_invariant(model, rows)
    return known[model.fingerprint]


def _is_invariant(model: Model, rows: Rows) -> bool:
    which = np.resize(np.arange(min(ROWS, len(rows))), ROWS)
    places = np.arange(ROWS)
    orders = [np.roll(places, shift) for shift in SHIFTS] + [places[:size] for size in SIZES]
    together = to_numpy(model.values(rows.take(which)))
    return all(
        to_numpy(model.values(rows.take(which[order]))).tobytes() == together[order].tobytes()
        for order in [*orders, np.tile(places, TILES)]
    )
