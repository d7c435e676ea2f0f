# SPDX-License-Identifier: Apache-2.0
"""Clusters of explanations of one class, the region that each points to, and random groups of other rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.engine.shortcuts.attribution_maps import pixels_of, strongest_cells
from assay.engine.shortcuts.spectral_clusters import LEAST_ROWS, medoid, separability, spectral_clusters

LEAST_CLASS = 4 * LEAST_ROWS
"""Fewest rows of a class that are clustered."""

FURTHER = (2, 3, 4)
"""Further numbers of clusters, since an artefact may fill one cluster or half the class."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A group of rows of the class ``label``: positions ``rows`` and ``others`` of the class, the medoid, the cells."""

    label: int
    rows: Ints
    others: Ints
    medoid: int
    cells: Masks
    mean_map: Floats
    separability: float

    def region(self, shape: tuple[int, ...]) -> Masks:
        """The pixels (height, width) that the group's explanations point to more than the others' do."""
        return pixels_of(self.cells, shape[-2:])


def find_candidates(maps: Floats, predicted: Ints, seed: Seed) -> list[Candidate]:
    """The clusters of each predicted class with enough rows, the most separable first; maps (row, cell, cell)."""
    found: list[Candidate] = []
    for label in np.unique(predicted):
        rows = np.flatnonzero((predicted == label) & (np.abs(maps).sum(axis=(1, 2)) > 0))
        if len(rows) < LEAST_CLASS:
            continue
        own = maps[rows]
        groups = _clusters(own.reshape(len(rows), -1), seed.child("class", int(label)))
        made = [_candidate(int(label), rows, inside, own) for inside in groups]
        found += [one for one in made if one.cells.any()]
    return sorted(found, key=lambda one: (-one.separability, one.label, one.medoid))


def _clusters(points: Floats, seed: Seed) -> list[Masks]:
    """The clusters (row,) by the eigengap and of ``FURTHER`` numbers, each once; without too small or large ones."""
    found: dict[bytes, Masks] = {}
    for count in (None, *FURTHER):
        clusters = spectral_clusters(points, seed, count=count)
        for one in range(clusters.count):
            inside = clusters.label == one
            if LEAST_ROWS <= inside.sum() <= len(points) - LEAST_ROWS:
                found.setdefault(inside.tobytes(), inside)
    return list(found.values())


def _candidate(label: int, rows: Ints, inside: Masks, own: Floats, cells: int | None = None) -> Candidate:
    points = own.reshape(len(own), -1)
    mean = own[inside].mean(axis=0)
    return Candidate(
        label,
        rows[inside],
        rows[~inside],
        int(rows[inside][medoid(points[inside])]),
        strongest_cells(mean - own[~inside].mean(axis=0), cells),
        mean,
        separability(points, inside),
    )


def random_candidates(of: Candidate, maps: Floats, count: int, seed: Seed) -> list[Candidate]:
    """So many random groups of the rows outside a cluster, as large as it (or half of them), with as many cells.

    Each is given twice: with the cells that its own maps point to, and with those of the cluster, so that only the
    content differs.
    """
    generator, own = seed.child("random clusters").generator(), maps[of.others]
    size = max(1, min(len(of.rows), len(of.others) // 2))
    found: list[Candidate] = []
    for _ in range(count):
        inside = np.zeros(len(of.others), dtype=bool)
        inside[generator.permutation(len(of.others))[:size]] = True
        made = _candidate(of.label, of.others, inside, own, int(of.cells.sum()))
        found += [made, Candidate(**{**vars(made), "cells": of.cells})]
    return found
