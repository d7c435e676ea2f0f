# SPDX-License-Identifier: Apache-2.0
"""The cooperative game behind all methods that remove features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

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
from assay.cases.answer_cache import AnswerCache, BatchCache, QueryCache
from assay.nouns.inputs.features import Features
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import predicted_class, probabilities

if TYPE_CHECKING:
    from assay.cases.fillings import Filling
    from assay.cases.removals import Removal

CACHE_SIZE = 2_000_000
"""Values that a game caches before it drops the oldest batches (about 40 bytes each at most)."""


MASK_BYTES = 2**26
"""Bytes of masks that are held at a time where rows differ in their parts."""


class GameCase(Protocol):
    """What a game needs of a ``Case``."""

    @property
    def model(self) -> Any:
        """The model, with its meter."""

    @property
    def features(self) -> Features:
        """The players."""

    @property
    def output(self) -> Floats:
        """The target (row,) at the rows themselves."""

    @property
    def sibling_targets(self) -> tuple[Any, ...]:
        """Cases of the same rows under other targets, whose games read the same passes."""

    def __len__(self) -> int:
        """The number of rows."""

    def outputs(self, x: Array, which: Ints | None = None) -> Array:
        """The model's outputs at ``x``."""

    def value(self, x: Array, which: Ints | None = None) -> Any:
        """The target at ``x``."""

    def values(self, x: Array, which: Ints, others: Any) -> Floats:
        """The target at ``x``, here and in other cases, from one pass."""

    def max_batch_rows(self) -> int:
        """How many rows fit into one pass."""


