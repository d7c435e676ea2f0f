# SPDX-License-Identifier: Apache-2.0
"""The outcome of one check: an estimate, its interval, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from assay.basics.stats import Basis, Interval

Verdict = Literal["pass", "fail", "undecided", "informative", "not applicable", "not run", "error"]


@dataclass(frozen=True)
class Finding:
    """One check's outcome: an estimate, the interval that decides the verdict, and the threshold.

    ``direction`` is the passing side of ``threshold``. ``evidence`` is small JSON-able data for the page.
    ``basis`` recomputes the interval at any level; where many checks are judged together, ``interval`` is at the
    level of the verdict and ``alone`` is the interval of this check alone. ``more`` estimates how many further rows
    would decide an undecided check.
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
    more: int | None = None

    def of(self, subject: str) -> Finding:
        """The same finding about one of several subjects, such as a sensitive column, which its claim then names."""
        claim = f"{self.claim[:1].lower()}{self.claim[1:]}" if self.claim[1:2].islower() else self.claim
        return replace(self, subject=subject, claim=f"{subject}: {claim}")


def judge(
    interval: Interval, threshold: float, direction: Literal["at most", "at least"]
) -> Literal["pass", "fail", "undecided"]:
    """The verdict: pass if the whole interval is on the passing side of ``threshold``, fail if none of it is.

    Otherwise undecided. The threshold itself passes; an interval with a NaN limit is undecided.
    """
    low, high = (interval.low, interval.high) if direction == "at most" else (-interval.high, -interval.low)
    limit = threshold if direction == "at most" else -threshold
    if low <= limit and high <= limit:
        return "pass"
    return "fail" if low > limit and high > limit else "undecided"
