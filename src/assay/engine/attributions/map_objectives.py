# SPDX-License-Identifier: Apache-2.0
"""What an attack on explanations changes: the top features, the centre of mass, or the distance from a target map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Array, Floats, Masks
from assay.cases.case import Case
from assay.engine.attributions.part_adjacency import part_centroids
from assay.engine.capabilities import NEEDS
from assay.engine.search.threat import as_array
from assay.nouns.results.result import Explanation

TINY = 1e-30
"""The least Σ|value| that a map is divided by."""


@dataclass(frozen=True, eq=False)
class MapObjective:
    """An objective of values (row, part); every one reads their sizes |value| only.

    ``measure`` (row,) is the number that is reported, which an attack lowers or raises. ``ascent`` (row,) is what the
    search raises; it is also defined for tensors and differentiable. ``score`` (row,) compares the points found.
    """

    quantity: str
    is_lowered: bool
    measure: Callable[[Floats], Floats]
    ascent: Callable[[Array], Array]
    score: Callable[[Floats], Floats]


def top_features(values: Floats, share: float) -> Masks:
    """Masks (row, part) of the ⌈share · n⌉ features with the largest |value|; ties are broken by feature order."""
    if not 0 < share <= 1:
        raise InputError(f"k={share} is a share of the features, above 0 and at most 1; 0.1 takes a tenth of them.")
    count = int(np.ceil(share * values.shape[1] - 1e-9))
    masks = np.zeros(values.shape, dtype=bool)
    np.put_along_axis(masks, np.argsort(-np.abs(values), axis=1, kind="stable")[:, :count], True, axis=1)
    return masks


def overlap_of_top(first: Masks, values: Floats, share: float) -> Floats:
    """The share (row,) of the features in ``first`` that are among the top features of ``values`` too."""
    return np.asarray((first & top_features(values, share)).sum(axis=1) / first.sum(axis=1))


def top_objective(explanation: Explanation, share: float) -> MapObjective:
    """Lower the share of the explanation's top features in Σ|value|, until others are on top."""
    first = top_features(explanation.values, share)

    def ascent(values: Array) -> Array:
        return -array_namespace(values).sum(normalised(values) * as_array(first, values), axis=1)

    return MapObjective(
        quantity="top-k overlap",
        is_lowered=True,
        measure=lambda values: overlap_of_top(first, values, share),
        ascent=ascent,
        score=lambda values: np.asarray(  # the share breaks ties
            ascent(values) / (2 * first.sum(axis=1)) - overlap_of_top(first, values, share)
        ),
    )


def centre_objective(explanation: Explanation, case: Case) -> MapObjective:
    """Raise the distance of the centre of mass Σ|value| · position / Σ|value| from where it is, in grid steps."""
    if not NEEDS["maps"][0](case):
        raise CapabilityError(
            f"the centre of mass needs signals, images or volumes (channel, …); the rows of {case.model.name} have "
            f"shape {case.rows.shape}. Use attack.top_k or attack.target_map."
        )
    positions = np.nan_to_num(part_centroids(case))

    def centre(values: Array) -> Array:
        return array_namespace(values).sum(normalised(values)[:, :, None] * as_array(positions, values), axis=1)

    start = centre(explanation.values)

    def ascent(values: Array) -> Array:
        return array_namespace(values).sum((centre(values) - as_array(start, values)) ** 2, axis=1)

    return MapObjective(
        quantity="shift of the centre of mass",
        is_lowered=False,
        measure=lambda values: np.asarray(np.sqrt(ascent(values))),
        ascent=ascent,
        score=lambda values: np.asarray(ascent(values)),
    )


def target_objective(explanation: Explanation, toward: Any) -> MapObjective:
    """Lower the squared distance of the normalised map |value| / Σ|value| from that of ``toward``.

    ``ascent`` is minus that distance as a share of the distance at the rows.
    """
    target = normalised(_target_values(explanation, toward))

    def distance(values: Array) -> Array:
        return array_namespace(values).sum((normalised(values) - as_array(target, values)) ** 2, axis=1)

    at_rows = np.maximum(distance(explanation.values), TINY)

    def ascent(values: Array) -> Array:
        return -distance(values) / as_array(at_rows, values)

    return MapObjective(
        quantity="squared distance from the target map",
        is_lowered=True,
        measure=lambda values: np.asarray(distance(values)),
        ascent=ascent,
        score=lambda values: np.asarray(ascent(values)),
    )


def normalised(values: Array) -> Array:
    """|value| / Σ|value| of each row; a row of zeros stays."""
    xp = array_namespace(values)
    size = xp.abs(values)
    total = xp.sum(size, axis=1)
    return size / xp.where(total > TINY, total, xp.ones_like(total))[:, None]


def _target_values(explanation: Explanation, toward: Any) -> Floats:
    """The values (row, part) to reach: by default those of the next row."""
    own = explanation.values
    if toward is None:
        if len(own) < 2 or explanation.features.per_row:
            raise InputError(
                "toward: the default target is the map of the next row, and there is none with the same features. "
                "Give an explanation of as many rows, or values (row, part)."
            )
        return np.roll(own, -1, axis=0)
    given = toward.values if isinstance(toward, Explanation) else toward
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.zeros(0)
    if values.shape != own.shape or not np.isfinite(values).all() or not (np.abs(values).sum(axis=1) > 0).all():
        raise InputError(
            f"toward={type(toward).__name__}; give an explanation of as many rows and features, or finite values "
            f"{own.shape} with one above 0 in each row."
        )
    return values
