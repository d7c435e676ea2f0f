# SPDX-License-Identifier: Apache-2.0
"""How well students that saw explanations predict a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.errors import InputError
from assay.basics.stats import Interval
from assay.basics.types import Floats
from assay.nouns.records.saveable import Saveable
from assay.nouns.results.result import Note

WARNING = "ranks information that a student model can use; it does not say that people understand the model better"


@dataclass(frozen=True, repr=False, eq=False)
class Simulatability(Saveable):
    """Agreement of students with the model on rows whose explanations they did not see.

    ``agreement`` has one array (seed,) by arm: "none" (no explanations), "explained", "random" (the same attributions
    at other parts of each row) and "flipped" (the opposite signs). ``gains`` are the differences from "none" of the
    same seed and rows. ``errors`` and ``gain_errors`` are the standard errors over the rows of the exam. ``row_gains``
    (row,) is the gain by the explanations at each row of the case, the mean of the seeds that examined it; NaN where
    none did.
    """

    method: str
    student: str
    taught: int
    exam: int
    agreement: Mapping[str, Floats]
    gains: Mapping[str, Floats]
    errors: Mapping[str, float]
    gain_errors: Mapping[str, float]
    row_gains: Floats
    level: float = 0.95
    notes: tuple[Note, ...] = ()

    def mean(self, arm: str) -> float:
        """Mean agreement of an arm over seeds, 0 … 1."""
        return float(self._of(arm, self.agreement).mean())

    def interval(self, arm: str) -> Interval:
        """Interval of that mean: Student's, over the seeds and over the rows of the exam, cut to 0 … 1."""
        whole = _interval(self._of(arm, self.agreement), self.errors[arm], self.level)
        return Interval(max(whole.low, 0.0), min(whole.high, 1.0), whole.level, whole.method)

    def gain(self, arm: str = "explained") -> float:
        """Mean agreement of an arm minus that without explanations, −1 … 1."""
        return float(self._of(arm, self.gains).mean())

    def gain_interval(self, arm: str = "explained") -> Interval:
        """Interval of that difference, paired by seed and row."""
        return _interval(self._of(arm, self.gains), self.gain_errors[arm], self.level)

    def gain_difference_interval(self, other: Simulatability, level: float | None = None) -> Interval:
        """Interval of this gain minus that of another explanation, paired by seed and row.

        ``InputError`` where the two were not measured with the same draws of the same rows.
        """
        if self.row_gains.shape != other.row_gains.shape or not np.array_equal(
            self.agreement["none"], other.agreement["none"]
        ):
            raise InputError("the two explanations were not shown to the same student with the same draws of rows.")
        apart = self.row_gains - other.row_gains
        apart = apart[~np.isnan(apart)]
        error = float(apart.std(ddof=1) / np.sqrt(len(apart)))
        return _interval(self.gains["explained"] - other.gains["explained"], error, level or self.level)

    def lines(self) -> tuple[dict[str, Any], ...]:
        """One line an arm: agreement with its interval, gain with its interval (0 without explanations)."""
        found = []
        for arm in self.agreement:
            limits, line = self.interval(arm), {"arm": arm, "agreement": self.mean(arm)}
            line |= {"low": limits.low, "high": limits.high, "gain": 0.0, "gain_low": 0.0, "gain_high": 0.0}
            if arm in self.gains:
                limits = self.gain_interval(arm)
                line |= {"gain": self.gain(arm), "gain_low": limits.low, "gain_high": limits.high}
            found.append(line)
        return tuple(found)

    def to_frame(self, backend: Any = "pandas") -> Any:
        """One line an arm: agreement with its interval, gain with its interval."""
        import narwhals as nw

        lines = self.lines()
        return nw.from_dict({name: [line[name] for line in lines] for name in lines[0]}, backend=backend).to_native()

    def _of(self, arm: str, of: Mapping[str, Floats]) -> Floats:
        if arm not in of:
            raise InputError(f"arm={arm!r}; there are {', '.join(of)}.")
        return of[arm]

    def __repr__(self) -> str:
        head = f"Simulatability of {self.method} by a {self.student} student taught {self.taught} rows"
        lines = [head + f", examined on {self.exam} others"]
        for arm in self.agreement:
            limits = self.interval(arm)
            lines.append(f"  {arm}: agreement {self.mean(arm):.3f} [{limits.low:.3f}, {limits.high:.3f}]")
        limits = self.gain_interval()
        lines.append(f"  gain by the explanations {self.gain():+.3f} [{limits.low:+.3f}, {limits.high:+.3f}]")
        return "\n".join([*lines, *(f"  note: {note.text}" for note in self.notes)])


def _interval(values: Floats, error: float, level: float) -> Interval:
    over_seeds = float(values.std(ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    half = float(scipy_stats.t.ppf((1 + level) / 2, len(values) - 1)) * float(np.hypot(over_seeds, error))
    mean = float(values.mean())
    return Interval(mean - half, mean + half, level, "student of seeds and rows")
