# SPDX-License-Identifier: Apache-2.0
"""A surrogate list of rules."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.surrogates.boxes import Box, everything
from assay.engine.surrogates.surrogates import Settings, priced, surrogate
from assay.nouns.results.result import Estimate

CUTS = 10
"""A column of numbers is cut at its tenths."""

BEAM = 16
"""Beginnings of a rule that are kept while it grows."""

LONGEST = 12
"""Conditions in a list, all rules together; beyond it nobody reads them, and their Shapley values get dear."""


@explainer(source="rivest1987", needs={"table"}, cost=priced)
def surrogate_rules(
    case: Case,
    *,
    background: Any,
    rules: int = 4,
    length: int = 2,
    least: float = 0.05,
    held_out: float = 0.3,
    local: bool = False,
    draws: int = 1000,
    width: float = 0.25,
) -> Estimate:
    """What a short list of rules that imitates the model gives each part at the row.

    A decision list: if …, else if …, else …; the first rule that holds speaks, with the mean target of the rows it was
    learnt from. Learnt greedily: of all rules of up to ``length`` conditions (a column at most or above one of its
    tenths; a level or not) the one that takes most off the squared error of the rows left, found by a beam of 16; then
    the next for the rows that remain, up to ``rules`` and a last "else". A rule keeps the share ``least`` of
    the weight of all rows, and leaves as much. Values are the list's exact Shapley values against the background, base
    its mean there, so the residual is the list's error at the row. Everything else as in ``surrogate_tree``.
    """
    if rules < 1 or length < 1 or rules * length > LONGEST or not 0 < least < 0.5:
        raise InputError(
            f"rules={rules}, length={length}, least={least}; a list has at least 1 rule, at most {LONGEST} "
            f"conditions in all, and least lies between 0 and 0.5. Read something longer as a tree: surrogate_tree."
        )
    settings = Settings("list", held_out, local, draws, width)
    return surrogate(case, background, partial(_learnt, rules=rules, length=length, least=least), settings)


def _learnt(x: Floats, y: Floats, weight: Floats, *, rules: int, length: int, least: float) -> Sequence[Box]:
    """The list, the rule without conditions last."""
    conditions = _conditions(x)
    held = np.stack([one.holds(x) for one in conditions]) if conditions else np.zeros((0, len(x)), dtype=bool)
    left, found, enough = np.ones(len(x), dtype=bool), [], least * weight.sum()
    for _ in range(rules):
        rule, inside = _next(conditions, held, left, y, weight, length, enough)
        if inside is left:
            break
        found.append(Box(rule.low, rule.high, float(np.average(y[inside], weights=weight[inside]))))
        left = left & ~inside
    return [*found, everything(x.shape[1], float(np.average(y[left], weights=weight[left])))]


def _next(
    conditions: Sequence[Box], held: Masks, left: Masks, y: Floats, weight: Floats, length: int, enough: float
) -> tuple[Box, Masks]:
    """The rule that takes most off the error of the rows left, and for which it holds; ``left`` itself if none does."""
    worthwhile = 1e-12 * float(weight @ (y - np.average(y, weights=weight)) ** 2)  # above rounding
    best = (worthwhile, everything(len(conditions[0].low) if conditions else 1), left)
    beam = [best]
    for _ in range(length):
        grown = []
        for _, rule, inside in beam:
            gains = _gains(held & inside, left, y, weight, enough)
            for chosen in np.argsort(-gains, kind="stable")[:BEAM]:
                if gains[chosen] > 0:
                    grown.append((float(gains[chosen]), rule.within(conditions[chosen]), held[chosen] & inside))
        beam = sorted(grown, key=lambda one: -one[0])[:BEAM]
        if beam and beam[0][0] > best[0] * (1 + 1e-9):
            best = beam[0]
    return best[1], best[2]


def _conditions(x: Floats) -> list[Box]:
    """Every column at most, and above, each of its cuts."""
    found = []
    for column, values in enumerate(x.T):
        cuts = np.unique(np.quantile(values, np.arange(1, CUTS) / CUTS, method="inverted_cdf"))
        cuts = np.array([0.5]) if np.isin(values, (0.0, 1.0)).all() else cuts
        for cut in cuts[(cuts >= values.min()) & (cuts < values.max())]:
            for upper in (True, False):
                box = everything(x.shape[1])
                (box.high if upper else box.low)[column] = cut
                found.append(box)
    return found


def _gains(inside: Masks, left: Masks, y: Floats, weight: Floats, enough: float) -> Floats:
    """What telling the rows inside (condition, row) from the others left takes off the squared error.

    A condition and its opposite take off the same; the one whose rows are more alike is put first, by a millionth of
    their error.
    """
    mine, all_ = inside @ weight, float(weight[left].sum())
    level = float(np.average(y[left], weights=weight[left]))
    sums = inside @ (weight * (y - level))
    fits = (mine >= enough) & (all_ - mine >= enough) & (all_ - mine > 0) & (mine > 0)
    # n₁ n₂ / n · (mean₁ − mean₂)², the means taken from that of all
    gain = np.divide(sums**2 * all_, mine * (all_ - mine), out=np.zeros(len(mine)), where=fits)
    alike = inside @ (weight * (y - level) ** 2) - np.divide(sums**2, mine, out=np.zeros(len(mine)), where=fits)
    return np.where(fits, gain - 1e-6 * alike, 0.0)
