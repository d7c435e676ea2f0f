# SPDX-License-Identifier: Apache-2.0
"""What all scores of one comparison of methods share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations

from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints


@dataclass(frozen=True, eq=False)
class PairedScores:
    """Methods, who of them are references, and how pairs are judged. Without ``clusters`` rows stand for themselves."""

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
        """Places of the methods that are no references."""
        played = set(self.references.values())
        return [i for i, method in enumerate(self.methods) if method not in played]

    @property
    def compared(self) -> list[tuple[int, int]]:
        """Pairs of methods, at least one of them no reference."""
        ranked = set(self.ranked)
        return [(i, j) for i, j in combinations(range(len(self.methods)), 2) if {i, j} & ranked]
