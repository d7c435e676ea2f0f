# SPDX-License-Identifier: Apache-2.0
"""The result of the experiments on multiplicative smoothing: certified radii of explanations, and accuracy."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import Interval, clopper_pearson, wilson
from assay.basics.types import Floats
from assay.nouns.records.plottable import Plottable
from assay.nouns.records.saveable import Saveable

Side = Literal["incremental", "decremental"]
"""Features are added to the explained ones, or removed from the full input."""

By = Literal["votes", "probabilities"]
BY: tuple[By, ...] = ("votes", "probabilities")
"""What the smoothed model averages."""


@dataclass(frozen=True)
class MusSubject:
    """A model with its rows: ``text`` describes it, ``features`` counts those of a row (the mean, for texts).

    ``differences`` say where the experiment differs from the published one. ``rows`` are those explained,
    ``labelled`` those on which accuracy is measured (0: their labels are unknown).
    """

    name: str
    text: str
    rows: int
    labelled: int
    features: float
    removal: str
    q: int
    evaluations: int
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SkippedSubject:
    """A subject, or an explanation of one, that did not run, with the reason."""

    name: str
    reason: str


@dataclass(frozen=True)
class StabilityLine:
    """One explanation of one subject at one λ; all fields from ``consistent`` on are one number a row.

    ``selected`` is the mean number of explained features. ``consistent``: the smoothed model has the same class at the
    explained features and at the full input. ``incremental`` and ``decremental`` are the certified radii of the strict
    inequality, in whole features; those with ``ties`` also count equality, at which a tie is possible. They are given
    for all rows, consistent or not. ``attacked`` is the smallest number of added features with which a search changed
    the class of the smoothed model, NaN where it found none; empty where none was made. ``exhaustive``: the search
    evaluated every set.
    """

    subject: str
    explanation: str
    smoothing: float
    cap: float
    selected: float
    consistent: tuple[bool, ...]
    incremental: tuple[float, ...]
    incremental_ties: tuple[float, ...]
    decremental: tuple[float, ...]
    decremental_ties: tuple[float, ...]
    attacked: tuple[float, ...] = ()
    exhaustive: tuple[bool, ...] = ()

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.consistent)

    def certified(self, radius: float, side: Side = "incremental", *, ties: bool = False) -> int:
        """Number of rows that are consistent and certified at this radius or more."""
        radii = np.array(getattr(self, f"{side}_ties" if ties else side))
        return int((np.array(self.consistent) & (radii >= radius)).sum())

    def share(self, radius: float, side: Side = "incremental", *, ties: bool = False) -> float:
        """Share of the rows that are consistent and certified at this radius or more."""
        return self.certified(radius, side, ties=ties) / self.rows if self.rows else math.nan

    def interval(self, radius: float, side: Side = "incremental", *, ties: bool = False) -> Interval:
        """Clopper–Pearson limits at 95 % of the share over rows."""
        return clopper_pearson(self.certified(radius, side, ties=ties), self.rows)

    def unchanged(self, radius: float) -> float:
        """Share of the rows that are consistent and whose class no set of at most so many features, of those that the
        search evaluated, changes: an upper bound on the share that is stable at this radius. NaN without a search.
        """
        if not self.attacked:
            return math.nan
        found = np.array(self.attacked) <= radius  # NaN is not
        return float((np.array(self.consistent) & ~found).mean())

    @property
    def mean_attacked(self) -> float:
        """Mean number of added features that changed the class, over the rows where the search changed it."""
        known = np.array([one for one in self.attacked if math.isfinite(one)])
        return float(known.mean()) if len(known) else math.nan


@dataclass(frozen=True)
class AccuracyLine:
    """Accuracy of the smoothed model of one subject at one λ, on ``rows`` labelled rows.

    ``votes`` and ``probabilities`` count the rows classified correctly (``None``: labels unknown, or no probabilities).
    ``agreement`` is the share of rows where the votes decide as the model itself; ``histogram`` (class,) holds the
    share of the rows in each class of the votes, without empty classes, and ``entropy`` its entropy in nats: 0 for a
    constant model, which is certified everywhere.
    """

    subject: str
    smoothing: float
    rows: int
    votes: int | None
    probabilities: int | None
    agreement: float
    histogram: tuple[float, ...]

    @property
    def entropy(self) -> float:
        """Entropy of the classes of the votes in nats."""
        shares = np.array([one for one in self.histogram if one > 0])
        return float(-(shares * np.log(shares)).sum()) + 0.0

    @property
    def largest(self) -> float:
        """Share of the rows in the most frequent class."""
        return max(self.histogram, default=math.nan)

    def accuracy(self, by: By) -> float:
        """Share of the rows classified correctly; NaN where it is unknown."""
        hits = getattr(self, by)
        return math.nan if hits is None or not self.rows else hits / self.rows

    def interval(self, by: By) -> Interval:
        """Wilson limits at 95 %."""
        hits = getattr(self, by)
        return Interval(math.nan, math.nan, 0.95, "wilson") if hits is None else wilson(hits, self.rows)


@dataclass(frozen=True, repr=False)
class MusExperiment(Saveable, Plottable):
    """Both experiments on every subject, and what was skipped; ``versions`` are those of the libraries used."""

    subjects: tuple[MusSubject, ...]
    stability: tuple[StabilityLine, ...]
    accuracy: tuple[AccuracyLine, ...]
    skipped: tuple[SkippedSubject, ...]
    seed: int
    versions: Mapping[str, str] = field(default_factory=dict)

    def subject(self, name: str) -> MusSubject:
        """The subject of this name; ``InputError`` where there is none."""
        for one in self.subjects:
            if one.name == name:
                return one
        raise InputError(f"no subject {name!r}; there are {', '.join(one.name for one in self.subjects) or 'none'}.")

    def stability_of(self, subject: str) -> tuple[StabilityLine, ...]:
        """The lines of one subject."""
        return tuple(line for line in self.stability if line.subject == subject)

    def accuracy_of(self, subject: str) -> tuple[AccuracyLine, ...]:
        """The lines of one subject, the largest λ first."""
        return tuple(line for line in self.accuracy if line.subject == subject)

    def to_json(self) -> str:
        """Everything as JSON, with the shares and intervals that follow from the rows."""
        from assay.nouns.records.jsonable import to_jsonable

        plain = to_jsonable(self)
        for line, item in zip(self.stability, plain["stability"]):
            most = max(1, math.ceil(line.cap) - 1)
            item["certified"] = [
                {
                    "radius": radius,
                    **{
                        f"{side}{', ties counted' if ties else ''}": _with_limits(
                            line.share(radius, side, ties=ties), line.interval(radius, side, ties=ties)
                        )
                        for side in ("incremental", "decremental")
                        for ties in (False, True)
                    },
                    "unchanged by the search": to_jsonable(line.unchanged(radius)),
                }
                for radius in range(most + 1)
            ]
        for rate, item in zip(self.accuracy, plain["accuracy"]):
            item["entropy"] = rate.entropy
            for by in BY:
                item[f"accuracy by {by}"] = _with_limits(rate.accuracy(by), rate.interval(by))
        return json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def __repr__(self) -> str:
        return (
            f"MusExperiment: {len(self.subjects)} subjects, {len(self.stability)} lines of certified stability, "
            f"{len(self.accuracy)} of accuracy; {len(self.skipped)} skipped; seed {self.seed}"
        )


def random_is_best(lines: Sequence[StabilityLine], radius: float = 1.0) -> bool:
    """Whether random features are certified at this radius on as many rows as every explanation, and on some."""
    shares = {line.explanation: line.certified(radius) for line in lines}
    chance = shares.pop("random", 0)
    return bool(chance and shares) and chance >= max(shares.values())


def step_shares(line: StabilityLine, side: Side, *, ties: bool = False) -> tuple[Floats, Floats]:
    """Radii 0, 1, … up to the cap, and the share of rows certified at each."""
    radii = np.arange(0, max(1, math.ceil(line.cap) - (0 if ties else 1)) + 1, dtype=np.float64)
    return radii, np.array([line.share(float(r), side, ties=ties) for r in radii])


def _with_limits(share: float, limits: Interval) -> dict[str, float | None]:
    numbers = {"share": share, "low": limits.low, "high": limits.high}
    return {name: None if math.isnan(number) else number for name, number in numbers.items()}
