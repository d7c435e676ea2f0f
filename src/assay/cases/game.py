# SPDX-License-Identifier: Apache-2.0
"""The cooperative game that explaining, testing and certifying by removal share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from array_api_compat import array_namespace

from assay.basics.errors import InputError
from assay.basics.types import (
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
from assay.cases.answer_cache import AnswerCache
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import probabilities

if TYPE_CHECKING:
    from assay.cases.case import Case
    from assay.cases.fillings import Filling
    from assay.cases.removals import Removal

MEMORY = 2_000_000
"""Answers a game remembers before it forgets the oldest (about 40 bytes each, and the masks)."""


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

    @cached_property
    def known(self) -> AnswerCache:
        """The answers so far."""
        return AnswerCache(len(self.case), self.memory)

    def __call__(self, which: Which, keep: Queries) -> PerQuery:
        """v for each query: row ``which`` (query,) with parts ``keep`` (query, part)."""
        keep, which = self._checked(keep), np.asarray(which, dtype=np.int64)
        keys = self.known.numbered(keep) * self.known.rows + which
        return self._answered(keys, np.asarray(keep.all(axis=1)), lambda places: (which[places], keep[places]))

    def table(self, keep: MaskSet) -> PerMask:
        """v of the same masks (mask, part) for every row: (row, mask)."""
        keep, rows, masks = self._checked(keep), len(self.case), len(keep)
        numbers = np.tile(self.known.numbered(keep), rows)
        which = np.repeat(np.arange(rows), masks)
        whole = np.tile(keep.all(axis=1), rows)
        values = self._answered(
            numbers * self.known.rows + which, whole, lambda places: (which[places], keep[places % max(masks, 1)])
        )
        return values.reshape(rows, masks)

    def _answered(self, keys: Ints, whole: Masks, queries: Callable[[Ints], tuple[Ints, Masks]]) -> Floats:
        """Answers by key; each different key that is not known is asked once, in order of first mention."""
        found = self.known.find(keys)
        missing = np.flatnonzero(found < 0)
        fresh = missing[np.sort(np.unique(keys[missing], return_index=True)[1])]
        which, keep = queries(fresh)
        answers = self._ask(which, keep)
        different = np.flatnonzero((found >= 0) & ~whole)
        remembered = np.sort(keys[different])  # with all parts kept the answer is known anyway
        saved = len(remembered) and 1 + int(np.count_nonzero(np.diff(remembered)))
        self.case.model.meter.remembered += saved * self.remove.fills * self.case.model.passes
        values = np.empty(len(keys))
        values[found >= 0] = self.known.values[found[found >= 0]]
        order = np.argsort(keys[fresh])
        values[missing] = answers[order[np.searchsorted(keys[fresh][order], keys[missing])]]
        self.known.add(keys[fresh], answers)
        return values

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

    def inputs(self, which: Which, keep: Queries) -> Iterator[tuple[Ints, Array, Ints]]:
        """What the model would be given, a batch at a time: the query of each row, the filled rows, whose they are."""
        keep, which = self._checked(keep), np.asarray(which, dtype=np.int64)
        for part in self._blocks(len(which)):
            queries = np.arange(len(which))[part]
            for filled, owners in self._versions(which[part], keep[part]):
                yield np.tile(queries, len(owners) // len(queries)), filled, owners

    @property
    def cost(self) -> int:
        """Forward passes one fresh mask costs."""
        return self.remove.fills

    @property
    def made(self) -> int:
        """How many answers it holds."""
        return len(self.known)

    def answers(self, since: int = 0) -> dict[str, np.ndarray]:
        """What is remembered, oldest first and without the first ``since``: rows, packed masks and values."""
        kept = slice(self.known.gone + since, self.known.count)
        keys = self.known.keys[kept]
        numbers, places = np.unique(keys // self.known.rows, return_inverse=True)
        packed = b"".join(self.known.masks[number] for number in numbers.tolist())
        masks = np.frombuffer(packed, dtype=np.uint8).reshape(len(numbers), -1 if len(numbers) else 0)
        return {"rows": keys % self.known.rows, "masks": masks[places], "values": self.known.values[kept].copy()}

    def learn(self, answers: Mapping[str, np.ndarray]) -> None:
        """Remember ``answers`` given before, by this game in another process."""
        keys = self.known.numbered_bytes(np.asarray(answers["masks"])) * self.known.rows + answers["rows"]
        fresh = np.sort(np.unique(keys, return_index=True)[1])
        fresh = fresh[self.known.find(keys[fresh]) < 0]
        self.known.add(keys[fresh], np.asarray(answers["values"], dtype=np.float64)[fresh])

    def _ask(self, which: Ints, keep: Masks) -> Floats:
        values = np.empty(len(which))
        whole = keep.all(axis=1)
        if whole.any():
            values[whole] = self.case.output[which[whole]]
        rest = np.flatnonzero(~whole)
        others = [one.game(self.remove, pooled=self.pooled) for one in self.case.sibling_targets]
        for part in self._blocks(len(rest)):
            asked = rest[part]
            found = self._told(which[asked], keep[asked])
            values[asked] = found[0]
            for other, theirs in zip(others, found[1:]):
                masks = np.packbits(keep[asked], axis=1)
                other.learn({"rows": which[asked], "masks": masks, "values": theirs})
        return values

    def _told(self, which: Ints, keep: Masks) -> Floats:
        """Fresh answers (case, query), of this case and of those in its company, from the same passes."""
        cases = (self.case, *self.case.sibling_targets)
        if self.pooled:
            mean = self.outputs(which, keep)
            return np.stack([case.read(mean, which) for case in cases])
        sums = np.zeros((len(cases), len(which)))
        for filled, owners in self._versions(which, keep):
            if len(cases) == 1:
                found = self.case.value(filled, owners)[None]
            else:
                found = self.case.values(filled, owners, cases[1:])
            sums += found.reshape(len(cases), -1, len(which)).sum(axis=1)
        return np.asarray(sums / self.remove.fills)

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

    def _checked(self, keep: Masks) -> Masks:
        keep = np.asarray(keep)
        if keep.dtype != bool or keep.ndim != 2 or keep.shape[1] != len(self.case.features):
            raise InputError(f"masks are boolean (query, {len(self.case.features)}); got {keep.dtype} {keep.shape}.")
        return keep
