# SPDX-License-Identifier: Apache-2.0
"""A forest in which some sub-trees, or the outcomes of some splits, are constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.types import Floats
from assay.model.forests.forest import NODES, Forest

NO_CONSTANTS: Mapping[int, Floats] = {}
NO_TURNS: Mapping[int, bool] = {}


def without_parts(
    forest: Forest, *, constants: Mapping[int, Floats] = NO_CONSTANTS, turns: Mapping[int, bool] = NO_TURNS
) -> Forest:
    """The forest with a leaf of the given value (out,) in place of each sub-tree, named by its node.

    At each split of ``turns`` all rows go left (true) or right, so that this side takes its place. Nodes are numbered
    again, since some are gone.
    """
    fields = {name: np.array(getattr(forest, name)) for name in NODES}
    for node, value in constants.items():
        for name in ("left", "right", "column", "levels"):
            fields[name][node] = -1
        fields["value"][node] = value

    def remaining(node: int) -> int:
        while node in turns and fields["column"][node] >= 0:
            node = int(fields["left" if turns[node] else "right"][node])
        return node

    kept: list[int] = []
    roots: list[int] = []
    for root in forest.roots:
        roots.append(len(kept))
        waiting = [remaining(int(root))]
        while waiting:
            node = waiting.pop()
            kept.append(node)
            if fields["column"][node] >= 0:
                for side in ("right", "left"):
                    fields[side][node] = remaining(int(fields[side][node]))
                    waiting.append(int(fields[side][node]))
    place = np.full(len(forest.column), -1)
    place[kept] = np.arange(len(kept))
    here: dict[str, Any] = {name: array[kept] for name, array in fields.items()}
    for side in ("left", "right"):
        here[side] = np.where(here["column"] >= 0, place[here[side]], -1)
    return replace(forest, roots=np.array(roots, dtype=forest.roots.dtype), **here)
