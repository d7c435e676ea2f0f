# SPDX-License-Identifier: Apache-2.0
"""Evidence by prototypes: regions of a row, training rows, similarity × connection = points, and what adds up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.basics.types import Floats
from assay.nouns.results.result import Explanation
from assay.report.drawing.image_maps import has_images
from assay.report.drawing.small_pictures import largest_that_fits, small_picture

BUDGET = 16_000
"""Characters of all pictures together."""

TRIES = ((3, 3, 40), (3, 3, 28), (2, 3, 28), (2, 2, 28), (1, 2, 28), (1, 1, 20))
"""(Rows explained, prototypes of a class, pixels a side), tried from the largest."""


@dataclass(frozen=True)
class Similar:
    """One prototype: its training row, that picture, the region of the row explained (both may be empty), the points.

    ``measured`` says how large the region is and what it keeps of the similarity; empty where it was not measured.
    """

    row: str
    picture: str
    region: str
    measured: str
    similarity: str
    connection: str
    points: str


@dataclass(frozen=True)
class ClassEvidence:
    """The strongest prototypes of one class, the points of all others, and the sum of all."""

    label: str
    found: tuple[Similar, ...]
    rest: str
    total: str


@dataclass(frozen=True)
class Evidence:
    """A row explained, its image (may be empty), and the evidence for its class and for the rival."""

    row: str
    image: str
    classes: tuple[ClassEvidence, ...]

    @property
    def has_regions(self) -> bool:
        """Whether regions of the row explained were searched."""
        return any(one.measured for part in self.classes for one in part.found)

    @property
    def size(self) -> int:
        """Characters of all pictures."""
        return len(self.image) + sum(len(one.picture) + len(one.region) for part in self.classes for one in part.found)


def draw_evidence(explanation: Explanation, classes: tuple[str, ...] = ()) -> tuple[Evidence, ...]:
    """The evidence for the first rows of an explanation by prototypes, as much as fits; empty for any other.

    ``classes`` names the classes by their positions.
    """
    if not {"rival_connection", "training_row", "similarity"} <= set(explanation.extra):
        return ()

    def draw(size: tuple[int, int, int]) -> tuple[Evidence, ...]:
        rows, each, side = size
        return tuple(_evidence(explanation, classes, row, each, side) for row in range(min(rows, len(explanation.ids))))

    return largest_that_fits(TRIES, draw, lambda one: one.size, BUDGET)


def _evidence(explanation: Explanation, classes: tuple[str, ...], row: int, each: int, side: int) -> Evidence:
    extra = explanation.extra
    image = small_picture(np.asarray(explanation.x[row]), side) if has_images(explanation) else ""
    own = explanation.labels[row] if explanation.labels else ""
    rival = int(extra["rival"][row])
    sides = (
        (own, classes.index(own) if own in classes else None, extra["connection"][row]),
        (classes[rival] if rival < len(classes) else str(rival), rival, extra["rival_connection"][row]),
    )
    found = tuple(_class(explanation, row, label, place, weights, (each, side)) for label, place, weights in sides)
    return Evidence(explanation.ids[row], image, found)


def _class(
    explanation: Explanation, row: int, label: str, place: int | None, weights: Floats, size: tuple[int, int]
) -> ClassEvidence:
    """The strongest prototypes of a class; of a class without a known position, the strongest of all."""
    points = np.asarray(explanation.extra["similarity"][row]) * weights
    of = np.asarray(explanation.extra["class"])
    order = [int(one) for one in np.argsort(-points, kind="stable") if place is None or of[one] == place][: size[0]]
    found = tuple(_similar(explanation, row, one, float(weights[one]), size[1]) for one in order)
    rest = float(points.sum() - points[order].sum())
    return ClassEvidence(label, found, f"{rest:+.3f}", f"{float(points.sum()):+.3f}")


def _similar(explanation: Explanation, row: int, one: int, weight: float, side: int) -> Similar:
    extra = explanation.extra
    pictured = [int(place) for place in extra.get("pictured", ())]
    picture = small_picture(extra["training_pictures"][pictured.index(one)], side) if one in pictured else ""
    region, measured = _region(explanation, row, one, side)
    s = float(extra["similarity"][row, one])
    name = str(explanation.features.names[one])
    return Similar(name, picture, region, measured, f"{s:.3f}", f"{weight:+.3f}", f"{s * weight:+.3f}")


def _region(explanation: Explanation, row: int, one: int, side: int) -> tuple[str, str]:
    """The part of the row's picture that was measured for a prototype, and its size; empty where there is none."""
    places = [int(place) for place in explanation.extra.get("window_prototype", np.zeros((row + 1, 0)))[row]]
    if one not in places or not has_images(explanation):
        return "", ""
    place = places.index(one)
    kept = f"keeps {float(explanation.extra['window_keeps'][row, place]):.0%}"
    window = np.asarray(explanation.extra["window"][row, place])
    if np.isnan(window).any():
        return "", f"none: with all removed, {kept}"
    top, left, bottom, right = (int(edge) for edge in window)
    x = np.asarray(explanation.x[row])
    if (bottom - top, right - left) == x.shape[1:]:
        return "", "whole picture"
    return small_picture(x[:, top:bottom, left:right], side), f"{bottom - top} × {right - left} pixels, {kept}"
