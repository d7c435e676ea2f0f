# SPDX-License-Identifier: Apache-2.0
"""A rule list as a surrogate of the model."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Masks
from assay.cases.case import Case
from assay.engine.declare import explainer
from assay.engine.surrogates.boxes import Box, unbounded_box
from assay.engine.surrogates.surrogates import SurrogateSettings, explain_by_rules, surrogate_cost
from assay.nouns.results.result import Estimate

CUTS = 10
"""A numeric column is cut at its deciles."""

BEAM = 16
"""Beam width: partial rules kept while a rule is extended."""

MAX_CONDITIONS = 12
"""Maximum number of conditions in a list, all rules together: longer lists are hard to read and costly to explain."""


@explainer(source="rivest1987", needs={"columns"}, cost=surrogate_cost)
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
    """Shapley values of a short rule list that is fitted to the model, as a surrogate of the model.

    A decision list: if …, else if …, else …; the first matching rule predicts the mean target of the rows it was fitted
    to. Fitted greedily: of all rules of up to ``length`` conditions (a column at most or above one of its deciles; a
    level or not) the one that reduces the squared error of the remaining rows most, found by a beam search of width 16;
    then the next rule for the rows that remain, up to ``rules`` rules and a last "else". A rule contains at least the
    share ``least`` of the weight of all rows, and leaves at least as much. Values are the list's exact Shapley values
    against the background, base its mean there, so the residual is the list's error at the row. Everything else as in
    ``surrogate_tree``; conditions of a raw text (``local=True``, ``background=None``) are words that are present or
    not.
    """
    if rules < 1 or length < 1 or rules * length > MAX_CONDITIONS or not 0 < least < 0.5:
        raise InputError(
            f"rules={rules}, length={length}, least={least}; a list has at least 1 rule and at most {MAX_CONDITIONS} "
            f"conditions in all, and least is between 0 and 0.5. For a larger surrogate use surrogate_tree."
        )
    settings = SurrogateSettings("list", held_out, local, draws, width)
    return explain_by_rules(case, background, partial(_fit_list, rules=rules, length=length, least=least), settings)


def _fit_list(x: Floats, y: Floats, weight: Floats, *, rules: int, length: int, least: float) -> Sequence[Box]:
    """The rule list; the last rule has no conditions."""
    conditions = _all_conditions(x)
    matches = np.stack([one.contains(x) for one in conditions]) if conditions else np.zeros((0, len(x)), dtype=bool)
    left, found, min_weight = np.ones(len(x), dtype=bool), [], least * weight.sum()
    for _ in range(rules):
        rule, inside = _best_rule(conditions, matches, left, y, weight, length, min_weight)
        if inside is left:
            break
        found.append(Box(rule.low, rule.high, float(np.average(y[inside], weights=weight[inside]))))
        left = left & ~inside
    return [*found, unbounded_box(x.shape[1], float(np.average(y[left], weights=weight[left])))]


def _best_rule(
    conditions: Sequence[Box], matches: Masks, left: Masks, y: Floats, weight: Floats, length: int, min_weight: float
) -> tuple[Box, Masks]:
    """The rule with the largest error reduction on the rows left, and the rows it matches; ``left`` itself if none."""
    min_gain = 1e-12 * float(weight @ (y - np.average(y, weights=weight)) ** 2)  # above rounding
    best = (min_gain, unbounded_box(len(conditions[0].low) if conditions else 1), left)
    beam = [best]
    for _ in range(length):
        extended = []
        for _, rule, inside in beam:
            gains = _error_reduction(matches & inside, left, y, weight, min_weight)
            for chosen in np.argsort(-gains, kind="stable")[:BEAM]:
                if gains[chosen] > 0:
                    extended.append(
                        (float(gains[chosen]), rule.intersect(conditions[chosen]), matches[chosen] & inside)
                    )
        beam = sorted(extended, key=lambda one: -one[0])[:BEAM]
        if beam and beam[0][0] > best[0] * (1 + 1e-9):
            best = beam[0]
    return best[1], best[2]


def _all_conditions(x: Floats) -> list[Box]:
    """For every column and cut the two boxes at most, and above, the cut."""
    found = []
    for column, values in enumerate(x.T):
        cuts = np.unique(np.quantile(values, np.arange(1, CUTS) / CUTS, method="inverted_cdf"))
        cuts = np.array([0.5]) if np.isin(values, (0.0, 1.0)).all() else cuts
        for cut in cuts[(cuts >= values.min()) & (cuts < values.max())]:
            for upper in (True, False):
                box = unbounded_box(x.shape[1])
                (box.high if upper else box.low)[column] = cut
                found.append(box)
    return found


def _error_reduction(inside: Masks, left: Masks, y: Floats, weight: Floats, min_weight: float) -> Floats:
    """Reduction of the squared error (condition,) when the rows inside (condition, row) are split from the others left.

    A condition and its complement have the same reduction; 10⁻⁶ of the squared error inside is subtracted, so that the
    one with the more homogeneous rows ranks first.
    """
    own, total = inside @ weight, float(weight[left].sum())
    mean = float(np.average(y[left], weights=weight[left]))
    sums = inside @ (weight * (y - mean))
    fits = (own >= min_weight) & (total - own >= min_weight) & (total - own > 0) & (own > 0)
    # n₁ n₂ / n · (mean₁ − mean₂)², the means relative to that of all rows left
    gain = np.divide(sums**2 * total, own * (total - own), out=np.zeros(len(own)), where=fits)
    error = inside @ (weight * (y - mean) ** 2) - np.divide(sums**2, own, out=np.zeros(len(own)), where=fits)
    return np.where(fits, gain - 1e-6 * error, 0.0)
