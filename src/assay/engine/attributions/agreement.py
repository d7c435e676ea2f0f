# SPDX-License-Identifier: Apache-2.0
"""Agreement between explanations of the same rows; needs no model evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import spearman
from assay.basics.types import Floats, Ints, Masks, PerPart
from assay.nouns.comparisons.agreement import Agreement
from assay.nouns.results.result import Explanation


def agreement(
    explanations: Sequence[Explanation] | Mapping[str, Explanation], *, k: int, level: float = 0.95
) -> Agreement:
    """Pairwise agreement of explanations of the same rows on their k most important features, ranks and signs.

    The top k of an explanation are the k features with the largest |value|; ties are broken by feature order. As
    shares of k (Krishna et al. 2022): ``feature`` counts the features in both top k, ``sign`` those of them with equal
    sign (0 is a sign of its own), ``rank`` those of them with equal rank, ``signed_rank`` those with equal rank and
    sign. ``spearman`` is the rank correlation of all signed values, NaN where either explanation is constant. A row
    with fewer than k features uses those it has. A row with a NaN in either explanation is NaN.

    Two random explanations share k/n of their features: compare ``feature`` with that. Krishna et al. differ in the
    rank correlation: they correlate the ranks of magnitudes of chosen features.

    >>> from assay import Constant, examples, explain
    >>> case = examples.additive((3.0, 1.0, -2.0))
    >>> found = agreement([explain.occlusion(case, remove=Constant(0.0)), explain.integrated_gradients(case)], k=2)
    >>> found.mean("signed_rank").round(2)
    array([[1., 1.],
           [1., 1.]])
    """
    named = _named(explanations)
    first = _checked(named)
    if not 1 <= k <= len(first.features):
        raise InputError(f"k={k}; needed is 1 ≤ k ≤ {len(first.features)}, the number of features.")
    available = np.broadcast_to(first.features.sizes > 0, first.values.shape)
    values = np.stack([explanation.values for explanation in named.values()])
    ranks = np.stack([magnitude_ranks(one, available) for one in values])
    top = (ranks < k) & available
    counts = np.minimum(available.sum(axis=1), k)
    undefined = np.isnan(values).any(axis=2)
    each = {name: np.empty((len(first.ids), len(values), len(values))) for name in ("feature", "rank", "sign")}
    each |= {name: np.empty(each["feature"].shape) for name in ("signed_rank", "spearman")}
    for i in range(len(values)):
        for j in range(len(values)):
            both, same_sign = top[i] & top[j], np.sign(values[i]) == np.sign(values[j])
            same_rank = ranks[i] == ranks[j]
            masks = {"feature": both, "rank": both & same_rank, "sign": both & same_sign}
            masks["signed_rank"] = both & same_rank & same_sign
            excluded = undefined[i] | undefined[j] | (counts == 0)
            for name, mask in masks.items():
                each[name][:, i, j] = np.where(excluded, np.nan, mask.sum(axis=1) / np.maximum(counts, 1))
            each["spearman"][:, i, j] = _rank_correlation(values[i], values[j], available, excluded)
    share, sign = _majority(values, top, undefined)
    return Agreement(tuple(named), first.ids, first.features, k, each, share, sign, level)


def _named(explanations: Sequence[Explanation] | Mapping[str, Explanation]) -> dict[str, Explanation]:
    if isinstance(explanations, Mapping):
        return {str(name): explanation for name, explanation in explanations.items()}
    named: dict[str, Explanation] = {}
    for explanation in explanations:
        if explanation.provenance.method in named:
            raise InputError(
                f"there are two explanations by {explanation.provenance.method}; name them: {{name: explanation}}."
            )
        named[explanation.provenance.method] = explanation
    return named


def _checked(named: Mapping[str, Explanation]) -> Explanation:
    if len(named) < 2:
        raise InputError(f"agreement needs at least two explanations; got {', '.join(named) or 'none'}.")
    first = next(iter(named.values()))
    for name, one in named.items():
        if one.ids != first.ids or one.features.fingerprint != first.features.fingerprint:
            raise InputError(
                f"{name} has {len(one.ids)} rows of {len(one.features)} features, the first explanation "
                f"{len(first.ids)} rows of {len(first.features)} features; all explanations need the same rows in the "
                f"same order and the same features."
            )
    return first


def magnitude_ranks(values: PerPart, available: Masks) -> Ints:
    """Rank (row, part) of each feature by |value|, 0 the largest; features that a row lacks come last."""
    size = np.where(available, np.abs(values), -1.0)
    return np.asarray(np.argsort(np.argsort(-size, axis=1, kind="stable"), axis=1), dtype=np.int64)


def _rank_correlation(one: PerPart, other: PerPart, available: Masks, excluded: Masks) -> Floats:
    if available.all():
        return np.where(excluded, np.nan, spearman(one, other))
    found = [
        spearman(a[own][None], b[own][None])[0] if own.any() and not out else np.nan
        for a, b, own, out in zip(one, other, available, excluded)
    ]
    return np.array(found, dtype=np.float64)


def _majority(values: Floats, top: Masks, undefined: Masks) -> tuple[PerPart, PerPart]:
    """Largest share of methods with the feature in their top k and one sign, and that sign; NaN rows do not count."""
    voting = top & ~undefined[:, :, None]
    voters = np.maximum((~undefined).sum(axis=0), 1)[:, None]
    up, down = (voting & (values > 0)).sum(axis=0), (voting & (values < 0)).sum(axis=0)
    return np.maximum(up, down) / voters, np.sign(up - down).astype(np.float64)