@dataclass(frozen=True, eq=False)
class Game:
    """v(S): the target with all features outside S removed, averaged over the removal's fillings.

    Values are cached, so a request that is made twice, by any method, costs nothing the second time. No value depends
    on what was requested before: requests share single values only if a row's output is the same in every batch
    (``Model.rows_exact``); of other models whole batches are found again. At most ``cache_size`` values are cached.
    With all features present the value is the target at the row itself.
    ``pooled`` games read the target from the mean of the model's outputs (class probabilities, or values) over the
    fillings, not the mean of the target: a loss is then that of the mean prediction, as in SAGE.
    """

    case: GameCase
    remove: Removal
    filling: Filling
    cache_size: int = CACHE_SIZE
    pooled: bool = False

    @cached_property
    def cache(self) -> AnswerCache:
        """The cached values."""
        if self.case.model.rows_exact:
            return QueryCache(len(self.case), self.cache_size)
        return BatchCache(self.cache_size)

    def __call__(self, which: Which, keep: Queries) -> PerQuery:
        """v for each query: row ``which`` (query,) with features ``keep`` (query, part) present."""
        keep, which = self._checked(keep), np.asarray(which, dtype=np.int64)
        if self._absent is not None:
            keep = self._with_absent_parts(which, keep)
        return self._lookup(which, keep, np.arange(len(keep)))

    def table(self, keep: MaskSet) -> PerMask:
        """v (row, mask) of the same masks (mask, part) for every row."""
        keep, rows, masks = self._checked(keep), len(self.case), len(keep)
        if self._absent is not None:
            together = max(1, MASK_BYTES // max(1, keep.size))
            blocks = [np.arange(rows)[start : start + together] for start in range(0, rows, together)]
            return np.concatenate([self._table_of(block, keep) for block in blocks])
        values = self._lookup(np.repeat(np.arange(rows), masks), keep, np.tile(np.arange(masks), rows))
        return values.reshape(rows, masks)

    def _table_of(self, rows: Ints, keep: MaskSet) -> PerMask:
        """v (row, mask) of some rows, where not every row has all parts."""
        which = np.repeat(rows, len(keep))
        return self(which, np.tile(keep, (len(rows), 1))).reshape(len(rows), len(keep))

    @cached_property
    def _absent(self) -> Masks | None:
        """The parts (row, part) that a row lacks, such as words of longer texts; ``None`` where no row lacks one."""
        features = self.case.features
        absent: Masks = np.asarray(features.sizes == 0)
        return absent if features.per_row and absent.any() else None

    def _with_absent_parts(self, which: Ints, keep: Masks) -> Masks:
        """The masks with the parts that a row does not have, so that masks with one effect are evaluated once.

        The queries that this saves count as cached.
        """
        assert self._absent is not None
        same = keep | self._absent[which]
        saved = self._count_distinct(which, keep) - self._count_distinct(which, same)
        self.case.model.meter.cached += saved * self.remove.fills * self.case.model.passes_per_row
        return np.asarray(same)

    def _count_distinct(self, which: Ints, keep: Masks) -> int:
        """The number of different queries with a feature removed."""
        rest = np.flatnonzero(~keep.all(axis=1))
        return len(np.unique(_number_masks(np.packbits(keep[rest], axis=1)) * len(self.case) + which[rest]))

    def _lookup(self, which: Ints, masks: Masks, place: Ints) -> Floats:
        """Values of the queries (row ``which``, mask ``masks[place]``); each different one is evaluated once."""
        whole: Masks = np.asarray(masks.all(axis=1))[place]
        values = np.empty(len(which))
        with self.case.model.meter.lock:
            if whole.any():
                values[whole] = self.case.output[which[whole]]
            rest = np.flatnonzero(~whole)
            packed = np.packbits(masks, axis=1)
            keys = _number_masks(packed)[place[rest]] * len(self.case) + which[rest]
            first, again = np.unique(keys, return_index=True, return_inverse=True)[1:]
            order = np.argsort(first)  # in order of first mention
            fresh = rest[first[order]]
            found = [self._batch_values(which[part], masks, packed, place[part]) for part in self._parts(fresh)]
            by_key = np.empty(len(first))
            by_key[order] = np.concatenate(found) if found else []
            values[rest] = by_key[again]
        return values

    def _parts(self, places: Ints) -> Iterator[Ints]:
        return (places[block] for block in self._blocks(len(places)))

    def _batch_values(self, which: Ints, masks: Masks, packed: np.ndarray, place: Ints) -> Floats:
        """Values of one batch of different queries, from the cache or evaluated; sibling targets cache theirs, too."""
        named = packed[place]
        values, missing = self.cache.find(which, named)
        known = len(which) - len(missing)
        self.case.model.meter.cached += known * self.remove.fills * self.case.model.passes_per_row
        if len(missing):
            games = [self, *(one.game(self.remove, pooled=self.pooled) for one in self.case.sibling_targets)]
            found = self._evaluate(which[missing], masks[place[missing]])
            for game, theirs in zip(games, found, strict=True):
                game.cache.add(which[missing], named[missing], theirs)
            values[missing] = found[0]
        return values

    def paths(self, keep: Paths) -> PerStep:
        """v (row, step) of masks (row, step, part) that differ between rows."""
        rows, steps, parts = keep.shape
        return self(np.repeat(np.arange(rows), steps), keep.reshape(-1, parts)).reshape(rows, steps)

    def outputs(self, which: Which, keep: Queries) -> PerClass:
        """Class probabilities (query, class), or a regression's values, under removal; not cached."""
        return self._mean(which, keep, self.case.model.gives in ("values", "units"))

    def decision_outputs(self, which: Which, keep: Queries) -> tuple[PerClass, OutputKind]:
        """What decides for a class under removal (query, class), and its kind; not cached.

        The mean probabilities, or the mean scores where these are no log odds or the threshold is one of the score.
        """
        kind = OutputKind.of(self.case.model.gives)
        by_score = kind in ("logits", "margin") and (kind.link == "none" or kind.of_score)
        return self._mean(which, keep, by_score), kind if by_score else kind.as_probabilities()

    def classes(self, which: Which, keep: Queries) -> Ints:
        """The class (query,) that is decided for under removal, by ``decision_outputs``; not cached."""
        return predicted_class(*self.decision_outputs(which, keep))

    def _mean(self, which: Which, keep: Queries, plain: bool) -> PerClass:
        """The mean over the fillings of the model's outputs as they are (``plain``), or as probabilities."""
        keep, which = self._checked(keep), np.asarray(which)
        if self.remove.fills == 1:  # the outputs of all batches are read at once
            found = np.concatenate(
                [
                    to_floats(self.case.outputs(filled, owners))
                    for part in self._blocks(len(which))
                    for filled, owners in self._versions(which[part], keep[part])
                ]
            )
            return found + 0.0 if plain else probabilities(found, self.case.model.gives)
        total: Floats | None = None
        for part in self._blocks(len(which)):
            rows = which[part]
            block: Floats | float = 0.0
            for filled, owners in self._versions(rows, keep[part]):
                out = to_floats(self.case.outputs(filled, owners))
                values = out if plain else probabilities(out, self.case.model.gives)
                block = block + values.reshape(-1, len(rows), values.shape[1]).sum(axis=0) / self.remove.fills
            total = np.asarray(block) if total is None else np.concatenate([total, np.asarray(block)])
        assert total is not None
        return total

    def inputs(self, which: Which, keep: Queries) -> Iterator[tuple[Ints, Array, Ints]]:
        """The filled rows of the queries, a batch at a time: the query of each row, the filled row, and its row."""
        keep, which = self._checked(keep), np.asarray(which, dtype=np.int64)
        for part in self._blocks(len(which)):
            queries = np.arange(len(which))[part]
            for filled, owners in self._versions(which[part], keep[part]):
                yield np.tile(queries, len(owners) // len(queries)), filled, owners

    @property
    def cost(self) -> int:
        """Forward passes of one mask that is not cached."""
        return self.remove.fills

    def _evaluate(self, which: Ints, keep: Masks) -> Floats:
        """Values (case, query) of this case and of its sibling targets, from the same passes."""
        cases: tuple[Any, ...] = (self.case, *self.case.sibling_targets)
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
        """Filled rows, as many versions at a time as fit into one batch, and the rows they belong to."""
        versions = self.filling.fill(which, self.case.features.expand_masks(keep, which))
        together = max(1, self.case.max_batch_rows() // len(which))
        while group := list(islice(versions, together)):
            yield (
                (group[0] if len(group) == 1 else array_namespace(group[0]).concat(group)),
                np.tile(which, len(group)),
            )

    def _blocks(self, queries: int) -> Iterator[slice]:
        """Blocks of queries that bound the memory: one model batch of filled rows at a time."""
        size = max(1, self.case.max_batch_rows())
        for start in range(0, queries, size):
            yield slice(start, start + size)

    def _checked(self, keep: Masks) -> Masks:
        keep = np.asarray(keep)
        if keep.dtype != bool or keep.ndim != 2 or keep.shape[1] != len(self.case.features):
            raise InputError(f"masks are boolean (query, {len(self.case.features)}); got {keep.dtype} {keep.shape}.")
        return keep


def _number_masks(packed: np.ndarray) -> Ints:
    """A number for each packed mask (mask, byte); equal masks have equal numbers."""
    if packed.shape[1] == 0:
        return np.zeros(len(packed), dtype=np.int64)
    texts = np.ascontiguousarray(packed).view(f"V{packed.shape[1]}")[:, 0]
    return np.asarray(np.unique(texts, return_inverse=True)[1], dtype=np.int64)
