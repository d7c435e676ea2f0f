# SPDX-License-Identifier: Apache-2.0
"""The result of a comparison of explanation methods by scores on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import Interval
from assay.basics.types import Floats
from assay.nouns.records.plottable import Plottable
from assay.nouns.records.saveable import Saveable
from assay.nouns.results.result import Note

PairVerdict = Literal["better", "worse", "higher", "lower", "same within margin", "undecided"]
"""The verdict on one method against another; "higher" and "lower" are for scores without a better direction."""

REVERSED: dict[PairVerdict, PairVerdict] = {"better": "worse", "worse": "better", "higher": "lower", "lower": "higher"}


@dataclass(frozen=True)
class Pair:
    """Two methods compared by one score, on the ``rows`` where both have a value; ``left_out`` counts the other rows.

    ``difference`` is the mean of ``one`` minus that of ``other``, in units of the score, with the ``interval`` of this
    pair alone (``basics.clustered.mean_interval``). ``p`` tests no difference, ``p_same`` a difference of at least
    ``margin``; ``p_adjusted`` and ``p_same_adjusted`` are adjusted over all pairs of the score. ``cliffs_delta`` is
    Cliff's δ, ``standardised_difference`` the difference divided by the standard deviation of differences. ``more``
    estimates how many further rows would decide an undecided pair.
    """

    score: str
    one: str
    other: str
    rows: int
    left_out: int
    difference: float
    interval: Interval
    p: float
    p_adjusted: float
    margin: float
    p_same: float
    p_same_adjusted: float
    cliffs_delta: float
    standardised_difference: float
    verdict: PairVerdict
    more: int | None

    @property
    def reversed(self) -> Pair:
        """The same pair with the methods exchanged."""
        low, high = -self.interval.high, -self.interval.low
        return replace(
            self,
            one=self.other,
            other=self.one,
            difference=-self.difference,
            interval=replace(self.interval, low=low, high=high),
            cliffs_delta=-self.cliffs_delta,
            standardised_difference=-self.standardised_difference,
            verdict=REVERSED.get(self.verdict, self.verdict),
        )

    @property
    def text(self) -> str:
        """The verdict; for an undecided pair with the estimated number of further rows that would decide it."""
        if self.verdict != "undecided" or self.more is None:
            return self.verdict
        return f"undecided; about {self.more:,} more rows would decide it"


@dataclass(frozen=True, eq=False)
class Ranking:
    """Methods ranked on each row (1 is best), without references: the data of a critical-difference diagram.

    ``average`` (method,) are mean ranks over the ``rows`` where all methods have a value (``left_out`` counts the
    others; a cluster counts once, by its means). ``chi2`` and ``p`` are Friedman's test; ``groups`` are methods whose
    mean ranks differ by less than Nemenyi's ``critical_difference``. ``concordance`` is Kendall's W. ``alpha`` is
    Krippendorff's α of the ranks, with rows as raters and methods as items: near 0, each row orders the methods
    differently, and a mean over few rows is not informative (Tomsett et al. 2020). ``chances`` (method, rank) is how
    often a method has a rank by its mean in resamples of the rows; ``flip_rate`` is how often the best method is
    another one there.
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
        """How often each method has the best mean in resamples of the rows, (method,)."""
        return np.asarray(self.chances[:, 0])


@dataclass(frozen=True, eq=False)
class Scored:
    """All methods by one score. Arrays are (method,) except ``values`` (row, method), which contains NaN.

    ``error`` is the standard error of the mean. ``monte_carlo`` is its part that more draws would remove:
    √(mean s² / n) with s the standard error of a row's score, if draws are independent between rows;
    ``monte_carlo_upper``, the mean of s, is that part if rows share their draws. Both are NaN for a score without
    standard errors. ``sampling`` = √(error² − monte_carlo²) is the part that more rows would reduce; NaN where the
    Monte Carlo error is larger.
    ``normalised`` is (mean − random) / (oracle − random) over the rows where all three are defined, with its percentile
    interval; NaN where the oracle is not better than random.
    """

    score: str
    better: Literal["higher", "lower", "neither"]
    values: Floats
    mean: Floats
    intervals: tuple[Interval, ...]
    error: Floats
    monte_carlo: Floats
    monte_carlo_upper: Floats
    sampling: Floats
    left_out: Any
    normalised: Floats
    normalised_low: Floats
    normalised_high: Floats
    margin: float
    pairs: tuple[Pair, ...]
    ranking: Ranking | None


