# SPDX-License-Identifier: Apache-2.0
"""The outcome of one check: an estimate, its interval, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from assay.basics.fingerprint import digest
from assay.basics.stats import Basis, Interval
from assay.basics.types import Floats

Verdict = Literal["pass", "fail", "rejected", "undecided", "informative", "not applicable", "not run", "error"]
"""The outcome of a check. "rejected" is a failure of an explanation that an audit tried without being asked for it: it
is reported, and is no failure of the model."""


PRACTICAL = 20
"""Further rows, in multiples of the present ones, beyond which a check is called practically undecidable."""


MAX_ROWS = 200
"""Most rows that a finding names."""


@dataclass(frozen=True, eq=False)
class EvidencePicture:
    """A small picture (channel, height, width), or a map with a sign (height, width), and what it shows.

    JSON for other programs has its caption and fingerprint; a saved file has all.
    """

    caption: str
    values: Floats = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Of the caption and the values."""
        return digest(self.caption, self.values)

    @property
    def is_map(self) -> bool:
        """Whether it is a map, not a picture."""
        return np.ndim(self.values) == 2


@dataclass(frozen=True)
class Finding:
    """One check's outcome: an estimate, the interval that decides the verdict, and the threshold.

    ``direction`` is the passing side of ``threshold``; ``threshold_origin`` says where that comes from.
    ``evidence`` is small JSON-able data for the page.
    ``basis`` recomputes the interval at any level; where many checks are judged together, ``interval`` is at the
    level of the verdict and ``alone`` is the interval of this check alone. ``more`` estimates how many further rows
    would decide an undecided check.

    ``severity`` of a failure is by the rule of ``assay.nouns.results.severity``; ``affected`` is the share of rows that
    the finding is about. ``detectable`` is the smallest estimate on the failing side that this many rows show to fail
    in four of five samples. ``null_interval`` is where the estimate lies where there is no effect, at the level that it
    names. ``rows`` are ids of rows that show the finding, the clearest first; ``rows_of`` says whether these are of the
    rows given or of the training rows. ``features`` are those that an explanation names on these rows; ``features_by``
    is its method, ``features_verdict`` whether it may be used. ``pictures`` show it, where rows are pictures.
    """

    code: str
    verdict: Verdict
    claim: str
    subject: str
    estimate: float = float("nan")
    interval: Interval | None = None
    threshold: float | None = None
    direction: Literal["at most", "at least", ""] = ""
    null: float | None = None
    n: int = 0
    meaning: str = ""
    advice: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    basis: Basis | None = field(default=None, compare=False, repr=False)
    alone: Interval | None = None
    threshold_origin: str = ""
    more: int | None = None
    severity: Literal["", "low", "medium", "high"] = ""
    affected: float = 1.0
    detectable: float | None = None
    null_interval: Interval | None = None
    rows: tuple[Any, ...] = ()
    rows_of: Literal["data", "train"] = "data"
    features: tuple[str, ...] = ()
    features_by: str = ""
    features_verdict: str = ""
    pictures: tuple[EvidencePicture, ...] = field(default=(), compare=False)

    @property
    def is_practically_undecidable(self) -> bool:
        """Whether an undecided check needs more than ``PRACTICAL`` times the present rows.

        Without a number (``more`` is ``None``) it does where the interval is finite: the number was then searched, and
        none up to 1,000 times the present rows decides.
        """
        if self.verdict != "undecided" or not self.n:
            return False
        if self.more is not None:
            return self.more > PRACTICAL * self.n
        return self.interval is not None and math.isfinite(self.interval.high - self.interval.low)

    def of(self, subject: str) -> Finding:
        """The same finding about one of several subjects, such as a sensitive column, which its claim then names."""
        claim = f"{self.claim[:1].lower()}{self.claim[1:]}" if self.claim[1:2].islower() else self.claim
        return replace(self, subject=subject, claim=f"{subject}: {claim}")


def judge(
    interval: Interval,
    threshold: float,
    direction: Literal["at most", "at least"],
    undecided_from: float | None = None,
) -> Literal["pass", "fail", "undecided"]:
    """The verdict: pass if the whole interval is on the passing side of ``threshold``, fail if none of it is.

    Otherwise undecided; with ``undecided_from`` only where the interval reaches that value on the passing side, and
    else fail. The threshold itself passes; an interval with a NaN limit is undecided.
    """
    sign = 1 if direction == "at most" else -1
    low, high = (interval.low, interval.high) if direction == "at most" else (-interval.high, -interval.low)
    limit = sign * threshold
    if low <= limit and high <= limit:
        return "pass"
    if undecided_from is not None and high > limit and low > sign * undecided_from:
        return "fail"
    return "fail" if low > limit and high > limit else "undecided"


def claim_number(value: float) -> str:
    """A number in a claim: three significant digits, from 1000 on with thousands separators and no exponent."""
    return f"{float(f'{value:.3g}'):,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.3g}"
