# SPDX-License-Identifier: Apache-2.0
"""The game of clusters: parts merged where there are many, and log p of the class at the masks of a design."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from assay.basics.types import Array, Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.fast_path import FastPath, fast_path
from assay.cases.game import Game
from assay.cases.removals import Removal
from assay.cases.sibling_targets import with_sibling_targets
from assay.engine.coalitions.estimator import Design
from assay.engine.gibbs.design import posterior_design
from assay.engine.gibbs.posterior import Posterior
from assay.nouns.inputs.mean_shift import MAX_PARTS, cluster_parts
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import LOSSES

LEAST = 6
"""Fewest clusters that a picture with many parts is meant to have."""

DESIGN = "cluster_variational"
"""The name of the design's random stream."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """The cluster (row, part) of each part, −1 where it is absent, and the number of clusters (row,)."""

    labels: Ints
    counts: Ints
    merged: bool

    @classmethod
    def of(cls, case: Case, most: int) -> Clusters:
        """The parts of the case; of pictures with more than ``most`` of them, merged by mean shift."""
        features, rows = case.features, len(case)
        if len(features) <= most or not _has_places(case):
            parts = np.arange(len(features))
            return cls(np.tile(parts, (rows, 1)), np.full(rows, len(features)), merged=False)
        labels = cluster_parts(to_floats(case.rows.x), features, min(LEAST, most), most)
        return cls(labels, labels.max(axis=1) + 1, merged=True)

    def spread(self, row: int, values: Floats, absent: float) -> Floats:
        """Numbers (…, cluster) of one row as (…, part): each part gets that of its cluster."""
        padded = np.concatenate([values, np.full((*values.shape[:-1], 1), absent)], axis=-1)
        return padded[..., self.labels[row]]

    def masks_of(self, rows: Ints, masks: Masks) -> Masks:
        """Masks (mask, cluster) as masks over the parts of each row, (row · mask, part)."""
        padded = np.concatenate([masks, np.ones((len(masks), 1), dtype=bool)], axis=1)
        return np.concatenate([padded[:, self.labels[row]] for row in rows])


def _has_places(case: Case) -> bool:
    """Whether the parts are places of pictures: cut equally in every channel."""
    index = case.features.index if case.features.per_row else case.features.index[None]
    is_picture = len(case.rows.shape) == 3 and case.rows.text is None and len(case.features) <= MAX_PARTS
    return bool(is_picture and (index == index[:, :1]).all())


@dataclass(frozen=True, eq=False)
class Worth:
    """What a set of clusters is worth: ``sign`` × the target of ``case``, in nats where ``is_log_probability``.

    Of a classifier with probabilities log p of the class, of a loss its negative, else the target itself. ``ceiling``
    is the most that it can be; ``None`` where that is unknown.
    """

    case: Case
    sign: float
    ceiling: float | None
    is_log_probability: bool

    @classmethod
    def of(cls, case: Case) -> Worth:
        """The worth for a case under its own target."""
        kind = case.model.kind
        has_probabilities = kind.is_classifier and (kind == "probabilities" or kind.link != "none")
        if case.target.name in LOSSES:
            return cls(case, -1.0, 0.0, case.target.name == "loss" and kind.is_classifier)
        if has_probabilities and case.target.layer is None:
            return cls(with_sibling_targets(case, ("loss",))[0], -1.0, 0.0, is_log_probability=True)
        return cls(case, 1.0, None, is_log_probability=False)


@dataclass(frozen=True, eq=False)
class ClusterGame:
    """The worth of sets of clusters of each row, read from one game."""

    worth: Worth
    clusters: Clusters
    path: FastPath

    @classmethod
    def of(cls, case: Case, remove: Removal, most: int, prior: float, budget: int) -> ClusterGame:
        """The game of a case."""
        clusters, worth = Clusters.of(case, most), Worth.of(case)
        masks = len(posterior_design(int(clusters.counts.max()), prior, budget, _stream(case)).masks)
        return cls(worth, clusters, fast_path(worth.case, remove, masks))

    def at(self, x: Array, remove: Removal) -> ClusterGame:
        """The game of the same clusters and classes at other rows ``x``."""
        case = self.worth.case.at(x)
        return replace(self, worth=replace(self.worth, case=case), path=FastPath(case.game(remove)))

    @property
    def game(self) -> Game:
        """The game whose players are the parts."""
        return self.path.game

    def groups(self) -> list[Ints]:
        """Rows with the same number of clusters, which share a design."""
        return [np.flatnonzero(self.clusters.counts == count) for count in np.unique(self.clusters.counts)]

    def design(self, rows: Ints, prior: float, budget: int) -> Design:
        """The design of rows with the same number of clusters."""
        return posterior_design(int(self.clusters.counts[rows[0]]), prior, budget, _stream(self.worth.case))

    def table(self, rows: Ints, design: Design) -> Floats:
        """What the sets of a design are worth, (row, mask)."""
        if len(rows) == len(self.clusters.counts) and not self.clusters.merged:
            return self.worth.sign * self.game.table(design.masks)
        keep = self.clusters.masks_of(rows, design.masks)
        found = self.game(np.repeat(rows, len(design.masks)), keep)
        return self.worth.sign * found.reshape(len(rows), -1)


@dataclass(frozen=True, eq=False)
class ClusterPosterior:
    """The posterior of some rows, with ``direction`` (row,) −1 where the target falls when everything is present.

    The table of such a row is turned, so that the posterior keeps the value low, and values are turned back.
    """

    rows: Ints
    posterior: Posterior
    direction: Floats
    defined: Masks

    @cached_property
    def values(self) -> Floats:
        """Values (row, cluster) in units of the worth; NaN where undefined."""
        found = self.direction[:, None] * self.posterior.values()
        return np.where(self.defined[:, None] & np.isfinite(found), found, np.nan)


def read_posterior(game: ClusterGame, rows: Ints, design: Design, prior: float) -> ClusterPosterior:
    """The posterior of rows at β = 1, to be given another β."""
    table = game.table(rows, design)
    full, empty = design.masks.all(axis=1).argmax(), (~design.masks.any(axis=1)).argmax()
    defined = ~np.isnan(table).any(axis=1) & np.isfinite(table[:, full]) & ~np.isposinf(table).any(axis=1)
    table = np.where(defined[:, None], table, 0.0)
    falls = table[:, full] < table[:, empty]
    direction = np.where(falls & (game.worth.ceiling is None), -1.0, 1.0)
    return ClusterPosterior(
        rows, Posterior(design, direction[:, None] * table, prior, np.ones(len(rows))), direction, defined
    )


def with_beta(found: ClusterPosterior, beta: Floats) -> ClusterPosterior:
    """The same tables at another β (row,)."""
    return replace(found, posterior=replace(found.posterior, beta=beta))


def _stream(case: Case) -> Any:
    return case.seed.child("design", DESIGN)
