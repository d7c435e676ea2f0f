# SPDX-License-Identifier: Apache-2.0
"""What is asked of an explanation before it is relied on, read off its scores and held to thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import Basis
from assay.basics.types import Floats
from assay.engine.comparison.normalised_scores import oriented
from assay.nouns.results.result import Score

Scores = Mapping[tuple[str, str], Score]
"""Scores by explainer and score."""

Kind = Literal["faithful", "sane", "other"]

CHANCE = "random"
"""The explainer that is the foot of the ladder."""

ORACLES = ("oracle", "shapley", "tree_shapley", "permutation_shapley", "occlusion")
"""Explainers that may be its top: the first that was scored. Named beforehand, since the best one found would be best
partly by chance."""

LEAST_SHARE = 0.2
"""How far up the ladder an order must stand at least."""


@dataclass(frozen=True)
class Criterion:
    """One thing asked of an explanation: a score, what is read off it, and the side of a threshold it must be on.

    An ``is_normalised`` criterion reads the score normalised between random (0) and the oracle (1), row by row. ``kind`` says what failing it means: an explanation that is not ``faithful`` or
    not ``sane`` is not to be used. ``bounds`` are the least and the greatest value there can be, where there are such.
    ``reads`` names the score's extra that is read instead of its values.
    """

    code: str
    score: str
    question: str
    threshold: float
    direction: Literal["at most", "at least"]
    advice: str
    is_normalised: bool = False
    kind: Kind = "other"
    bounds: tuple[float, float] | None = None
    reads: str = ""


_ORDER = "Prefer an explanation that beats random order; check the result under another removal."

CRITERIA = (
    Criterion(
        "EXP101",
        "completeness",
        "leaves {estimate:.1%} of the target's rise unexplained",
        0.05,
        "at most",
        "Raise the steps of the quadrature, or take a method whose values add up.",
        reads="relative",
    ),
    Criterion(
        "EXP201",
        "deletion",
        "goes {estimate:.0%} of the way from random order to {top} in deletion",
        LEAST_SHARE,
        "at least",
        _ORDER,
        is_normalised=True,
        kind="faithful",
    ),
    Criterion(
        "EXP202",
        "insertion",
        "goes {estimate:.0%} of the way from random order to {top} in insertion",
        LEAST_SHARE,
        "at least",
        _ORDER,
        is_normalised=True,
        kind="faithful",
    ),
    Criterion(
        "EXP203",
        "faithfulness_correlation",
        "goes with the effect of removing parts at r = {estimate:.2f}",
        0.0,
        "at least",
        "Do not read its sums as effects; prefer a Shapley value of the same removal.",
        kind="faithful",
        bounds=(-1.0, 1.0),
    ),
    Criterion(
        "SAN102",
        "parameter_randomisation",
        "keeps rank correlation {estimate:.2f} when the weights are drawn afresh",
        0.3,
        "at most",
        "It shows the input more than the model. Prefer a method that forgets with the weights.",
        kind="sane",
        bounds=(-1.0, 1.0),
        reads="signed",
    ),
    Criterion(
        "SAN104",
        "parameter_randomisation",
        "keeps rank correlation {estimate:.2f} of magnitudes when the weights are drawn afresh",
        0.3,
        "at most",
        "Read its signs, too: where it is large tells more of the input than of the model.",
        bounds=(-1.0, 1.0),
        reads="absolute",
    ),
    Criterion(
        "SAN103",
        "runner_up_logit",
        "keeps rank correlation {estimate:.2f} when asked about the runner-up class",
        0.9,
        "at most",
        "The same picture speaks for both classes: show the difference of the two (target margin) instead.",
        bounds=(-1.0, 1.0),
    ),
    Criterion(
        "STA301",
        "max_sensitivity",
        "moves by {estimate:.2f} of its own size under tiny moves of the input",
        1.0,
        "at most",
        "Average it over noise, or show it together with its spread.",
    ),
)


def asked_of(name: str, scores: Scores) -> list[Criterion]:
    """The criteria that the scores of an explainer allow; magnitudes alone only where they are not all there is."""
    return [c for c in CRITERIA if (name, c.score) in scores and not _twice(c, scores[name, c.score])]


def _twice(criterion: Criterion, score: Score) -> bool:
    return criterion.code == "SAN104" and np.array_equal(score.extra["signed"], score.extra["absolute"], equal_nan=True)


def criterion_of(code: str) -> Criterion | None:
    """The criterion of this check code, if it is one."""
    return next((criterion for criterion in CRITERIA if criterion.code == code), None)


def oracle(scores: Scores, candidates: Sequence[str]) -> str:
    """Who stands at the top of the ladder: the first of ``ORACLES`` that was scored, else the first candidate."""
    known = {name for name, _ in scores}
    return next((name for name in ORACLES if name in known), next(iter(candidates), ""))


@dataclass(frozen=True, eq=False)
class Reading:
    """What a criterion reads off a score: the estimate, what its interval is made of, and how many rows it is of.

    ``rows`` (row,) are numbers whose mean over the defined ones is the estimate, the ladder's length taken as known.
    ``undefined`` counts rows left out.
    """

    estimate: float
    basis: Basis
    rows: Floats
    undefined: int

    @property
    def n(self) -> int:
        """Rows that the estimate is of."""
        return len(self.rows) - self.undefined


def reading(criterion: Criterion, name: str, scores: Scores, top: str) -> Reading:
    """What ``criterion`` reads off the scores of explainer ``name``; ``top`` stands at the top of the ladder.

    The yardstick itself stands at 1 by definition: its interval is that of its own gain, or −1 where that is a loss.
    Where the yardstick cannot be told from random the ladder has no length: other explainers' intervals are unbounded.
    """
    if criterion.is_normalised:
        return _climbed(criterion, name, scores, top)
    score = scores[name, criterion.score]
    values = score.extra[criterion.reads] if criterion.reads else score.values
    known = values[~np.isnan(values)]
    basis = Basis("student", {"values": known})
    if criterion.bounds is not None:
        basis = Basis("bounded", {"values": known, "bounds": np.array(criterion.bounds)})
    return Reading(_mean(known), basis, values, len(values) - len(known))


def gains(name: str, score: str, scores: Scores) -> Floats:
    """How much better (row,) an explainer scores than random."""
    if (CHANCE, score) not in scores:
        raise InputError(f"{score} of {name} is compared with the reference 'random'; score it too.")
    own, chance = scores[name, score], scores[CHANCE, score]
    return oriented(own.values, own.better) - oriented(chance.values, own.better)


def rungs(score: str, scores: Scores, top: str) -> dict[str, float]:
    """Where every explainer scored stands on the ladder of one score: random at 0, the yardstick at 1."""
    if (CHANCE, score) not in scores or (top, score) not in scores:
        return {}
    length = _mean(_known(gains(top, score, scores)))
    names = [name for name, scored in scores if scored == score]
    return {n: _mean(_known(gains(n, score, scores))) / length if length > 0 else float("nan") for n in names}


def _climbed(criterion: Criterion, name: str, scores: Scores, top: str) -> Reading:
    gain = gains(name, criterion.score, scores)
    if name == top or (top, criterion.score) not in scores:
        size = abs(_mean(_known(gain)))
        rows = gain / size if size > 0 else np.full(len(gain), np.nan)
        known = _known(rows)
        return Reading(_mean(known), Basis("student", {"values": known}), rows, len(rows) - len(known))
    reach = gains(top, criterion.score, scores)
    both = ~np.isnan(gain) & ~np.isnan(reach)
    length = _mean(reach[both])
    rows = np.where(both, gain / length, np.nan) if length > 0 else np.full(len(gain), np.nan)
    estimate = _mean(gain[both]) / length if length > 0 else float("nan")
    basis = Basis("ratio", {"part": gain[both], "whole": reach[both]})
    return Reading(estimate, basis, rows, int((~both).sum()))


def _known(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")
