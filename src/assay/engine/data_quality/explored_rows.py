# SPDX-License-Identifier: Apache-2.0
"""Training rows and held-out rows as exploration reads them, and which of them are copies of each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.read_inputs import texts
from assay.engine.data_quality.near_duplicates import NEIGHBOURS, near_duplicates
from assay.engine.data_quality.near_texts import similar_pairs
from assay.engine.data_quality.out_of_fold import scaled_features
from assay.engine.data_quality.training_labels import group_columns, labels_without_outputs
from assay.engine.retraining.labelled_rows import read_like
from assay.engine.retraining.split_statistics import SplitData, is_few_valued, split_data
from assay.nouns.inputs.frames import index_of, is_frame
from assay.nouns.inputs.rows import Rows, to_floats

MOST_QUERIES, MOST_TEXTS = 4000, 20_000
"""Rows of each side whose neighbours are searched, and texts that are compared; of more, so many are drawn."""

Pair = tuple[int, int, float]
"""Positions of a row and of its copy, and how near they are."""


@dataclass(frozen=True, eq=False)
class ExploredRows:
    """Both sides with labels as class positions (row,), a regression's as quarters; ``ids`` of the training rows.

    ``split`` holds the columns of tables, ``missing`` (row, column) the gaps of the training rows; ``features`` (row,
    column) are in one scaling, held-out rows first. ``sources`` are the texts of both sides, held-out ones first.
    """

    case: Case
    true: Ints
    labels: Ints
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    groups: Mapping[str, Sequence[str]]
    seed: Seed
    split: SplitData | None
    missing: Masks
    features: Floats
    sources: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, case: Case, held_out: Any, train: Any, labels: Any, groups: Mapping[str, Sequence[str]]
    ) -> ExploredRows:
        """Read both sides; no model is evaluated where its classes have names."""
        model, seed = case.model, case.seed.child("exploration")
        if model.gives == "units":
            raise CapabilityError(f"exploration needs a classifier or a regression; {model.name} gives activations.")
        other = None if case.rows.text is not None else to_floats(read_like(case, train))
        count = len(texts(train)) if other is None else len(other)
        own, fitted = (labels_without_outputs(case, *one) for one in ((held_out, len(case)), (labels, count)))
        groups = group_columns(groups, count)
        classes = model.classes
        if model.gives == "values":
            edges = np.quantile(np.asarray(fitted, dtype=np.float64), [0.25, 0.5, 0.75])
            own, fitted = (np.searchsorted(edges, np.asarray(one, dtype=np.float64)) for one in (own, fitted))
            classes = ("lowest quarter", "second quarter", "third quarter", "highest quarter")
        names = index_of(train) if is_frame(train) else None
        ids = tuple(map(str, range(len(fitted)))) if names is None else tuple(names)
        labelled = np.asarray(own, dtype=np.int64), np.asarray(fitted, dtype=np.int64)
        if other is None:
            assert case.rows.text is not None
            both = [*case.rows.text.source, *texts(train)]
            joined = tuple(one if isinstance(one, str) else "\n".join(one) for one in both)
            empty = np.zeros((len(fitted), 0))
            return cls(case, *labelled, classes, ids, groups, seed, None, empty.astype(bool), empty, joined)
        is_table = other.ndim == 2
        split = split_data(case, other) if is_table else None
        missing = Rows(other, tuple(map(str, range(len(other)))), table=case.rows.table).missing_cells
        features = scaled_features(case, np.concatenate([to_floats(case.rows.x), other]))
        return cls(case, *labelled, classes, ids, groups, seed, split, missing, features)

    @property
    def held_out(self) -> int:
        """The number of held-out rows."""
        return len(self.true)

    def why_not_near(self) -> str:
        """Why nothing is called a near-duplicate; empty where it is."""
        if self.sources:
            return ""
        if len(self.labels) < 4 * NEIGHBOURS:
            return f"{len(self.labels)} training rows are too few to say what is near"
        if self.split is not None and is_few_valued(self.split.train, 0.02):
            return "every column repeats its values, so that rows coincide by chance; DAT101 judges copies"
        return ""

    def copies_across(self) -> tuple[list[Pair], int]:
        """Held-out rows with a near-copy among the training rows, and how many held-out rows were searched."""
        rows = self._drawn("held out", self.held_out)
        if self.sources:
            return self._similar(across=True), self.held_out
        references = self.features[self.held_out :]
        found = near_duplicates(self.features[rows], references, self.seed.child("across"))
        pairs = zip(rows[found.found], found.nearest[found.found], found.ratio[found.found])
        return [(int(row), int(near), float(ratio)) for row, near, ratio in pairs], len(rows)

    def copies_within(self) -> list[Pair]:
        """Training rows with an equal row or a near-copy among the training rows; of equal ones, the first is named."""
        if self.sources:
            return self._similar(across=False)
        train = self.features[self.held_out :]
        pairs = _equal_rows(train)
        known = {row for row, _, _ in pairs}
        if not self.why_not_near():
            distinct = np.setdiff1d(np.arange(len(train)), sorted(known))
            if len(distinct) >= 4 * NEIGHBOURS:
                drawn = (
                    distinct
                    if len(distinct) <= MOST_QUERIES
                    else np.sort(self.seed.child("within").generator().permutation(distinct)[:MOST_QUERIES])
                )
                found = near_duplicates(train[drawn], train, self.seed.child("within"), own=drawn)
                near = found.nearest
                both = {_later_first(int(drawn[i]), int(near[i])): i for i in np.flatnonzero(found.found)}
                equal = {(row, first) for row, first, _ in pairs}
                pairs += [(*pair, float(found.ratio[i])) for pair, i in both.items() if pair not in equal]
        return pairs

    def _similar(self, across: bool) -> list[Pair]:
        sources, held_out = self.sources, self.held_out
        places = np.arange(len(sources))
        if len(sources) > MOST_TEXTS:
            places = np.sort(self.seed.child("texts").generator().permutation(len(sources))[:MOST_TEXTS])
        pairs = similar_pairs([sources[i] for i in places], self.seed)
        named = [(int(places[one]), int(places[other]), share) for one, other, share in pairs]
        if across:
            first: dict[int, Pair] = {}
            for one, other, share in named:
                if one < held_out <= other:
                    first.setdefault(one, (one, other - held_out, share))
            return list(first.values())
        return [(one - held_out, other - held_out, share) for one, other, share in named if one >= held_out]

    def _drawn(self, name: str, count: int) -> Ints:
        if count <= MOST_QUERIES:
            return np.arange(count)
        return np.sort(self.seed.child(name).generator().permutation(count)[:MOST_QUERIES])


def _later_first(one: int, other: int) -> tuple[int, int]:
    return max(one, other), min(one, other)


def _equal_rows(rows: Floats) -> list[Pair]:
    """Each row that equals an earlier one, with the first of them."""
    whole = np.ascontiguousarray(rows + 0.0)
    keys = whole.view(np.dtype((np.void, whole.dtype.itemsize * whole.shape[1]))).ravel()
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    leading = first[place.ravel()]
    return [(int(row), int(leading[row]), 0.0) for row in np.flatnonzero(leading != np.arange(len(rows)))]
