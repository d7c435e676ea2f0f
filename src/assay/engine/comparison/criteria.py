# SPDX-License-Identifier: Apache-2.0
"""How the checks of explanations are read off scores: an estimate over rows, and what its interval is made from.

The checks themselves are declared with the scores (``@scorer(checks=…)``) and come from the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import Basis
from assay.basics.types import Floats
from assay.engine.comparison.normalised_scores import orient
from assay.nouns.catalogue import Check, check_named, checks
from assay.nouns.results.result import Score

Scores = Mapping[tuple[str, str], Score]
"""Scores by explainer and score."""

RANDOM = "random"
"""The explainer whose normalised score is 0."""

REFERENCE_METHODS = ("oracle", "shapley", "tree_shapley", "permutation_shapley", "occlusion")
"""Explainers whose normalised score is 1: the first of them that was scored. The order is fixed before any score is
seen, since the best method of a sample would be best partly by chance."""


def criteria() -> tuple[Check, ...]:
    """The checks that are answered by a score of an explanation, by code."""
    return tuple(check for check in checks() if check.method.startswith("evaluate."))


def criteria_of(name: str, scores: Scores) -> list[Check]:
    """The criteria that the scores of an explainer allow; magnitudes alone only where the signed values differ."""
    known = [check for check in criteria() if (name, check.score) in scores]
    signed = {check.score for check in known if check.reads == "signed"}
    return [
        c for c in known if not (c.reads == "absolute" and c.score in signed and _is_unsigned(scores[name, c.score]))
    ]


def _is_unsigned(score: Score) -> bool:
    return np.array_equal(score.extra["signed"], score.extra["absolute"], equal_nan=True)


def criterion_named(code: str) -> Check | None:
    """The criterion of this check code, if it is one."""
    check = check_named(code)
    return check if check is not None and check.method.startswith("evaluate.") else None


def reference_method(scores: Scores, candidates: Sequence[str]) -> str:
    """The explainer with normalised score 1: the first of ``REFERENCE_METHODS`` scored, else the first candidate."""
    known = {name for name, _ in scores}
    return next((name for name in REFERENCE_METHODS if name in known), next(iter(candidates), ""))


@dataclass(frozen=True, eq=False)
class Reading:
    """What a criterion reads off a score: the estimate, what its interval is made from, and its rows.

    The mean of the defined ``rows`` (row,) is the estimate; the reference method's gain is taken as known there.
    ``undefined`` counts the rows left out since their score, or their gain, is undefined. Where the reference method
    gains nothing there is no unit: the estimate and all ``rows`` are NaN, but rows with a gain are not left out.
    """

    estimate: float
    basis: Basis
    rows: Floats
    undefined: int

    @property
    def n(self) -> int:
        """Number of rows with a defined score, or gain."""
        return len(self.rows) - self.undefined


def reading(criterion: Check, name: str, scores: Scores, top: str) -> Reading:
    """What ``criterion`` reads off the scores of explainer ``name``; ``top`` is the reference method.

    A normalised score is (mean gain of ``name`` over random) / (mean gain of ``top`` over random). The reference
    method itself has 1 by definition (−1 where its gain is a loss), with the interval of its own gain. Where its gain
    cannot be distinguished from 0, the intervals of other explainers are unbounded. A criterion ``over`` an extra is a
    ratio of means over the same rows, with Fieller's interval.
    """
    if criterion.is_normalised:
        return _normalised(criterion, name, scores, top)
    score = scores[name, criterion.score]
    if criterion.over:
        return _pooled(_field(criterion, score), score.extra[criterion.over])
    return values_reading(criterion, _field(criterion, score))


def _pooled(part: Floats, whole: Floats) -> Reading:
    """Σ part / Σ whole over the rows where both are defined; undefined on every row where Σ whole is 0."""
    both = ~np.isnan(part) & ~np.isnan(whole)
    size = _mean(whole[both])
    if not size > 0:
        empty = np.empty(0)
        return Reading(float("nan"), Basis("ratio", {"part": empty, "whole": empty}), part * np.nan, len(part))
    rows = np.where(both, part / size, np.nan)
    basis = Basis("ratio", {"part": part[both], "whole": whole[both]})
    return Reading(_mean(part[both]) / size, basis, rows, int((~both).sum()))


def _field(criterion: Check, score: Score) -> Floats:
    return score.extra[criterion.reads] if criterion.reads else score.values


def values_reading(check: Check, values: Floats) -> Reading:
    """The mean of ``values`` (row,) over the defined rows, with a bounded interval where the check has bounds."""
    known = _defined(values)
    basis = Basis("student", {"values": known})
    if check.bounds is not None:
        basis = Basis("bounded", {"values": known, "bounds": np.array(check.bounds)})
    return Reading(_mean(known), basis, values, len(values) - len(known))


def gains(name: str, score: str, scores: Scores) -> Floats:
    """How much better (row,) an explainer scores than random."""
    if (RANDOM, score) not in scores:
        raise InputError(f"{score} of {name} is compared with the reference 'random'; score it too.")
    own, random = scores[name, score], scores[RANDOM, score]
    return orient(own.values, own.better) - orient(random.values, own.better)


def normalised_scores(score: str, scores: Scores, top: str) -> dict[str, float]:
    """One score of every explainer, normalised: random is 0, the reference method ``top`` is 1."""
    if (RANDOM, score) not in scores or (top, score) not in scores:
        return {}
    length = _mean(_defined(gains(top, score, scores)))
    names = [name for name, scored in scores if scored == score]
    return {n: _mean(_defined(gains(n, score, scores))) / length if length > 0 else float("nan") for n in names}


def _normalised(criterion: Check, name: str, scores: Scores, top: str) -> Reading:
    gain = gains(name, criterion.score, scores)
    if name == top or (top, criterion.score) not in scores:
        known = _defined(gain)
        size = abs(_mean(known))
        if not size > 0:  # the rows have gains, but no unit to express them in
            rows = np.full(len(gain), np.nan)
            return Reading(float("nan"), Basis("ratio", {"part": known, "whole": known}), rows, len(gain) - len(known))
        basis = Basis("student", {"values": known / size})
        return Reading(_mean(known / size), basis, gain / size, len(gain) - len(known))
    reference = gains(top, criterion.score, scores)
    both = ~np.isnan(gain) & ~np.isnan(reference)
    length = _mean(reference[both])
    rows = np.where(both, gain / length, np.nan) if length > 0 else np.full(len(gain), np.nan)
    estimate = _mean(gain[both]) / length if length > 0 else float("nan")
    basis = Basis("ratio", {"part": gain[both], "whole": reference[both]})
    return Reading(estimate, basis, rows, int((~both).sum()))


def _defined(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")
