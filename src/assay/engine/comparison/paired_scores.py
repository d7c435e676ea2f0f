# SPDX-License-Identifier: Apache-2.0
"""Settings of a comparison of methods on paired rows, shared by all its scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations

from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints


@dataclass(frozen=True, eq=False)
class PairedScores:
    """Methods, the roles of references, and how pairs are tested. ``clusters=None``: rows are independent."""

    methods: tuple[str, ...]
    references: Mapping[str, str]
    margin: float | Mapping[str, float] | None
    share: float | None
    clusters: Ints | None
    test: Callable[..., Floats]
    level: float
    draws: int
    seed: Seed

    @property
    def ranked(self) -> list[int]:
        """Indices of the methods that are not references."""
        references = set(self.references.values())
        return [i for i, method in enumerate(self.methods) if method not in references]

    @property
    def compared(self) -> list[tuple[int, int]]:
        """Pairs of method indices, of which at least one is not a reference."""
        ranked = set(self.ranked)
        return [(i, j) for i, j in combinations(range(len(self.methods)), 2) if {i, j} & ranked]
