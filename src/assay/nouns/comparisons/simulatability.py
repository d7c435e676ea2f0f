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
    same seed and rows. ``errors`` and ``gain_errors`` are the standard errors over the rows of the exam.
    """

    method: str
    student: str
    taught: int
    exam: int
    agreement: Mapping[str, Floats]
    gains: Mapping[str, Floats]
    errors: Mapping[str, float]
    gain_errors: Mapping[str, float]
    level: float = 0.95
    notes: tuple[Note, ...] = ()

    def mean(self, arm: str) -> float:
        """Mean agreement of an arm over seeds, 0 … 1."""
        return float(self._of(arm, self.agreement).mean())

    def interval(self, arm: str) -> Interval:
        """Interval of that mean: Student's, over the seeds and over the rows of the exam."""
        return _interval(self._of(arm, self.agreement), self.errors[arm], self.level)

    def gain(self, arm: str = "explained") -> float:
        """Mean agreement of an arm minus that without explanations, −1 … 1."""
        return float(self._of(arm, self.gains).mean())

    def gain_interval(self, arm: str = "explained") -> Interval:
        """Interval of that difference, paired by seed and row."""
        return _interval(self._of(arm, self.gains), self.gain_errors[arm], self.level)

    def to_frame(self, backend: Any = "pandas") -> Any:
        """One line an arm: agreement with its interval, gain with its interval."""
        import narwhals as nw

        limits = [self.interval(arm) for arm in self.agreement]
        gains = [self.gain_interval(arm) if arm in self.gains else None for arm in self.agreement]
        columns = {
            "arm": list(self.agreement),
            "agreement": [self.mean(arm) for arm in self.agreement],
            "low": [one.low for one in limits],
            "high": [one.high for one in limits],
            "gain": [self.gain(arm) if arm in self.gains else 0.0 for arm in self.agreement],
            "gain_low": [0.0 if one is None else one.low for one in gains],
            "gain_high": [0.0 if one is None else one.high for one in gains],
        }
        return nw.from_dict(columns, backend=backend).to_native()

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
