# SPDX-License-Identifier: Apache-2.0
"""Interactions between parts of a removal game."""

from collections.abc import Iterator

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.coalitions.interaction_indices import exact, index_named, subsets
from assay.engine.coalitions.interactions import Drawn, drawn, estimated, shared_out
from assay.engine.coalitions.masks import present
from assay.engine.coalitions.summary import all_masks, enumerated
from assay.engine.cost import Given
from assay.engine.declare import explainer
from assay.nouns.catalogue import Cost
from assay.nouns.results.result import Estimate


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    _checked(case, o.index, o.order)
    count = sum(len(rows) * (len(_masks(case, held, o.index, o.order, o.budget)[0]) - 1) for rows, held in _alike(case))
    return Cost(count) * (o.remove.fills * case.model.passes)


@explainer(
    source="tsai2023",
    claims={"complete", "dummy", "symmetric", "linear", "enumerable"},
    cost=_cost,
)
def interactions(
    case: Case, *, remove: Removal = Constant(0.0), index: str = "fsii", order: int = 2, budget: int = 2048
) -> Estimate:
    """What sets of up to ``order`` parts do together, beyond what fewer of them do, and each part's share of it.

    With a(T) = Σ_{S⊆T} (−1)^(t−s) v(S), what T adds to all within it, every index of S is Σ_{T⊇S} c(s, t) a(T):

    - ``fsii`` faithful Shapley: the polynomial of degree k nearest to v by the Shapley kernel, through v(∅) and v(N);
    - ``stii`` Shapley–Taylor: c = 1/C(t, k) for s = k, a(S) itself for s < k;
    - ``k_sii`` n-Shapley values (Bordt and von Luxburg): SII of size k, and what smaller sets lack to add up;
    - ``sii`` Shapley interaction (Grabisch and Roubens): c = 1/(t − s + 1);
    - ``banzhaf`` Banzhaf interaction: c = 2^−(t−s);
    - ``fbii`` faithful Banzhaf: the polynomial nearest to v, all coalitions alike;
    - ``chaining`` (Marichal and Roubens): c = s/t;
    - ``moebius``: a(S).

    In units of the target. ``extra["subsets"]`` (subset, order) lists the sets, filled up with −1;
    ``extra["interactions"]`` and ``extra["stderr"]`` (row, subset) are theirs; for order 2 ``extra["pairs"]`` (row,
    part, part) has half of each pair's interaction on either side and what a part does alone on the diagonal. Its rows
    add up to ``values``: each interaction shared equally among its members. They add up to output − base, v(∅), for
    ``fsii``, ``stii`` and ``k_sii`` at any order; the others have no base.

    Exact, with standard error 0, when all 2^n coalitions fit in ``budget``; else from complementary pairs drawn without
    replacement: a polynomial fitted by weighted least squares, corrected by the weighed residuals. Too small a budget
    is refused. shapiq answers there, and reports no error; its SII of order 1 is among the SII of order 2 as here.
    """
    _checked(case, index, order)
    rows, parts = len(case), len(case.features)
    wanted = subsets(parts, order)
    place = {tuple(members): i for i, members in enumerate(wanted.tolist())}
    found, errors = np.zeros((rows, len(wanted))), np.zeros((rows, len(wanted)))
    values, stderr, base = np.zeros((rows, parts)), np.zeros((rows, parts)), np.full(rows, np.nan)
    game = case.game(remove)
    for some, held in _alike(case):
        masks, design = _masks(case, held, index, order, budget)
        asked = game(np.repeat(some, len(masks)), np.tile(masks, (len(some), 1))).reshape(len(some), -1)
        mine = _places(held, order, place)
        if design is None:
            found[np.ix_(some, mine)] = exact(index_named(index), order, asked)
        else:
            inner, error, shares = estimated(index_named(index), order, design, asked)
            found[np.ix_(some, mine)], errors[np.ix_(some, mine)] = inner, error
            stderr[np.ix_(some, held)] = shares
        base[some] = asked[:, 0]
    values = shared_out(wanted, parts, found)
    extra = {"subsets": wanted.astype(float), "interactions": found, "stderr": errors}
    if order == 2:
        extra["pairs"] = _pairs(wanted, found, parts)
    complete = index_named(index).complete
    return Estimate(values, stderr, base if complete else None, extra=extra)


def _checked(case: Case, index: str, order: int) -> None:
    index_named(index)
    if not 1 <= order <= len(case.features):
        raise InputError(
            f"order={order}; sets have from 1 to {len(case.features)} members, as many as there are parts."
        )


def _alike(case: Case) -> Iterator[tuple[Ints, Ints]]:
    """Rows that have the same parts, and these parts: all rows at once, unless each is cut in its own way."""
    exists = present(case)
    for pattern in np.unique(exists, axis=0):
        yield np.flatnonzero((exists == pattern).all(axis=1)), np.flatnonzero(pattern)


def _masks(case: Case, held: Ints, index: str, order: int, budget: int) -> tuple[Masks, Drawn | None]:
    """The coalitions asked of rows that have the parts ``held``; parts they lack are never taken away."""
    design = None
    if enumerated(len(held), budget):
        inner = all_masks(len(held))
    else:
        design = drawn(index_named(index), order, len(held), budget, case.seed.child("interactions", len(held)))
        inner = design.masks
    masks = np.ones((len(inner), len(case.features)), dtype=bool)
    masks[:, held] = inner
    return masks, design


def _places(held: Ints, order: int, place: dict[tuple[int, ...], int]) -> Ints:
    """Where the sets of these parts stand among the sets of all."""
    inner = subsets(len(held), order)
    named = np.where(inner >= 0, held[inner], -1)
    return np.array([place[tuple(members)] for members in named.tolist()], dtype=np.int64)


def _pairs(wanted: Ints, found: Floats, parts: int) -> Floats:
    """Parts alone on the diagonal, half of each pair's interaction off it, (row, part, part)."""
    out = np.zeros((len(found), parts, parts))
    single = wanted[:, 1] < 0
    first, second = wanted[~single].T
    out[:, wanted[single, 0], wanted[single, 0]] = found[:, single]
    out[:, first, second] = out[:, second, first] = found[:, ~single] / 2
    return out