@dataclass(frozen=True, repr=False, eq=False)
class MethodComparison(Saveable, Plottable):
    """Methods compared by scores on the same rows. ``references`` maps the roles "random", "oracle" … to methods.

    For each score, the probability that any verdict on a pair is wrong is at most 1 − ``level``; there is no adjustment
    across scores. ``across_methods`` (score, score) is the Spearman correlation of two scores' means over methods: 1
    where they rank the methods equally. ``across_rows`` is that of their values over rows, averaged over methods. Both
    are oriented so that higher is better, and NaN below three methods or rows or where a score is constant.
    ``unreliable`` maps scores that were left out to the reasons.
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
        """All methods by this score; the name is optional where there is only one score."""
        if score is None and len(self.scores) == 1:
            return next(iter(self.scores.values()))
        if score is None or score not in self.scores:
            raise InputError(f"score={score!r}; give one of {', '.join(self.scores)}.")
        return self.scores[score]

    def pair(self, one: str, other: str, score: str | None = None) -> Pair:
        """The comparison of ``one`` with ``other`` by the score."""
        for pair in self.of(score).pairs:
            if (pair.one, pair.other) == (one, other):
                return pair
            if (pair.one, pair.other) == (other, one):
                return pair.reversed
        references = ", ".join(self.references.values()) or "none"
        raise InputError(
            f"{one!r} and {other!r} were not compared; methods are {', '.join(self.methods)}, and references "
            f"({references}) are not compared with each other."
        )

    def verdict(self, one: str, other: str, score: str | None = None) -> str:
        """Whether ``one`` is "better" or "worse" than ``other``, or "same within margin", or "undecided".

        "same within margin" has precedence over "better" and "worse". The text of an undecided verdict has the
        estimated number of further rows that would decide it, where it can be estimated.
        """
        return self.pair(one, other, score).text

    def to_frame(self, of: Literal["methods", "pairs", "rows", "scores"] = "methods", backend: Any = "pandas") -> Any:
        """One line for each score and method, or pair of methods, or row and method; or one line a score."""
        import narwhals as nw

        frames = {"methods": self._methods, "pairs": self._pairs, "rows": self._rows, "scores": self._scores}
        if of not in frames:
            raise InputError(f"of={of!r}; there are frames of {', '.join(frames)}.")
        lines = frames[of]()
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
                line |= {what: float(getattr(scored, what)[i]) for what in ("monte_carlo", "sampling", "normalised")}
                line |= {"rows": len(self.ids) - int(scored.left_out[i]), "left_out": int(scored.left_out[i])}
                line |= {"rank": float(ranks.get(method, np.nan)), "best": float(first.get(method, np.nan))}
                lines.append(line)
        return lines

    def _pairs(self) -> list[dict[str, Any]]:
        columns: tuple[str, ...] = (
            "score",
            "one",
            "other",
            "rows",
            "left_out",
            "difference",
            "p",
            "p_adjusted",
            "margin",
        )
        columns += ("p_same", "p_same_adjusted", "cliffs_delta", "standardised_difference", "verdict", "more")
        pairs = [pair for scored in self.scores.values() for pair in scored.pairs]
        if not pairs:
            raise InputError("no pair of methods was compared.")
        limits = ({"low": pair.interval.low, "high": pair.interval.high} for pair in pairs)
        return [{name: getattr(pair, name) for name in columns} | limit for pair, limit in zip(pairs, limits)]

    def _rows(self) -> list[dict[str, Any]]:
        return [
            {"score": name, "row": row, "method": method, "value": float(scored.values[i, j])}
            for name, scored in self.scores.items()
            for i, row in enumerate(self.ids)
            for j, method in enumerate(self.methods)
        ]

    def _scores(self) -> list[dict[str, Any]]:
        """The statistics of each score's ranking; for scores left out, the reason."""
        statistics = ("alpha", "concordance", "chi2", "p", "flip_rate")
        lines = [
            {"score": name, "better": scored.better, "rows": 0 if scored.ranking is None else scored.ranking.rows}
            | {what: float("nan") if scored.ranking is None else getattr(scored.ranking, what) for what in statistics}
            | {"left_out": ""}
            for name, scored in self.scores.items()
        ]
        empty = {"better": "", "rows": 0} | {what: float("nan") for what in statistics}
        return lines + [{"score": name} | empty | {"left_out": why} for name, why in self.unreliable.items()]

    def __repr__(self) -> str:
        grouped = f" in {self.clusters} clusters" if self.clusters < len(self.ids) else ""
        lines = [
            f"MethodComparison: {len(self.methods)} methods × {len(self.scores)} scores, {len(self.ids)} rows{grouped}"
        ]
        lines += [f"  {_line(scored, self.methods)}" for scored in list(self.scores.values())[:3]]
        if len(self.scores) > 3:
            lines.append(f"  … {len(self.scores) - 3} more scores; to_frame() has all of them")
        if self.notes:
            lines.append(
                f"  note: {self.notes[0].text}" + (f" (+{len(self.notes) - 1} notes)" if self.notes[1:] else "")
            )
        return "\n".join(lines)


def _line(scored: Scored, methods: tuple[str, ...]) -> str:
    decided = sum(pair.verdict != "undecided" for pair in scored.pairs)
    pairs = f"{decided} of {len(scored.pairs)} pairs decided"
    if scored.ranking is None:
        return f"{scored.score} (no better direction): {pairs}"
    ranked = scored.ranking
    best = int(np.argmin(ranked.average))
    mean = scored.mean[methods.index(ranked.methods[best])]
    return (
        f"{scored.score} ({scored.better} is better): first {ranked.methods[best]} (mean {mean:.3g}, best mean in "
        f"{ranked.best[best]:.0%} of resamples, α {ranked.alpha:.2f}); {pairs}"
    )
