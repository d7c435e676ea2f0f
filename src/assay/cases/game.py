# SPDX-License-Identifier: Apache-2.0
"""The cooperative game that explaining, testing and certifying by removal share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from array_api_compat import array_namespace

from assay.nouns.rows import to_floats
from assay.nouns.target import probabilities
from assay.words.errors import InputError
from assay.words.types import (
    Array,
    Floats,
    Ints,
    Masks,
    MaskSet,
    Paths,
    PerClass,
    PerMask,
    PerQuery,
    PerStep,
    Queries,
    Which,
)

if TYPE_CHECKING:
    from assay.cases.case import Case
    from assay.cases.fillings import Filling
    from assay.cases.removals import Removal

MEMORY = 2_000_000
"""Answers a game remembers before it forgets the oldest (about 150 bytes each)."""


@dataclass(frozen=True, eq=False)
class Game:
    """v(S): the target with all parts outside S removed, averaged over the removal's fillings.

    Answers are remembered by row and mask, so a mask asked twice, by whichever method, costs the model nothing the
    second time. With all parts kept the answer is the target at the row itself. At most ``memory`` answers are kept.
    ``pooled`` games read the target from the mean of the model's outputs (class probabilities, or values) over the
    fillings, not the mean of the target: a loss is then that of the mean prediction, as SAGE has it.
    """

    case: Case
    remove: Removal
    filling: Filling
    memory: int = MEMORY
    pooled: bool = False
    known: OrderedDict[tuple[int, bytes], float] = field(default_factory=OrderedDict, init=False, repr=False)

    def __call__(self, which: Which, keep: Queries) -> PerQuery:
        """v for each query: row ``which`` (query,) with parts ``keep`` (query, part)."""
        keep, which = self._checked(keep), np.asarray(which)
        keys = [(int(row), mask.tobytes()) for row, mask in zip(which, np.packbits(keep, axis=1))]
        first: dict[tuple[int, bytes], int] = {}
        for position, key in enumerate(keys):
            first.setdefault(key, position)
        fresh = {key: position for key, position in first.items() if key not in self.known}
        places = np.fromiter(fresh.values(), dtype=np.int64)
        answers = dict(zip(fresh, self._ask(which, keep, places)))
        saved = self._dear(keep, np.fromiter(first.values(), dtype=np.int64)) - self._dear(keep, places)
        self.case.model.meter.remembered += saved * self.remove.fills * self.case.model.passes
        values = np.array([answers[key] if key in answers else self.known[key] for key in keys])
        self._remember(answers)
        return values

    def table(self, keep: MaskSet) -> PerMask:
        """v of the same masks (mask, part) for every row: (row, mask)."""
        rows, masks = len(self.case), len(keep)
        which = np.repeat(np.arange(rows), masks)
        return self(which, np.tile(keep, (rows, 1))).reshape(rows, masks)

    def paths(self, keep: Paths) -> PerStep:
        """v of masks (row, step, part) of each row's own: (row, step)."""
        rows, steps, parts = keep.shape
        return self(np.repeat(np.arange(rows), steps), keep.reshape(-1, parts)).reshape(rows, steps)

    def outputs(self, which: Which, keep: Queries) -> PerClass:
        """Class probabilities (query, class), or a regression's values, under removal; not remembered."""
        keep, which = self._checked(keep), np.asarray(which)
        total: Floats | None = None
        for part in self._blocks(len(which)):
            rows = which[part]
            block: Floats | float = 0.0
            for filled, owners in self._versions(rows, keep[part]):
                out = to_floats(self.case.outputs(filled, owners))
                values = (
                    out if self.case.model.gives in ("values", "units") else probabilities(out, self.case.model.gives)
                )
                block = block + values.reshape(-1, len(rows), values.shape[1]).sum(axis=0) / self.remove.fills
            total = np.asarray(block) if total is None else np.concatenate([total, np.asarray(block)])
        assert total is not None
        return total

    @property
    def cost(self) -> int:
        """Forward passes one fresh mask costs."""
        return self.remove.fills

    def answers(self, since: int = 0) -> dict[str, np.ndarray]:
        """What is remembered, oldest first and without the first ``since``: rows, packed masks and values."""
        keys = list(islice(self.known, since, None))
        masks = np.frombuffer(b"".join(mask for _, mask in keys), dtype=np.uint8)
        return {
            "rows": np.array([row for row, _ in keys], dtype=np.int64),
            "masks": masks.reshape(len(keys), -1 if keys else 0),
            "values": np.array([self.known[key] for key in keys]),
        }

    def learn(self, answers: Mapping[str, np.ndarray]) -> None:
        """Remember ``answers`` given before, by this game in another process."""
        masks = np.ascontiguousarray(answers["masks"])
        keys = [(int(row), mask.tobytes()) for row, mask in zip(answers["rows"], masks)]
        self._remember(dict(zip(keys, answers["values"].tolist())))

    def _ask(self, which: Ints, keep: Masks, fresh: Ints) -> Floats:
        values = np.empty(len(fresh))
        whole = keep[fresh].all(axis=1)
        if whole.any():
            values[whole] = self.case.output[which[fresh[whole]]]
        rest = np.flatnonzero(~whole)
        for part in self._blocks(len(rest)):
            asked = fresh[rest[part]]
            if self.pooled:
                mean = self.outputs(which[asked], keep[asked])
                values[rest[part]] = self.case.read(mean, which[asked])
                continue
            sums = np.zeros(len(asked))
            for filled, owners in self._versions(which[asked], keep[asked]):
                sums += self.case.value(filled, owners).reshape(-1, len(asked)).sum(axis=0)
            values[rest[part]] = sums / self.remove.fills
        return values

    def _versions(self, which: Ints, keep: Masks) -> Iterator[tuple[Array, Ints]]:
        """Filled rows, as many versions at a time as fit one model batch, and whose they are."""
        versions = self.filling.fill(which, self.case.features.spread(keep, which))
        together = max(1, self.case.room() // len(which))
        while group := list(islice(versions, together)):
            yield (
                (group[0] if len(group) == 1 else array_namespace(group[0]).concat(group)),
                np.tile(which, len(group)),
            )

    def _blocks(self, queries: int) -> Iterator[slice]:
        """Blocks of queries that bound the memory: one model batch of filled rows at a time."""
        size = max(1, self.case.room())
        for start in range(0, queries, size):
            yield slice(start, start + size)

    @staticmethod
    def _dear(keep: Masks, places: Ints) -> int:
        """How many of these masks ask the model: with all parts kept the answer is known."""
        return int((~keep[places].all(axis=1)).sum())

    def _checked(self, keep: Masks) -> Masks:
        keep = np.asarray(keep)
        if keep.dtype != bool or keep.ndim != 2 or keep.shape[1] != len(self.case.features):
            raise InputError(f"masks are boolean (query, {len(self.case.features)}); got {keep.dtype} {keep.shape}.")
        return keep

    def _remember(self, answers: dict[tuple[int, bytes], float]) -> None:
        self.known.update(answers)
        while len(self.known) > self.memory:
            self.known.popitem(last=False)
