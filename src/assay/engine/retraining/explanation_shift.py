# SPDX-License-Identifier: Apache-2.0
"""Explanation shift: the difference between two models' explanations of the same rows; needs no model evaluations."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.clustered import number_clusters
from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks, PerPart, PerRow
from assay.engine.attributions.agreement import magnitude_ranks
from assay.nouns.comparisons.explanation_shift import ExplanationShift
from assay.nouns.results.result import Explanation


def explanation_shift(
    one: Explanation, other: Explanation, *, k: int, clusters: Any = None, level: float = 0.95
) -> ExplanationShift:
    """Difference between two models' explanations of the same rows (Meyer et al. 2023).

    The top k of an explanation are the k features with the largest |value|; ties are broken by feature order.
    ``feature`` is the share of k in both top k, ``sign`` the share in both with equal sign. ``direction`` is 1 where
    every feature of either top k has equal sign in both explanations, ``signed_set`` 1 where both top k have the same
    features and signs. 0 is a sign of its own. ``distance`` is the Euclidean distance of the values, in units of the
    target. ``relative`` is it over the length of the first explanation (Meyer et al. call it normalised): rows where
    that is short can dominate its mean. ``turned`` is the distance after both are scaled to length 1 (0 … 2; √2 at a
    right angle, 2 in opposite directions). ``relative`` is NaN where the first explanation is all 0, ``turned`` where
    either is. A row with fewer than k features uses those it has. A row with a NaN in either explanation is NaN.

    Both explanations should explain the same label; ``diagnose.explanation_shift`` ensures it. ``clusters`` (row,)
    names rows that belong together. Two random explanations share k/n of their features. For a method without signs
    (``saliency`` by default) ``sign`` equals ``feature``.

    >>> from assay import examples, explain
    >>> one, other = (explain.saliency(examples.linear(w), signed=True) for w in ([2.0, -1.0], [2.0, 1.0]))
    >>> found = explanation_shift(one, other, k=2)
    >>> found.mean("feature"), found.mean("sign"), found.mean("direction"), found.mean("distance")
    (1.0, 0.5, 0.0, 2.0)
    """
    if one.ids != other.ids or one.features.fingerprint != other.features.fingerprint:
        raise InputError(
            f"the explanations have {len(one.ids)} rows of {len(one.features)} features and {len(other.ids)} rows of "
            f"{len(other.features)} features; both need the same rows in the same order and the same features."
        )
    each = shift_measures(one.values, other.values, available_parts(one), k)
    groups = None if clusters is None else number_clusters(clusters, len(one.ids))
    return ExplanationShift(one.ids, k, each, groups, level)


def available_parts(explanation: Explanation) -> Masks:
    """Which features (row, part) each row has."""
    return np.asarray(np.broadcast_to(explanation.features.sizes > 0, explanation.values.shape))


def shift_measures(one: PerPart, other: PerPart, available: Masks, k: int) -> dict[str, PerRow]:
    """All measures of ``explanation_shift`` (row,), of values (row, part)."""
    if not 1 <= k <= one.shape[1]:
        raise InputError(f"k={k}; needed is 1 ≤ k ≤ {one.shape[1]}, the number of features.")
    count = np.minimum(available.sum(axis=1), k)
    undefined = np.isnan(one).any(axis=1) | np.isnan(other).any(axis=1) | (count == 0)
    top, others = ((magnitude_ranks(values, available) < k) & available for values in (one, other))
    same_sign = np.sign(one) == np.sign(other)
    direction = ~((top | others) & ~same_sign).any(axis=1)
    distance, length = np.linalg.norm(one - other, axis=1), np.linalg.norm(one, axis=1)
    measures = {
        "feature": (top & others).sum(axis=1) / np.maximum(count, 1),
        "sign": (top & others & same_sign).sum(axis=1) / np.maximum(count, 1),
        "direction": direction.astype(np.float64),
        "signed_set": (direction & (top == others).all(axis=1)).astype(np.float64),
        "distance": distance,
        "relative": np.divide(distance, length, out=np.full(len(one), np.nan), where=length > 0),
        "turned": np.linalg.norm(_unit_length(one) - _unit_length(other), axis=1),
    }
    return {measure: np.where(undefined, np.nan, values) for measure, values in measures.items()}


def _unit_length(values: Floats) -> Floats:
    """Rows scaled to length 1; NaN where a row is all 0."""
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.divide(values, length, out=np.full(values.shape, np.nan), where=length > 0)
