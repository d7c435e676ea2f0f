# SPDX-License-Identifier: Apache-2.0
"""The German credit table as numbers for a net: text columns as 0/1, each column of the table a feature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.basics.types import Floats, Ints
from assay.data import german_credit
from assay.nouns.inputs.features import Features


@dataclass(frozen=True, eq=False)
class EncodedTable:
    """Rows (row, element), classes (row,), and the feature of each element."""

    x: Floats
    y: Ints
    features: Features


def encoded_credit() -> EncodedTable:
    """Numbers are standardised over all rows; a text column becomes one 0/1 column for each of its levels."""
    table = german_credit()
    labels = np.array([level == "bad" for level in table.pop("credit")], dtype=np.int64)
    blocks, index = [], []
    for place, column in enumerate(table.values()):
        values = np.asarray(column)
        if values.dtype.kind in "iu":
            block = ((values - values.mean()) / values.std())[:, None]
        else:
            block = (values[:, None] == np.unique(values)).astype(np.float64)
        blocks.append(block)
        index += [place] * block.shape[1]
    return EncodedTable(
        np.concatenate(blocks, axis=1).astype(np.float32), labels, Features(np.array(index), tuple(table))
    )
