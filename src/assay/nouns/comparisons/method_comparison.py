# SPDX-License-Identifier: Apache-2.0
"""Several methods beside each other, scored on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import Interval
from assay.basics.types import Floats
from assay.nouns.records.saveable import Saveable
from assay.nouns.results.result import Note

Standing = Literal["better", "worse", "higher", "lower", "same within margin", "undecided"]
"""Of one method beside another; "higher" and "lower" by a score that has no better side."""

TURNED: dict[Standing, Standing] = {"better": "worse", "worse": "better", "higher": "lower", "lower": "higher"}


@dataclass(frozen=True)
class Pair:
    """Two methods by one score, on the ``rows`` where both have a value (``left_out``: the others).

    ``difference`` is the mean of ``one`` less that of ``other``, in units of the score, with an ``interval`` of this
    pair alone (``words.stats.skewed``). ``p`` is of no difference, ``p_same`` of a difference of ``margin`` or more;
    ``adjusted`` and ``same_adjusted`` are held together over all pairs of the score. ``delta`` is Cliff's, ``effect``
    the difference over the standard deviation of differences. ``more`` estimates the further rows that would decide an
    undecided pair.
    """

    score: str
    one: str
    other: str
    rows: int
    left_out: int
    difference: float
    interval: Interval
    p: float
    adjusted: float
    margin: float
    p_same: float
    same_adjusted: float
    delta: float
    effect: float
    verdict: Standing
    more: int | None

    @property
    def turned(self) -> Pair:
        """The same seen from the other method."""
        low, high = -self.interval.high, -self.interval.low
        return replace(
            self,
            one=self.other,
            other=self.one,
            difference=-self.difference,
            interval=replace(self.interval, low=low, high=high),
            delta=-self.delta,
            effect=-self.effect,
            verdict=TURNED.get(self.verdict, self.verdict),
        )

    @property
    def told(self) -> str:
        """The verdict, and where there is none, about how many more rows would bring one."""
        if self.verdict != "undecided" or self.more is None:
            return self.verdict
        return f"undecided; about {self.more:,} more rows would decide"


@dataclass(frozen=True, eq=False)
class Ranking:
    """Methods ranked on each row (1 is best), references left out: all that a critical-difference diagram shows.

    ``average`` (method,) ranks over ``rows``, those where all have a value (``left_out``: the others; clusters count
    once, by their means). ``chi2`` and ``p`` are Friedman's; ``groups`` the methods that Nemenyi's
    ``critical_difference`` does not tell apart. ``concordance`` is Kendall's W. ``alpha`` is Krippendorff's α of the
    ranks, with rows as raters and methods as what they rate: near 0 every row orders the methods in its own way, and a
    mean over few rows says little (Tomsett et al. 2020). ``chances`` (method, rank) is how often a method takes a rank
    by its mean when rows are drawn again; ``flip_rate`` how often the best is then another.
    """

    methods: tuple[str, ...]
    average: Floats
    chi2: float
    p: float
    critical_difference: float
    groups: tuple[tuple[str, ...], ...]
    concordance: float
    alpha: float
    chances: Floats
    flip_rate: float
    rows: int
    left_out: int

    @property
    def best(self) -> Floats:
        """How often each method has the best mean when rows are drawn again, (method,)."""
        return np.asarray(self.chances[:, 0])


@dataclass(frozen=True, eq=False)
class Scored:
    """All methods by one score. Arrays are (method,) but for the table ``values`` (row, method), NaN kept.

    ``error`` is the standard error of the mean. ``monte_carlo`` is the part of it that more draws would take away,
    √(mean s² / n) with s a row's own standard error, as if rows drew apart; ``monte_carlo_most``, the mean of s, if
    they shared all draws. NaN where the score has no errors. ``sampling`` = √(error² − monte_carlo²) is what more rows
    would take away, NaN where the draws' error is larger. ``normalised`` is (mean − random) / (oracle − random) over
    the rows all three have, with its percentile interval; NaN where the ladder does not rise from random to oracle.
    """

    score: str
    better: Literal["higher", "lower", "neither"]
    values: Floats
    mean: Floats
    intervals: tuple[Interval, ...]
    error: Floats
    monte_carlo: Floats
    monte_carlo_most: Floats
    sampling: Floats
    left_out: Any
    normalised: Floats
    normalised_low: Floats
    normalised_high: Floats
    margin: float
    pairs: tuple[Pair, ...]
    ranking: Ranking | None


@dataclass(frozen=True, repr=False, eq=False)
class MethodComparison(Saveable):
    """Methods by scores on the same rows. ``references`` names the method that plays each part of the ladder.

    The chance that any verdict on a pair is wrong is at most 1 − ``level`` a score; scores are not held together.
    ``across_methods`` (score, score) is the Spearman correlation of two scores' means over methods, 1: they rank
    methods alike; ``across_rows`` that of their values over rows, averaged over methods. Both with higher as better;
    NaN below three methods or rows, or where a score is constant. ``unreliable`` names scores that were left out, and
    why.
    """

    methods: tuple[str, ...]
    ids: tuple[str, ...]
    scores: Mapping[str, Scored]
    references: Mapping[str, str]
    clusters: int
    level: float
    across_methods: Floats
    across_rows: Floats
    unreliable: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = field(default=())

    def of(self, score: str | None = None) -> Scored:
        """All methods by this score; the name may be left away where there is one only."""
        if score is None and len(self.scores) == 1:
            return next(iter(self.scores.values()))
        if score is None or score not in self.scores:
            raise InputError(f"score={score!r}; name one of {', '.join(self.scores)}.")
        return self.scores[score]

    def pair(self, one: str, other: str, score: str | None = None) -> Pair:
        """What the score says of ``one`` beside ``other``."""
        for pair in self.of(score).pairs:
            if (pair.one, pair.other) == (one, other):
                return pair
            if (pair.one, pair.other) == (other, one):
                return pair.turned
        played = ", ".join(self.references.values()) or "none"
        raise InputError(
            f"{one!r} and {other!r} were not compared; there are {', '.join(self.methods)}, and references ({played}) "
            f"are not compared among themselves."
        )

    def verdict(self, one: str, other: str, score: str | None = None) -> str:
        """Whether ``one`` is "better" or "worse" than ``other``, or "same within margin", or "undecided".

        Same comes before better: a difference shown to lie within the margin does not matter, be it zero or not. An
        undecided verdict goes on to tell about how many more rows would decide, where that can be estimated.
        """
        return self.pair(one, other, score).told

    def to_frame(self, of: Literal["methods", "pairs", "rows", "scores"] = "methods", backend: Any = "pandas") -> Any:
        """One line for each score and method, or pair of methods, or row and method; or one line a score."""
        import narwhals as nw

        made = {"methods": self._methods, "pairs": self._pairs, "rows": self._rows, "scores": self._scores}
        if of not in made:
            raise InputError(f"of={of!r}; there are frames of {', '.join(made)}.")
        lines = made[of]()
        return nw.from_dict({name: [line[name] for line in lines] for name in lines[0]}, backend=backend).to_native()

    def _methods(self) -> list[dict[str, Any]]:
        lines = []
        for name, scored in self.scores.items():
            ranks = {} if scored.ranking is None else dict(zip(scored.ranking.methods, scored.ranking.average))
            first = {} if scored.ranking is None else dict(zip(scored.ranking.methods, scored.ranking.best))
            for i, method in enumerate(self.methods):
                line: dict[str, Any] = {"score": name, "better": scored.better, "method": method}
                line |= {"mean": float(scored.mean[i]), "low": scored.intervals[i].low}
                line |= {"high": scored.intervals[i].high, "error": float(scored.error[i])}
                line |= {what: float(getattr(scored, what)[i]) for what in ("monte_carlo", "sampling", "ladder")}
                line |= {"rows": len(self.ids) - int(scored.left_out[i]), "left_out": int(scored.left_out[i])}
                line |= {"rank": float(ranks.get(method, np.nan)), "best": float(first.get(method, np.nan))}
                lines.append(line)
        return lines

    def _pairs(self) -> list[dict[str, Any]]:
        held = ("score", "one", "other", "rows", "left_out", "difference", "p", "adjusted", "margin")
        tests = ("p_same", "same_adjusted", "delta", "effect", "verdict", "more")
        pairs = [pair for scored in self.scores.values() for pair in scored.pairs]
        if not pairs:
            raise InputError("no pair of methods was compared.")
        limits = ({"low": pair.interval.low, "high": pair.interval.high} for pair in pairs)
        return [{name: getattr(pair, name) for name in held + tests} | limit for pair, limit in zip(pairs, limits)]

    def _rows(self) -> list[dict[str, Any]]:
        return [
            {"score": name, "row": row, "method": method, "value": float(scored.values[i, j])}
            for name, scored in self.scores.items()
            for i, row in enumerate(self.ids)
            for j, method in enumerate(self.methods)
        ]

    def _scores(self) -> list[dict[str, Any]]:
        """How firmly each score ranks the methods; those left out with the reason."""
        told = ("alpha", "concordance", "chi2", "p", "flip_rate")
        lines = [
            {"score": name, "better": scored.better, "rows": 0 if scored.ranking is None else scored.ranking.rows}
            | {what: float("nan") if scored.ranking is None else getattr(scored.ranking, what) for what in told}
            | {"left_out": ""}
            for name, scored in self.scores.items()
        ]
        gone = {"better": "", "rows": 0} | {what: float("nan") for what in told}
        return lines + [{"score": name} | gone | {"left_out": why} for name, why in self.unreliable.items()]

    def __repr__(self) -> str:
        grouped = f" in {self.clusters} clusters" if self.clusters < len(self.ids) else ""
        lines = [
            f"MethodComparison: {len(self.methods)} methods × {len(self.scores)} scores, {len(self.ids)} rows{grouped}"
        ]
        lines += [f"  {_line(scored, self.methods)}" for scored in list(self.scores.values())[:3]]
        if len(self.scores) > 3:
            lines.append(f"  … {len(self.scores) - 3} more scores; to_frame() has all")
        if self.notes:
            lines.append(
                f"  note: {self.notes[0].text}" + (f" (+{len(self.notes) - 1} notes)" if self.notes[1:] else "")
            )
        return "\n".join(lines)


def _line(scored: Scored, methods: tuple[str, ...]) -> str:
    counts = {verdict: sum(pair.verdict == verdict for pair in scored.pairs) for verdict in ("undecided",)}
    told = f"{len(scored.pairs) - counts['undecided']} of {len(scored.pairs)} pairs decided"
    if scored.ranking is None:
        return f"{scored.score} (no better side): {told}"
    ranked = scored.ranking
    best = int(np.argmin(ranked.average))
    mean = scored.mean[methods.index(ranked.methods[best])]
    return (
        f"{scored.score} ({scored.better} is better): first {ranked.methods[best]} (mean {mean:.3g}, best mean in "
        f"{ranked.best[best]:.0%} of resamples, α {ranked.alpha:.2f}); {told}"
    )
