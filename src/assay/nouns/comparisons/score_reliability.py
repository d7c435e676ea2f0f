# SPDX-License-Identifier: Apache-2.0
"""Whether a score can be believed on this model and these rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from assay.basics.stats import Interval
from assay.basics.types import Floats, Masks, PerRow
from assay.nouns.records.saveable import Saveable

Trust = Literal["reliable", "unreliable", "undecided"]


@dataclass(frozen=True)
class Check:
    """One thing asked of a score: what was found, its interval, and what is asked for at least (or at most)."""

    name: str
    estimate: float
    interval: Interval
    threshold: float
    passing: Literal["at least", "at most"]
    rows: int

    @property
    def holds(self) -> bool | None:
        """Whether the whole interval is on the passing side; ``None`` where it is on both, or undefined."""
        sign = 1.0 if self.passing == "at least" else -1.0
        low, high = sorted((sign * self.interval.low, sign * self.interval.high))
        if low >= sign * self.threshold:
            return True
        return False if high < sign * self.threshold else None

    @property
    def told(self) -> str:
        """The figures in words."""
        limits = f"[{self.interval.low:.2f}, {self.interval.high:.2f}]"
        return f"{self.name} {self.estimate:.2f} {limits}, asked for {self.passing} {self.threshold:g}"


@dataclass(frozen=True, repr=False, eq=False)
class Reliability(Saveable):
    """Whether a score keeps still under tiny noise and moves when the explanation is replaced by chance.

    ``still`` holds, for each noise, the checks of which one must hold; ``reacts``, for each chance explanation, the
    check that must. ``spearman`` is the mean rank correlation over rows between the scores and the noisy ones, by
    noise. ``scores`` keeps what all this is made from: "given" (row,), the noisy and the random ones (row, draw).
    """

    score: str
    of: str
    still: Mapping[str, tuple[Check, ...]]
    reacts: Mapping[str, Check]
    spearman: Mapping[str, float]
    scores: Mapping[str, Floats]
    left_out: int
    level: float
    cost: Mapping[str, int]
    better: str = "higher"

    @property
    def whole(self) -> Masks:
        """The rows (row,) on which every score is defined."""
        return np.all([np.isfinite(one.reshape(len(one), -1)).all(axis=1) for one in self.scores.values()], axis=0)

    def wins(self, kind: str) -> PerRow:
        """How often (row,) the explanation beats a "shuffled" or "random" one, on the rows that are whole."""
        return won(self.scores["given"][self.whole], self.scores[kind][self.whole], self.better)

    def moved(self, noise: str = "explanation") -> PerRow:
        """How far (row,) a noise moves the score, in its units: mean absolute change over draws."""
        return self._away(self.scores[noise])

    @property
    def swing(self) -> PerRow:
        """How far (row,) chance moves the score: mean absolute change over shuffled and random explanations."""
        return self._away(np.concatenate([self.scores["shuffled"], self.scores["random"]], axis=1))

    def _away(self, other: Floats) -> PerRow:
        whole = self.whole
        return np.asarray(np.abs(other[whole] - self.scores["given"][whole][:, None]).mean(axis=1), dtype=np.float64)

    @property
    def verdict(self) -> Trust:
        """ "unreliable" where a demand is shown to fail, "reliable" where all are shown to hold."""
        found = [_any(checks) for checks in self.still.values()] + [check.holds for check in self.reacts.values()]
        if False in found:
            return "unreliable"
        return "reliable" if all(found) else "undecided"

    @property
    def reasons(self) -> tuple[str, ...]:
        """What failed, or is open, with its figures; empty for a reliable score."""
        moved = [
            (_any(checks), f"{'moves' if _any(checks) is False else 'may move'} under tiny noise of the {noise}: "
             + " and ".join(check.told for check in checks))
            for noise, checks in self.still.items()
        ]  # fmt: skip
        blind = [
            (
                check.holds,
                f"{'does' if check.holds is False else 'may'} not tell the explanation from {kind} ones: {check.told}",
            )
            for kind, check in self.reacts.items()
        ]
        failed = [text for holds, text in moved + blind if holds is False]
        return tuple(failed or [text for holds, text in moved + blind if holds is None])

    def to_frame(self, backend: Any = "pandas") -> Any:
        """One line a check: what it is of, estimate, low, high, threshold, whether it holds, rows."""
        import narwhals as nw

        checks = [(noise, check) for noise, held in self.still.items() for check in held] + list(self.reacts.items())
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
        lines = [f"{self.score} of {self.of} is {self.verdict} here"]
        told = self.reasons or [check.told for check in self.reacts.values()]
        lines += [f"  {text}" for text in list(told)[:4]]
        if self.left_out:
            lines.append(
                f"  {self.left_out} of {len(self.scores['given'])} rows left out: the score is undefined there"
            )
        return "\n".join(lines)


def won(own: PerRow, other: Floats, better: str) -> PerRow:
    """Share (row,) of ``other`` (row, draw) that a row's own score is better than, ties half."""
    sign = -1.0 if better == "lower" else 1.0
    mine, theirs = sign * own[:, None], sign * other
    return np.asarray(((mine > theirs) + 0.5 * (mine == theirs)).mean(axis=1), dtype=np.float64)


def _any(checks: tuple[Check, ...]) -> bool | None:
    """Whether one of them holds; ``False`` only where all fail."""
    found = [check.holds for check in checks]
    if True in found:
        return True
    return False if all(one is False for one in found) else None
