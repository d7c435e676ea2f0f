# SPDX-License-Identifier: Apache-2.0
"""How far explanations of the same rows agree; no model is asked."""

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
    """How far methods agree about the same rows: on which parts matter most, in which order, with which sign.

    Of the k parts with the largest |value| on each side (ties in part order), as shares of k (Krishna et al. 2022):
    ``feature`` the parts both have, ``sign`` those with equal sign on both sides (0 counts as a sign of its own),
    ``rank`` those at the same place of both orders, ``signed_rank`` those at the same place with equal sign; and
    ``spearman``, of all signed values of the parts a row has, NaN where either is constant. Rows with fewer than k
    parts are judged on those they have; rows where either side is NaN are NaN.

    Two explanations at random share k/n of their parts: read ``feature`` beside that. Krishna et al. correlate the
    ranks of magnitudes of chosen features.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0, -2.0))
    >>> found = agreement([explain.occlusion(case), explain.integrated_gradients(case)], k=2)
    >>> found.mean("signed_rank").round(2)
    array([[1., 1.],
           [1., 1.]])
    """
    named = _named(explanations)
    first = _checked(named)
    if not 1 <= k <= len(first.features):
        raise InputError(f"k={k}; the largest parts are between 1 and the {len(first.features)} parts there are.")
    held = np.broadcast_to(first.features.sizes > 0, first.values.shape)
    values = np.stack([explanation.values for explanation in named.values()])
    places = np.stack([places_of(one, held) for one in values])
    top = (places < k) & held
    counts = np.minimum(held.sum(axis=1), k)
    undefined = np.isnan(values).any(axis=2)
    each = {name: np.empty((len(first.ids), len(values), len(values))) for name in ("feature", "rank", "sign")}
    each |= {name: np.empty(each["feature"].shape) for name in ("signed_rank", "spearman")}
    for i in range(len(values)):
        for j in range(len(values)):
            both, equal = top[i] & top[j], np.sign(values[i]) == np.sign(values[j])
            level_with = places[i] == places[j]
            masks = {"feature": both, "rank": both & level_with, "sign": both & equal}
            masks["signed_rank"] = both & level_with & equal
            gone = undefined[i] | undefined[j] | (counts == 0)
            for name, mask in masks.items():
                each[name][:, i, j] = np.where(gone, np.nan, mask.sum(axis=1) / np.maximum(counts, 1))
            each["spearman"][:, i, j] = _alike(values[i], values[j], held, gone)
    share, sign = _shared(values, top, undefined)
    return Agreement(tuple(named), first.ids, first.features, k, each, share, sign, level)


def _named(explanations: Sequence[Explanation] | Mapping[str, Explanation]) -> dict[str, Explanation]:
    if isinstance(explanations, Mapping):
        return {str(name): explanation for name, explanation in explanations.items()}
    named: dict[str, Explanation] = {}
    for explanation in explanations:
        if explanation.provenance.method in named:
            raise InputError(
                f"{explanation.provenance.method} is there twice; name the explanations: {{name: explanation}}."
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
                f"{name} has {len(one.ids)} rows of {len(one.features)} parts, the first explanation "
                f"{len(first.ids)} rows of {len(first.features)} parts; all must speak of the same rows, in order, and "
                f"parts."
            )
    return first


def places_of(values: PerPart, held: Masks) -> Ints:
    """Place of each part when magnitudes fall, 0 first; parts that a row lacks come last."""
    size = np.where(held, np.abs(values), -1.0)
    return np.asarray(np.argsort(np.argsort(-size, axis=1, kind="stable"), axis=1), dtype=np.int64)


def _alike(one: PerPart, other: PerPart, held: Masks, gone: Masks) -> Floats:
    if held.all():
        return np.where(gone, np.nan, spearman(one, other))
    found = [
        spearman(a[own][None], b[own][None])[0] if own.any() and not out else np.nan
        for a, b, own, out in zip(one, other, held, gone)
    ]
    return np.array(found, dtype=np.float64)


def _shared(values: Floats, top: Masks, undefined: Masks) -> tuple[PerPart, PerPart]:
    """The larger share of methods with one sign on a part among their largest, and that sign; NaN rows do not vote."""
    voting = top & ~undefined[:, :, None]
    voters = np.maximum((~undefined).sum(axis=0), 1)[:, None]
    up, down = (voting & (values > 0)).sum(axis=0), (voting & (values < 0)).sum(axis=0)
    return np.maximum(up, down) / voters, np.sign(up - down).astype(np.float64)
