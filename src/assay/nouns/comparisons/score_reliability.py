# SPDX-License-Identifier: Apache-2.0
"""The reliability of a score on a model and rows: noise resilience and reactivity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from assay.basics.stats import Interval
from assay.basics.types import Floats, Masks, PerRow
from assay.nouns.records.saveable import Saveable

ReliabilityVerdict = Literal["reliable", "unreliable", "undecided"]


@dataclass(frozen=True)
class ReliabilityCheck:
    """One requirement of a score: the estimate, its interval, and the threshold it must be above (or below)."""

    name: str
    estimate: float
    interval: Interval
    threshold: float
    direction: Literal["at least", "at most"]
    rows: int

    @property
    def holds(self) -> bool | None:
        """Whether the whole interval is on the passing side; ``None`` where it has the threshold inside, or is NaN."""
        sign = 1.0 if self.direction == "at least" else -1.0
        low, high = sorted((sign * self.interval.low, sign * self.interval.high))
        if low >= sign * self.threshold:
            return True
        return False if high < sign * self.threshold else None

    @property
    def text(self) -> str:
        """Estimate, interval and threshold as text."""
        limits = f"[{self.interval.low:.2f}, {self.interval.high:.2f}]"
        return f"{self.name} {self.estimate:.2f} {limits}, required: {self.direction} {self.threshold:g}"


@dataclass(frozen=True, repr=False, eq=False)
class Reliability(Saveable):
    """Whether a score is stable under tiny noise and changes when the explanation is replaced by a random one.

    ``noise_resilience`` holds two checks for each kind of noise, of which one must pass; ``reactivity`` holds one check
    for each kind of random explanation, which must pass. ``spearman`` is the mean rank correlation over rows between
    the scores and the noisy scores, by noise. ``scores`` holds the scores behind all checks: "given" (row,), noisy and
    random ones (row, draw).
    """

    score: str
    of: str
    noise_resilience: Mapping[str, tuple[ReliabilityCheck, ...]]
    reactivity: Mapping[str, ReliabilityCheck]
    spearman: Mapping[str, float]
    scores: Mapping[str, Floats]
    left_out: int
    level: float
    cost: Mapping[str, int]
    better: str = "higher"

    @property
    def complete_rows(self) -> Masks:
        """The rows (row,) on which every score is defined."""
        return np.all([np.isfinite(one.reshape(len(one), -1)).all(axis=1) for one in self.scores.values()], axis=0)

    def win_rates(self, kind: str) -> PerRow:
        """Share (row,) of "shuffled" or "random" explanations that the explanation beats, on complete rows."""
        complete = self.complete_rows
        return win_rate(self.scores["given"][complete], self.scores[kind][complete], self.better)

    def noise_change(self, noise: str = "explanation") -> PerRow:
        """Mean absolute change (row,) of the score over draws of a noise, in units of the score."""
        return self._mean_change(self.scores[noise])

    @property
    def random_change(self) -> PerRow:
        """Mean absolute change (row,) of the score over shuffled and random explanations, in units of the score."""
        return self._mean_change(np.concatenate([self.scores["shuffled"], self.scores["random"]], axis=1))

    def _mean_change(self, other: Floats) -> PerRow:
        complete = self.complete_rows
        own = self.scores["given"][complete][:, None]
        return np.asarray(np.abs(other[complete] - own).mean(axis=1), dtype=np.float64)

    @property
    def verdict(self) -> ReliabilityVerdict:
        """ "unreliable" where a requirement is shown to fail, "reliable" where all are shown to hold."""
        found = [_any(checks) for checks in self.noise_resilience.values()] + [
            check.holds for check in self.reactivity.values()
        ]
        if False in found:
            return "unreliable"
        return "reliable" if all(found) else "undecided"

    @property
    def reasons(self) -> tuple[str, ...]:
        """The failed requirements, else the undecided ones, with their figures; empty for a reliable score."""
        unstable = [
            (_any(checks), f"{'is' if _any(checks) is False else 'may be'} unstable under tiny noise of the {noise}: "
             + " and ".join(check.text for check in checks))
            for noise, checks in self.noise_resilience.items()
        ]  # fmt: skip
        unreactive = [
            (
                check.holds,
                f"{'does' if check.holds is False else 'may'} not distinguish the explanation from {kind} ones: "
                f"{check.text}",
            )
            for kind, check in self.reactivity.items()
        ]
        failed = [text for holds, text in unstable + unreactive if holds is False]
        return tuple(failed or [text for holds, text in unstable + unreactive if holds is None])

    def to_frame(self, backend: Any = "pandas") -> Any:
        """One line a check: kind of noise or random explanation, estimate, low, high, threshold, holds, rows."""
        import narwhals as nw

        checks = [(noise, check) for noise, both in self.noise_resilience.items() for check in both]
        checks += self.reactivity.items()
        columns: dict[str, list[Any]] = {
            "of": [of for of, _ in checks],
            "check": [check.name for _, check in checks],
            "estimate": [check.estimate for _, check in checks],
            "low": [check.interval.low for _, check in checks],
            "high": [check.interval.high for _, check in checks],
            "threshold": [check.threshold for _, check in checks],
            "holds": [{True: "yes", False: "no", None: "undecided"}[check.holds] for _, check in checks],
            "rows": [check.rows for _, check in checks],
        }
        return nw.from_dict(columns, backend=backend).to_native()

    def __repr__(self) -> str:
        lines = [f"Reliability of {self.score} (measured with {self.of}): {self.verdict}"]
        texts = self.reasons or [check.text for check in self.reactivity.values()]
        lines += [f"  {text}" for text in list(texts)[:4]]
        if self.left_out:
            lines.append(
                f"  {self.left_out} of {len(self.scores['given'])} rows left out: the score is undefined there"
            )
        return "\n".join(lines)


def win_rate(own: PerRow, other: Floats, better: str) -> PerRow:
    """Share (row,) of ``other`` (row, draw) that a row's own score is better than; ties count half."""
    sign = -1.0 if better == "lower" else 1.0
    one, two = sign * own[:, None], sign * other
    return np.asarray(((one > two) + 0.5 * (one == two)).mean(axis=1), dtype=np.float64)


def _any(checks: tuple[ReliabilityCheck, ...]) -> bool | None:
    """Whether one of the checks holds; ``False`` only where all fail."""
    found = [check.holds for check in checks]
    if True in found:
        return True
    return False if all(one is False for one in found) else None
