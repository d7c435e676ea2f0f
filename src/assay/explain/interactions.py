# SPDX-License-Identifier: Apache-2.0
"""Interaction indices of features in a removal game."""

from collections.abc import Iterator

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.coalitions.estimator import all_masks, is_enumerable
from assay.engine.coalitions.interaction_indices import exact_interactions, index_named, subsets
from assay.engine.coalitions.interactions import PairSample, draw_pairs, estimate_interactions, split_equally
from assay.engine.coalitions.masks import present_parts
from assay.engine.cost import Given
from assay.engine.declare import explainer
from assay.nouns.catalogue import Cost
from assay.nouns.results.result import Estimate


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    _check_options(case, o.index, o.order)
    count = sum(
        len(rows) * (len(_masks(case, present, o.index, o.order, o.budget)[0]) - 1)
        for rows, present in _rows_by_features(case)
    )
    return Cost(count) * (o.remove.fills * case.model.passes_per_row)


@explainer(
    source="tsai2023",
    claims={"complete", "dummy", "symmetric", "linear", "enumerable"},
    cost=_cost,
)
def interactions(
    case: Case, *, remove: Removal = DEFAULT, index: str = "fsii", order: int = 2, budget: int = 2048
) -> Estimate:
    """Interaction indices of sets of up to ``order`` features, and each feature's share of all interactions.

    With the Möbius transform a(T) = Σ_{S⊆T} (−1)^(t−s) v(S) every index of S is Σ_{T⊇S} c(s, t) a(T):

    - ``fsii`` faithful Shapley: the polynomial of degree k nearest to v by the Shapley kernel, exact at v(∅) and v(N);
    - ``stii`` Shapley–Taylor: c = 1/C(t, k) for s = k, a(S) itself for s < k;
    - ``k_sii`` n-Shapley values (Bordt and von Luxburg): SII for size k, smaller sets corrected so that all add up;
    - ``sii`` Shapley interaction (Grabisch and Roubens): c = 1/(t − s + 1);
    - ``banzhaf`` Banzhaf interaction: c = 2^−(t−s);
    - ``fbii`` faithful Banzhaf: the polynomial nearest to v, all coalitions with equal weight;
    - ``chaining`` (Marichal and Roubens): c = s/t;
    - ``moebius``: a(S).

    In units of the target. ``extra["subsets"]`` (subset, order) lists the sets, padded with −1;
    ``extra["interactions"]`` and ``extra["stderr"]`` (row, subset) are their indices and errors; for order 2
    ``extra["pairs"]`` (row, part, part) has half of each pair's interaction off the diagonal and a feature's main
    effect on it. Its rows add up to ``values``: each interaction divided equally among its members. They add up to
    output − base, v(∅), for ``fsii``, ``stii`` and ``k_sii`` at any order; the others have no base.

    Exact, with standard error 0, when all 2^n coalitions fit in ``budget``; else from complementary pairs drawn without
    replacement: a polynomial fitted by weighted least squares, corrected by the weighted residuals. A budget that is
    too small is refused; shapiq returns values there, without an error. As in shapiq, SII of order 2 includes the SII
    of order 1.
    """
    _check_options(case, index, order)
    rows, parts = len(case), len(case.features)
    sets = subsets(parts, order)
    position = {tuple(members): i for i, members in enumerate(sets.tolist())}
    found, errors = np.zeros((rows, len(sets))), np.zeros((rows, len(sets)))
    values, stderr, base = np.zeros((rows, parts)), np.zeros((rows, parts)), np.full(rows, np.nan)
    game = case.game(remove)
    for some, present in _rows_by_features(case):
        masks, design = _masks(case, present, index, order, budget)
        game_values = game(np.repeat(some, len(masks)), np.tile(masks, (len(some), 1))).reshape(len(some), -1)
        own = _set_positions(present, order, position)
        if design is None:
            found[np.ix_(some, own)] = exact_interactions(index_named(index), order, game_values)
        else:
            inner, error, shares = estimate_interactions(index_named(index), order, design, game_values)
            found[np.ix_(some, own)], errors[np.ix_(some, own)] = inner, error
            stderr[np.ix_(some, present)] = shares
        base[some] = game_values[:, 0]
    values = split_equally(sets, parts, found)
    extra = {"subsets": sets.astype(float), "interactions": found, "stderr": errors}
    if order == 2:
        extra["pairs"] = _pair_matrix(sets, found, parts)
    complete = index_named(index).is_efficient
    return Estimate(values, stderr, base if complete else None, extra=extra)


def _check_options(case: Case, index: str, order: int) -> None:
    index_named(index)
    if not 1 <= order <= len(case.features):
        raise InputError(f"order={order}; it is between 1 and the number of features, {len(case.features)}.")


def _rows_by_features(case: Case) -> Iterator[tuple[Ints, Ints]]:
    """Groups of rows that have the same features, with these features: one group unless features differ per row."""
    exists = present_parts(case)
    for pattern in np.unique(exists, axis=0):
        yield np.flatnonzero((exists == pattern).all(axis=1)), np.flatnonzero(pattern)


def _masks(case: Case, present: Ints, index: str, order: int, budget: int) -> tuple[Masks, PairSample | None]:
    """The coalitions of rows that have the features ``present``; features they lack are never removed."""
    design = None
    if is_enumerable(len(present), budget):
        inner = all_masks(len(present))
    else:
        seed = case.seed.child("interactions", len(present))
        design = draw_pairs(index_named(index), order, len(present), budget, seed)
        inner = design.masks
    masks = np.ones((len(inner), len(case.features)), dtype=bool)
    masks[:, present] = inner
    return masks, design


def _set_positions(present: Ints, order: int, position: dict[tuple[int, ...], int]) -> Ints:
    """Positions of the sets of these features among the sets of all features."""
    inner = subsets(len(present), order)
    members = np.where(inner >= 0, present[inner], -1)
    return np.array([position[tuple(one)] for one in members.tolist()], dtype=np.int64)


def _pair_matrix(sets: Ints, found: Floats, parts: int) -> Floats:
    """Main effects on the diagonal, half of each pair's interaction off it, (row, part, part)."""
    out = np.zeros((len(found), parts, parts))
    single = sets[:, 1] < 0
    first, second = sets[~single].T
    out[:, sets[single, 0], sets[single, 0]] = found[:, single]
    out[:, first, second] = out[:, second, first] = found[:, ~single] / 2
    return out
