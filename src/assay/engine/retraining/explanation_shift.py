# SPDX-License-Identifier: Apache-2.0
"""How far explanations of the same rows move when the model is another; no model is asked."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.clustered import numbered
from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks, PerPart, PerRow
from assay.engine.attributions.agreement import places_of
from assay.nouns.comparisons.explanation_shift import ExplanationShift
from assay.nouns.results.result import Explanation


def explanation_shift(
    one: Explanation, other: Explanation, *, k: int, clusters: Any = None, level: float = 0.95
) -> ExplanationShift:
    """How far two models' explanations of the same rows lie apart (Meyer et al. 2023).

    Of the k parts with the largest |value| on each side (ties in part order): ``feature`` the share of k that both
    have, ``sign`` the share that both have with equal sign, ``direction`` 1 where no part of either has another sign on
    the other side, ``signed_set`` 1 where the sets and all signs are equal; 0 counts as a sign of its own. ``distance``
    is the Euclidean distance of the values, in units of the target; ``turned`` that of the same scaled to length 1
    (0 … 2; 2 is the opposite, √2 at a right angle), NaN where a side is all 0. Rows with fewer than k parts are judged
    on those they have; rows where a side is NaN are NaN.

    Both should speak of the same label; ``diagnose.explanation_shift`` sees to that. ``clusters`` (row,) names rows
    that belong together. Two explanations at random share k/n of their parts.

    Signs are those of the values: of a method without signs (``saliency`` as it comes) ``sign`` is ``feature``.

    >>> from assay import examples, explain
    >>> one, other = (explain.saliency(examples.linear(w), signed=True) for w in ([2.0, -1.0], [2.0, 1.0]))
    >>> found = explanation_shift(one, other, k=2)
    >>> found.mean("feature"), found.mean("sign"), found.mean("direction"), found.mean("distance")
    (1.0, 0.5, 0.0, 2.0)
    """
    if one.ids != other.ids or one.features.fingerprint != other.features.fingerprint:
        raise InputError(
            f"the explanations have {len(one.ids)} rows of {len(one.features)} parts and {len(other.ids)} rows of "
            f"{len(other.features)} parts; both must speak of the same rows, in order, and parts."
        )
    each = moved(one.values, other.values, parts_held(one), k)
    groups = None if clusters is None else numbered(clusters, len(one.ids))
    return ExplanationShift(one.ids, k, each, groups, level)


def parts_held(explanation: Explanation) -> Masks:
    """Which parts (row, part) each row has."""
    return np.asarray(np.broadcast_to(explanation.features.sizes > 0, explanation.values.shape))


def moved(one: PerPart, other: PerPart, held: Masks, k: int) -> dict[str, PerRow]:
    """Every measure of ``explanation_shift`` (row,), of values (row, part)."""
    if not 1 <= k <= one.shape[1]:
        raise InputError(f"k={k}; the largest parts are between 1 and the {one.shape[1]} parts there are.")
    count = np.minimum(held.sum(axis=1), k)
    gone = np.isnan(one).any(axis=1) | np.isnan(other).any(axis=1) | (count == 0)
    top, others = ((places_of(values, held) < k) & held for values in (one, other))
    equal = np.sign(one) == np.sign(other)
    direction = ~((top | others) & ~equal).any(axis=1)
    found = {
        "feature": (top & others).sum(axis=1) / np.maximum(count, 1),
        "sign": (top & others & equal).sum(axis=1) / np.maximum(count, 1),
        "direction": direction.astype(np.float64),
        "signed_set": (direction & (top == others).all(axis=1)).astype(np.float64),
        "distance": np.linalg.norm(one - other, axis=1),
        "turned": np.linalg.norm(_scaled(one) - _scaled(other), axis=1),
    }
    return {measure: np.where(gone, np.nan, values) for measure, values in found.items()}


def _scaled(values: Floats) -> Floats:
    """Rows scaled to length 1; NaN where a row is all 0."""
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.divide(values, length, out=np.full(values.shape, np.nan), where=length > 0)
